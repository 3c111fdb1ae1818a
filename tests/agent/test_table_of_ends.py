"""The table in docs/agent.md, *What each end means*, and the code say the same: one example for each of its rows."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import pytest

from rmactors.agent.forget_job import judge_forget
from rmactors.agent.restic_job import STOPPED
from rmactors.agent.restic_steps import Run
from rmactors.agent.restore_test.sampling import Entry
from rmactors.agent.restore_test.wording import differing, not_restored
from rmactors.agent.restored import Restored, judge_restore
from rmactors.agent.verdict import JobVerdict, judge
from rmactors.common.vocabulary import FAILURE_ALERT, JobKind
from rmactors.server.actors.rules.outcomes import Outcome, verdict_of

from .test_verdict import (
    AGAIN,
    DAMAGED_INDEX,
    DOWN,
    EXISTS,
    GO_DUMP,
    LOCKED,
    NO_REPOSITORY,
    SUMMARY,
    UNREAD,
    json_lines,
    restore_error,
    summary_of,
)

PAGE: Final = Path(__file__).parents[2] / "docs" / "agent.md"
ROW: Final = re.compile(
    r"^\| (?P<what>[^|]+) \| [^|]+ \| `(?P<status>\w+)` \| `(?P<reason>\w+)` \| (?P<alert>[^|]+) \| (?P<words>[^|]*)\|$"
)


def bucket(words: str) -> str:
    return f"Stat(<config/>) returned error, retrying after 14m2s: Stat: {words}\n" + json_lines(
        f"=Fatal: unable to open config file: Stat: {words}"
    )


UNABLE = summary_of("[]", "unable to remove snapshot/a8eb1f3f7a from the repository\n")
REFUSED = Run(0, UNABLE, judge("forget", 0, UNABLE))
UNWRITTEN = restore_error("open /srv/restore/x: permission denied")
NO_ROOM = UNWRITTEN.replace("permission denied", "no space left on device")
DAMAGED = restore_error("ciphertext verification failed")
THERE_WERE = json_lines("=Fatal: There were 1 errors")


def restore_that_ended(code: int, there: Restored, *stderr: str, include: Sequence[str] = ()) -> JobVerdict:
    summary = summary_of("", "".join(stderr))
    return judge_restore(Run(code, summary, judge("restore", code, summary)), include, there, "/srv/restore")


GONE = "/photos does not exist, skipping\n"
EXAMPLES: dict[str, tuple[JobKind, Callable[[], JobVerdict]]] = {
    "all was done": ("backup", lambda: judge("backup", 0, summary_of(SUMMARY))),
    "nothing had changed (`--skip-if-unchanged`)": (
        "backup", lambda: judge("backup", 0, summary_of('{"message_type":"summary"}\n'))),
    "all was done, but restic could not remove its own lock": (
        "backup", lambda: judge("backup", 0, summary_of(SUMMARY, "Remove(<lock/a97>) failed: 403 Forbidden\n"))),
    "data that was missing in the repository was stored again": (
        "backup", lambda: judge("backup", 3, summary_of(SUMMARY, UNREAD.replace("open /x: permission denied", AGAIN)))),
    "all was done, and restic passed over a damaged file of the repository": (
        "forget",
        lambda: judge("forget", 0, summary_of("", 'Ignoring "1": LoadRaw(<snapshot/1>): invalid data returned\n')),
    ),
    "the snapshot was made, and restic was ended by a signal behind it": (
        "backup",
        lambda: judge("backup", -15, summary_of(SUMMARY)),
    ),
    "some of the sources are missing": ("backup", lambda: judge("backup", 3, summary_of(SUMMARY, GONE))),
    "files could not be read": ("backup", lambda: judge("backup", 3, summary_of(SUMMARY, UNREAD * 2))),
    "all sources are missing": (
        "backup", lambda: judge("backup", 1, summary_of("", "Fatal: all source directories/files do not exist\n"))),
    "a forget that removed nothing although `keep` says so: append-only, or a key that may not delete": (
        "forget", lambda: judge_forget(REFUSED, gone=0, left=2)),
    "a forget that could remove only some": ("forget", lambda: judge_forget(REFUSED, gone=1, left=1)),
    "a restore of what is not in the snapshot": (
        "restore", lambda: restore_that_ended(0, Restored(0, 0, 0, ("/x/nope",)), include=["/x/nope"])),
    "a restore of several paths, of which some are not there": (
        "restore", lambda: restore_that_ended(0, Restored(1, 1, 9, ("/x/nope",)), include=["/x/a", "/x/nope"])),
    "a restore in which some files could not be restored": (
        "restore", lambda: restore_that_ended(1, Restored(9, 1, 12_000, (), 1), UNWRITTEN, THERE_WERE)),
    "a restore whose disk is full": (
        "restore", lambda: restore_that_ended(1, Restored(9, 1, 12_000, (), 1), NO_ROOM, THERE_WERE)),
    "a restore test whose files do not come back as saved": (
        "restore_test",
        lambda: not_restored(Run(1, summary_of("", DAMAGED), judge("restore_test", 1, summary_of("", DAMAGED))),
                             {"/x/a": "ciphertext verification failed", "/x/b": ""}, 20)),
    "a restore test that finds another source under the same size and time": (
        "restore_test", lambda: differing([Entry("/x/a", 1, 1, 1)], 20)),
    "wrong password": (
        "backup", lambda: judge("backup", 12, summary_of("", "Fatal: wrong password or no key found\n"))),
    "no repository there, or not reachable": ("backup", lambda: judge("backup", 10, summary_of("", NO_REPOSITORY))),
    "the bucket does not exist": (
        "backup", lambda: judge("backup", 1, summary_of("", bucket("The specified bucket does not exist")))),
    "another restic holds the repository": ("prune", lambda: judge("prune", 11, summary_of("", LOCKED))),
    "restic finds damage: `check`, or any other job that meets it": (
        "check", lambda: judge("check", 1, summary_of("", json_lines(*DAMAGED_INDEX)))),
    "a repository exists already where `init` is to make one": (
        "init", lambda: judge("init", 1, summary_of("", EXISTS[0][0]))),
    "no space left": ("backup", lambda: judge("backup", 1, summary_of("", json_lines(
        "=Fatal: unexpected HTTP response (507): 507 Insufficient Storage")))),
    "the storage refuses the access key, or the clocks differ": (
        "backup",
        lambda: judge("backup", 1, summary_of("", bucket("The AWS Access Key Id you provided does not exist")))),
    "restic breaks down, as without memory": (
        "backup", lambda: judge("backup", 2, summary_of("", f"fatal error: out of memory\n\n{GO_DUMP}"))),
    "anything else": ("backup", lambda: judge("backup", 99, summary_of())),
    "something else sent a signal (an administrator, earlyoom, systemd)": (
        "backup", lambda: judge("backup", -15, summary_of("", DOWN))),
    "killed, as when the system has no memory left": ("backup", lambda: judge("backup", 137, summary_of())),
    "the agent was stopped meanwhile": ("backup", lambda: STOPPED.verdict),
    "it ran longer than it may": (
        "backup", lambda: judge("backup", 130, summary_of(), stopped="timeout", seconds=6 * 3600)),
    "an operator called it off, or Ctrl-C at a terminal": (
        "backup", lambda: judge("backup", 130, summary_of(), stopped="cancelled")),
}  # fmt: skip


def rows() -> dict[str, re.Match[str]]:
    section = PAGE.read_text().partition("### What each end means")[2].partition("\n### ")[0]
    return {found["what"]: found for line in section.splitlines() if (found := ROW.match(line))}


def test_every_row_has_an_example_and_every_example_a_row() -> None:
    assert list(rows()) == list(EXAMPLES)


@pytest.mark.parametrize("what", EXAMPLES)
def test_an_example_ends_as_its_row_says(what: str) -> None:
    row, (kind, example) = rows()[what], EXAMPLES[what]
    verdict = example()
    assert (verdict.status, verdict.reason) == (row["status"], row["reason"])
    outcome = Outcome("j", kind, "home", verdict.status, verdict.reason, verdict.error, None, "alert", 1, 1)
    raises = kind in FAILURE_ALERT and verdict_of(outcome) == "bad"
    assert raises == row["alert"].startswith("yes")
    said = verdict.error or verdict.warning or ""
    for words in re.findall(r"\*([^*]+)\*", row["words"]):
        for part in words.rstrip(".").split("…"):
            assert part.strip(" :,)") in said, said
