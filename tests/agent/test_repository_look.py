"""A look at whole repositories with every restic: real ones, shared by hosts, locked, gone."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trio
from msgspec.structs import replace

from rmactors.agent import repository_look
from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.job_process import JobProcess
from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.listings import Listings
from rmactors.agent.live_requests.refusal import Refused
from rmactors.agent.live_requests.stats import HANDLER
from rmactors.agent.repository_stats import MOST_HOSTS
from rmactors.common import clock
from rmactors.common.vocabulary import REPOSITORY_BUSY
from tests.restics import version_of

from .jobs import Jobs as RealJobs
from .repositories import ResticRepository, holding_a_lock, restic_processes


class NoCounters:
    async def number(self, name: str) -> int:
        raise AssertionError(name)

    async def count_on(self, name: str) -> None:
        raise AssertionError(name)


class Jobs:
    """Stands for the agent's jobs: one has the repository at each of these looks. `waited` is how often its end was
    waited for."""

    def __init__(self, *busy: bool) -> None:
        self._busy = iter(busy)
        self.waited = 0

    def is_busy(self, _: Repository) -> bool:
        return next(self._busy, False)

    async def until_idle(self, _: Repository) -> None:
        self.waited += 1
        await trio.lowlevel.checkpoint()


def never(_: object) -> None:
    raise AssertionError("nothing is listed in pages")


class EndlessJob(Jobs):
    """One that began while the repository was measured."""

    async def until_idle(self, _: Repository) -> None:
        await trio.sleep_forever()


async def look_at(agent_file: AgentFile, jobs: Jobs | None = None, **params: Any) -> list[dict[str, Any]]:
    listings = Listings(Path("/nonexistent"), never)
    # Those who wait have all turns there are: this is not to wait for them.
    context = Context(agent_file, NoCounters(), trio.CapacityLimiter(0), set(), listings, jobs=jobs)
    with trio.fail_after(240):
        answer = await HANDLER(context, params)
    return [json.loads(item) for item in answer.items]


def backed_up(repository: ResticRepository, restic: str, host: str, *files: str) -> None:
    subprocess.run(
        [restic, "backup", "--quiet", "--host", host, *files], env=repository.environment, cwd=repository.source,
        check=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
    )  # fmt: skip


def id_of(repository: ResticRepository) -> str:
    found: str = json.loads(repository.restic("cat", "config").stdout)["id"]
    return found


async def test_a_repository_that_two_hosts_share_is_told_with_what_each_has_alone(
    repository: ResticRepository, each_restic: str
) -> None:
    for name in ("both", "only-nas", "only-web"):
        (repository.source / name).write_bytes(os.urandom(300_000 if name == "both" else 100_000))
    backed_up(repository, each_restic, "nas", "both", "only-nas")
    backed_up(repository, each_restic, "web", "both", "only-web")
    backed_up(repository, each_restic, "web", "both", "only-web")
    async with holding_a_lock(repository) as holder:
        before = clock.now()
        (item,) = await look_at(repository.agent_file(restic=each_restic))
    assert item["error"] is None
    assert item["measured"]
    assert (item["name"], item["repository_id"]) == ("main", id_of(repository))
    assert (item["location"], item["plans"]) == (str(repository.path), ["home"])
    assert item["snapshots"] == 3
    assert 500_000 < item["size_bytes"] < 520_000
    web, nas = item["hosts"]
    assert (web["host"], web["snapshots"], nas["host"], nas["snapshots"]) == ("web", 2, "nas", 1)
    for share in (web, nas):
        assert 400_000 < share["bytes"] < 410_000
        assert 100_000 < share["unique_bytes"] < 110_000
    (lock,) = item["locks"]
    assert lock["pid"] == holder.pid
    assert not lock["exclusive"]
    assert clock.from_rfc3339(lock["at"]) <= before
    tells_more = version_of(each_restic) >= (0, 15)
    assert (item["uncompressed_bytes"] is not None) == (item["compression"] is not None) == tells_more


async def test_an_empty_repository_has_a_size(repository: ResticRepository, each_restic: str) -> None:
    (item,) = await look_at(repository.agent_file(restic=each_restic))
    assert (item["size_bytes"], item["snapshots"], item["hosts"], item["error"]) == (0, 0, [], None)
    assert item["compression"] is None


async def test_a_repository_of_version_1_cannot_compress(bare_repository: ResticRepository) -> None:
    await trio.run_process(
        ["restic", "init", "--repository-version", "1"], env=bare_repository.environment, capture_stdout=True
    )
    backed_up(bare_repository, "restic", "nas", "a.txt")
    (item,) = await look_at(bare_repository.agent_file(host="filed-as-this"))
    assert item["own_host"] == "filed-as-this"
    assert (item["version"], item["compression"], item["uncompressed_bytes"]) == (1, None, None)
    assert item["size_bytes"] > 0


async def test_more_hosts_than_a_few_are_counted_and_not_told_apart(repository: ResticRepository) -> None:
    for n in range(MOST_HOSTS + 1):
        backed_up(repository, "restic", f"host{n}", "a.txt")
    (item,) = await look_at(repository.agent_file())
    assert [share["snapshots"] for share in item["hosts"]] == [1] * (MOST_HOSTS + 1)
    assert {share["unique_bytes"] for share in item["hosts"]} == {share["bytes"] for share in item["hosts"]} == {None}


async def test_the_host_name_in_the_environment_file_hides_no_snapshots(
    repository: ResticRepository, each_restic: str, tmp_path: Path
) -> None:
    backed_up(repository, each_restic, "nas", "a.txt")
    backed_up(repository, each_restic, "web", "b.bin")
    (tmp_path / "env").write_text("RESTIC_HOST=nas\n")
    (item,) = await look_at(
        repository.agent_file(restic=each_restic, repository={"environment_file": str(tmp_path / "env")})
    )
    assert item["snapshots"] == 2
    assert item["size_bytes"] > 50_000


async def test_one_repository_that_fails_keeps_no_other_from_being_told(
    repository: ResticRepository, each_restic: str, tmp_path: Path
) -> None:
    there = repository.agent_file(restic=each_restic)
    (tmp_path / "wrong").write_text("another\n")
    main = there.repositories["main"]
    several = replace(
        there,
        repositories={
            "gone": replace(main, repository=str(tmp_path / "nowhere")),
            "refuses": replace(main, repository="rest:http://me:secret99@127.0.0.1:1/"),
            "locked-out": replace(main, password_file=str(tmp_path / "wrong")),
            "main": main,
        },
        plans={"home": Plan("main", ["/x"]), "other": Plan("main", ["/y"]), "away": Plan("refuses", ["/z"])},
    )
    items = {item["name"]: item for item in await look_at(several)}
    assert list(items) == ["gone", "refuses", "locked-out", "main"]
    for name in ("gone", "refuses", "locked-out"):
        assert items[name]["error"]
        assert items[name]["repository_id"] is None
        assert not items[name]["measured"]
    assert "wrong password" in items["locked-out"]["error"]
    assert items["refuses"]["location"] == "rest:http://me:***@127.0.0.1:1/"
    assert "secret99" not in str(items)
    assert (items["main"]["error"], items["main"]["plans"]) == (None, ["home", "other"])


async def test_one_of_them_can_be_asked_for_and_none_of_another_name(repository: ResticRepository) -> None:
    there = repository.agent_file()
    two = replace(
        there, repositories={"main": there.repositories["main"], "gone": Repository("/x", password_file="/p")}
    )
    assert [item["name"] for item in await look_at(two, repository="main")] == ["main"]
    with pytest.raises(Refused, match="no repository 'nosuch'"):
        await look_at(two, repository="nosuch")


async def test_which_they_are_is_told_without_measuring_also_while_a_job_runs(repository: ResticRepository) -> None:
    (item,) = await look_at(repository.agent_file(), Jobs(True), identify=True)
    assert (item["repository_id"], item["version"], item["error"]) == (id_of(repository), 2, None)
    assert (item["size_bytes"], item["measured"]) == (None, False)


async def test_a_repository_in_which_a_job_runs_is_not_measured(repository: ResticRepository) -> None:
    (item,) = await look_at(repository.agent_file(), Jobs(True))
    assert (item["repository_id"], item["error"], item["measured"]) == (id_of(repository), REPOSITORY_BUSY, False)


async def test_a_job_that_begins_meanwhile_goes_before_what_each_host_has_alone(repository: ResticRepository) -> None:
    backed_up(repository, "restic", "nas", "a.txt")
    backed_up(repository, "restic", "web", "b.bin")
    jobs = Jobs()
    (item,) = await look_at(repository.agent_file(), jobs)
    assert jobs.waited == 2, "before each costly look at the data"
    assert all(share["unique_bytes"] is not None for share in item["hosts"])


async def test_a_job_that_does_not_end_leaves_unknown_what_each_host_has_alone(
    repository: ResticRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    backed_up(repository, "restic", "nas", "a.txt")
    backed_up(repository, "restic", "web", "b.bin")
    monkeypatch.setattr(repository_look, "APART_SECONDS", 0.1)
    (item,) = await look_at(repository.agent_file(), EndlessJob())
    assert item["measured"]
    assert item["size_bytes"] > 50_000
    assert [share["unique_bytes"] for share in item["hosts"]] == [None, None]


async def test_restic_goes_behind_everything_else_on_the_machine(repository: ResticRepository, tmp_path: Path) -> None:
    slow = tmp_path / "restic"
    slow.write_text('#!/bin/sh\nps -o ni= -p $$ >> "$0.nice"\nexec restic "$@"\n')
    slow.chmod(0o755)
    (item,) = await look_at(repository.agent_file(restic=str(slow)))
    assert item["error"] is None
    assert set((await trio.Path(f"{slow}.nice").read_text()).split()) == {"19"}


async def test_a_look_that_is_called_off_leaves_no_restic(
    repository: ResticRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = trio.Event()
    run = JobProcess.run

    async def run_and_tell(self: JobProcess, *given: Any, **named: Any) -> int:
        started.set()
        return await run(self, *given, **named)

    monkeypatch.setattr(JobProcess, "run", run_and_tell)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(look_at, repository.agent_file())
        await started.wait()
        nursery.cancel_scope.cancel()
    assert restic_processes(repository) == []


async def test_a_job_that_names_no_plan_says_which_repository_it_was_about(
    repository: ResticRepository, tmp_path: Path
) -> None:
    jobs = RealJobs(repository.agent_file(), tmp_path / "state")
    assert (await jobs.do("check", repository="main")).stats["repository"] == "main"
    assert "repository" not in (await jobs.do("check", plan="home")).stats
