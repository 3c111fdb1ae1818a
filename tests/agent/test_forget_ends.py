"""Ends of forget that take a quarter of an hour or a bad moment to meet: restic's words are as it printed them once."""

import json
from collections.abc import Sequence
from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile, Keep, Plan, Repository
from rmactors.agent.forget_job import forget
from rmactors.agent.job_spec import spec_for
from rmactors.agent.own_snapshots import identity_tag
from rmactors.agent.restic_output import OutputParser
from rmactors.agent.restic_steps import Run
from rmactors.agent.verdict import OutputSummary, judge
from rmactors.common.vocabulary import JobKind

FILE = AgentFile(
    allow=["forget", "prune"],
    repositories={"main": Repository("/r", password_file="/p")},
    plans={"a": Plan("main", ["/x"], keep=Keep(last=1), prune_after_forget=True)},
)
REFUSED_BY_014 = """\
Remove(<snapshot/a8eb1f3f7a>) returned error, retrying after 954.512469ms: blob not removed, server response: 403 Forbidden (403)
Remove(<snapshot/1d72ebc146>) returned error, retrying after 13.811796615s: blob not removed, server response: 403 Forbidden (403)
blob not removed, server response: 403 Forbidden (403)
github.com/restic/restic/internal/backend/rest.(*Backend).Remove
\tgithub.com/restic/restic/internal/backend/rest/rest.go:399
main.deleteFiles.func2
\tgithub.com/restic/restic/cmd/restic/delete.go:47
runtime.goexit
\truntime/asm_amd64.s:1594
"""  # noqa: E501
LOCKED = "Fatal: unable to create lock in backend: repository is already locked exclusively by PID 7 on nas by root\n"


class Counted:
    """The adoption is over."""

    async def number(self, name: str) -> int:
        return 1

    async def count_on(self, name: str) -> None:
        raise AssertionError(name)


class Canned:
    """restic with the answers that it gives to this test: a list of snapshot numbers for each look, None for a look
    that fails, and one end for forget."""

    def __init__(self, looks: Sequence[Sequence[int] | None], code: int, out: str = "", err: str = "") -> None:
        self._looks = list(looks)
        self._end = code, out, err
        self.asked: list[str] = []
        self.stopped = False

    async def run(self, kind: JobKind, *arguments: str, answer: bool = False) -> Run:
        self.asked.append(arguments[0])
        return self._ended(kind, *self._end)

    async def ask(self, *arguments: str) -> Run:
        self.asked.append("look")
        numbers = self._looks.pop(0)
        if numbers is None:
            return self._ended("snapshots", 1, "", "Fatal: unable to open config file: connection refused\n")
        return Run(
            0,
            OutputSummary(),
            judge("snapshots", 0, OutputSummary()),
            json.dumps([listed(n) for n in numbers]).encode(),
        )

    def tell(self, text: str) -> None:
        pass

    def _ended(self, kind: JobKind, code: int, out: str, err: str) -> Run:
        summary = OutputSummary(speaks_restic=True)
        for parser, text in ((OutputParser("stdout"), out), (OutputParser("stderr"), err)):
            for item in [*parser.feed(text.encode()), *parser.finish()]:
                summary.take(item)
        verdict = judge(kind, code, summary, stopped="cancelled" if self.stopped else None)
        return Run(code, summary, verdict, out.encode())


def listed(number: int) -> dict[str, Any]:
    return {
        "id": f"{number:064x}", "time": f"2026-11-{number:02}T00:00:00Z", "hostname": "nas", "paths": ["/x"],
        "tags": [identity_tag("a")], "tree": "t",
    }  # fmt: skip


def says_removed(*numbers: int, padding: int = 0) -> str:
    reasons = ["x" * padding]
    return json.dumps([{"keep": [], "remove": [listed(number) for number in numbers], "reasons": reasons}]) + "\n"


async def ended(restic: Canned) -> tuple[str, str, str, dict[str, Any]]:
    end = await forget(restic, spec_for(FILE, "forget", {}, "J" * 26, "nas"), Counted())
    return end.verdict.status, end.verdict.reason, end.verdict.error or "", end.stats


async def test_restic_014_that_gave_up_after_a_minute_of_refusals_has_done_nothing() -> None:
    restic = Canned([[1, 2, 3], [1, 2, 3]], 1, err=REFUSED_BY_014)
    status, reason, error, stats = await ended(restic)
    assert (status, reason) == ("failed", "nothing_done")
    assert error.startswith("nothing was removed: this repository lets this host delete nothing (append-only, or")
    assert "403 Forbidden" in error
    assert "asm_amd64" not in error
    assert stats == {"snapshots_kept": 3, "snapshots_removed": 0}
    assert "prune" not in restic.asked


async def test_what_went_before_a_failure_is_counted_and_the_failure_stays_one() -> None:
    status, reason, error, stats = await ended(Canned([[1, 2, 3], [2, 3]], 1, err="Fatal: connection lost\n"))
    assert (status, reason, error) == ("failed", "error", "connection lost")
    assert stats == {"snapshots_kept": 2, "snapshots_removed": 1}


async def test_a_forget_whose_effect_cannot_be_seen_is_no_success_and_claims_no_number() -> None:
    status, _, error, stats = await ended(Canned([[1, 2], None], 0, says_removed(1)))
    assert status == "failed"
    assert error.startswith("what was removed cannot be verified: ")
    assert stats == {}


async def test_a_policy_that_asks_for_nothing_is_a_success_without_a_prune() -> None:
    restic = Canned([[1], [1]], 0, says_removed())
    assert (await ended(restic))[:2] == ("succeeded", "ok")
    assert restic.asked == ["look", "forget", "look"]


async def test_a_backup_that_ends_meanwhile_is_no_snapshot_that_was_kept_back() -> None:
    status, _, _, stats = await ended(Canned([[1, 2], [2, 3]], 0, says_removed(1)))
    assert (status, stats["snapshots_kept"], stats["snapshots_removed"]) == ("succeeded", 2, 1)


async def test_some_that_stay_make_it_partial_with_both_numbers_and_nothing_is_pruned() -> None:
    restic = Canned([[1, 2, 3], [2, 3]], 0, says_removed(1, 2), "unable to remove snapshot/02 from the repository\n")
    status, reason, error, stats = await ended(restic)
    assert (status, reason) == ("partial", "partial")
    assert error.startswith("1 snapshot removed, 1 could not be: ")
    assert stats["snapshots_removed"] == 1
    assert "prune" not in restic.asked


async def test_a_policy_over_thousands_of_snapshots_is_read_to_its_end() -> None:
    restic = Canned([[1, 2], [1, 2]], 0, says_removed(1, padding=5 << 20), "unable to remove snapshot/01\n")
    assert (await ended(restic))[:2] == ("failed", "nothing_done")


@pytest.mark.parametrize("looks", [[None], [[1, 2]]])
async def test_a_forget_that_cannot_begin_says_why_and_removes_nothing(looks: list[list[int] | None]) -> None:
    restic = Canned([*looks, [1, 2]], 11, err=LOCKED)
    status, reason, _, stats = await ended(restic)
    assert (status, reason) == (("failed", "no_repository") if looks == [None] else ("failed", "locked"))
    assert stats.get("snapshots_removed", 0) == 0


async def test_a_forget_that_is_cancelled_is_not_followed_by_another_look() -> None:
    restic = Canned([[1, 2]], 130)
    restic.stopped = True
    assert (await ended(restic))[:2] == ("cancelled", "cancelled")
    assert restic.asked == ["look", "forget"]
