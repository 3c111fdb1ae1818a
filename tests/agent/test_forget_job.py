"""forget with real restics, on folders and on a REST backend that may refuse: what is removed, and what is said of it.

Snapshots that are not the plan's own are made by restic itself, as another tool or an earlier agent made them.
"""

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.agent_file import AgentFile, Keep, Plan, Repository
from tests.restic_rest_server import rest_server
from tests.restics import number, restics

from .jobs import Jobs
from .repositories import ResticRepository


@dataclass
class Shared:
    """A repository that several plans, hosts and tools use."""

    repository: ResticRepository
    folder: Path
    agent_file: AgentFile
    restic: str

    @property
    def jobs(self) -> Jobs:
        return Jobs(self.agent_file, self.folder / "state")

    def by_hand(self, *arguments: str, host: str = "nas") -> None:
        """A backup that no plan made."""
        self.repository.restic("backup", "--host", host, *arguments)

    def there(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.repository.restic("snapshots", "--json").stdout)
        return found

    def ids(self) -> set[str]:
        return {one["id"] for one in self.there()}

    def with_plans(self, **plans: Plan) -> "Shared":
        return replace(self, agent_file=_with_plans(self.agent_file, plans))

    def path(self, name: str) -> str:
        path = self.folder / name
        path.mkdir(exist_ok=True)
        (path / "file").write_text(f"{name}\n")
        return str(path)


def _with_plans(agent_file: AgentFile, plans: dict[str, Plan]) -> AgentFile:
    return AgentFile(
        allow=agent_file.allow, repositories=agent_file.repositories, plans=plans, restic=agent_file.restic, host="nas",
        lock_wait_seconds=0.0,
    )  # fmt: skip


@pytest.fixture
def shared(repository: ResticRepository, tmp_path: Path) -> Shared:
    """With the restic that is installed."""
    return Shared(repository, tmp_path, _with_plans(repository.agent_file(), {}), "restic")


@pytest.fixture
def on_each(shared: Shared, each_restic: str) -> Shared:
    """With each restic that is there."""
    agent_file = shared.repository.agent_file(restic=each_restic)
    return replace(shared, restic=each_restic, agent_file=_with_plans(agent_file, {}))


def plan(*sources: str, last: int = 1, **more: Any) -> Plan:
    return Plan("main", list(sources), keep=Keep(last=last), **more)


async def test_a_plan_never_removes_what_a_plan_with_more_sources_made(on_each: Shared) -> None:
    x, y = on_each.path("x"), on_each.path("y")
    on_each = on_each.with_plans(a=plan(x), both=plan(x, y, last=100))
    jobs = on_each.jobs
    for name in ("both", "a", "both", "a"):
        await jobs.do("backup", plan=name)
    made = on_each.there()
    end = await jobs.do("forget", plan="a")
    assert (end.verdict.status, end.stats["snapshots_kept"], end.stats["snapshots_removed"]) == ("succeeded", 1, 1)
    assert on_each.ids() == {one["id"] for one in made} - {made[1]["id"]}


async def test_two_plans_with_the_same_sources_keep_their_own(shared: Shared) -> None:
    x = shared.path("x")
    shared = shared.with_plans(a=plan(x), b=plan(x, last=2), ab=plan(x))
    jobs = shared.jobs
    for name in ("a", "b", "ab", "a", "b", "ab"):
        await jobs.do("backup", plan=name)
    made = [one["id"] for one in shared.there()]
    await jobs.do("forget", plan="a")
    assert shared.ids() == set(made) - {made[0]}
    await jobs.do("forget", plan="b")
    assert shared.ids() == set(made) - {made[0]}


async def test_after_a_change_of_sources_the_older_snapshots_still_expire(shared: Shared) -> None:
    x, y, z = (shared.path(name) for name in "xyz")
    for sources in ((x,), (x, y), (z,)):
        shared = shared.with_plans(a=plan(*sources))
        await shared.jobs.do("backup")
    newest = shared.there()[-1]
    end = await shared.jobs.do("forget")
    assert (end.stats["snapshots_kept"], end.stats["snapshots_removed"]) == (1, 2)
    assert shared.ids() == {newest["id"]}


async def test_sources_may_be_written_as_they_come(shared: Shared) -> None:
    x = shared.path("x")
    shared = shared.with_plans(a=plan(f"{x}/", f"{x}/../x", f"/{x}"))
    for _ in range(2):
        shared.by_hand(x)  # from before
    for _ in range(2):
        await shared.jobs.do("backup")
    end = await shared.jobs.do("forget")
    assert (end.stats["snapshots_adopted"], end.stats["snapshots_removed"], end.stats["snapshots_kept"]) == (2, 3, 1)
    assert len(shared.there()) == 1


async def test_only_this_hosts_snapshots_of_exactly_these_paths_are_adopted(on_each: Shared) -> None:
    x, y = on_each.path("x"), on_each.path("y")
    on_each.by_hand(x)
    on_each.by_hand("--tag", "mine", x)  # a tag that the plan has
    adopted = on_each.ids()
    on_each.by_hand(x, y)
    on_each.by_hand(y)
    on_each.by_hand(f"{x}/file")
    on_each.by_hand(x, host="nas2")
    on_each.by_hand("--tag", "before the upgrade", x)
    on_each.by_hand("--tag", "rmactors-plan:other", x)
    on_each.by_hand("--tag", "mine", y)
    others = on_each.ids() - adopted
    on_each = on_each.with_plans(a=plan(x, tags=["mine"]))
    jobs = on_each.jobs
    await jobs.do("backup")
    own = on_each.ids() - others - adopted
    end = await jobs.do("forget")
    assert (end.verdict.status, end.stats["snapshots_adopted"], end.stats["snapshots_removed"]) == ("succeeded", 2, 2)
    assert on_each.ids() == others | own
    assert any("2 snapshots from before carry the plan's tag now" in line for line in jobs.said)
    assert any("2 snapshots of the same paths are left alone" in line for line in jobs.said)


async def test_what_another_tool_makes_later_is_never_adopted(shared: Shared) -> None:
    x = shared.path("x")
    shared = shared.with_plans(a=plan(x))
    await shared.jobs.do("backup")
    shared.by_hand(x)
    end = await shared.jobs.do("forget")
    assert end.stats["snapshots_adopted"] == 0
    foreign = {one["id"] for one in shared.there() if not one.get("tags")}
    assert len(foreign) == 1
    for _ in range(2):  # by now the plan's first own snapshots are gone, and the other is the oldest
        await shared.jobs.do("backup")
        end = await shared.jobs.do("forget")
        assert "snapshots_adopted" not in end.stats
    assert foreign < shared.ids()


async def test_where_two_plans_have_the_same_sources_older_snapshots_are_nobodys(shared: Shared) -> None:
    x = shared.path("x")
    for _ in range(2):
        shared.by_hand(x)
    before = shared.ids()
    shared = shared.with_plans(a=plan(x), twin=plan(f"{x}/"))
    jobs = shared.jobs
    end = await jobs.do("forget", plan="a")
    assert (end.verdict.status, end.stats["snapshots_adopted"], end.stats["snapshots_removed"]) == ("succeeded", 0, 0)
    assert any("plan twin has the same sources" in line for line in jobs.said)
    assert shared.ids() == before


async def test_latest_and_the_list_are_the_plans_own_also_before_the_first_forget(shared: Shared) -> None:
    x, y = shared.path("x"), shared.path("y")
    shared.by_hand(x)
    old = shared.there()[0]["id"]
    shared.by_hand(x, y)
    shared.by_hand("--tag", "other", x)
    shared = shared.with_plans(a=plan(x), b=plan(x, y))
    restored = await shared.jobs.do("restore", plan="a")
    assert (restored.verdict.status, restored.stats["snapshot_id"]) == ("succeeded", old)
    await shared.jobs.do("backup", plan="a")
    await shared.jobs.do("backup", plan="b")
    own = [one["id"] for one in shared.there() if one.get("tags") == ["rmactors-plan:a"]]
    restored = await shared.jobs.do("restore", plan="a")
    assert restored.stats["snapshot_id"] == own[0]
    listed = await shared.jobs.do("snapshots", plan="a")
    assert [one["id"] for one in listed.stats["snapshots"]] == [old[:8], own[0][:8]]
    everything = await shared.jobs.do("snapshots", repository="main")
    assert everything.stats["snapshots_count"] == 5
    assert [one["plan"] for one in everything.stats["snapshots"]].count("b") == 1
    assert all(one["host"] == "nas" and one["paths"] and one["time"] for one in everything.stats["snapshots"])


async def test_forget_can_prune_what_it_left_and_says_how_much_that_was(on_each: Shared) -> None:
    x = on_each.path("x")
    (Path(x) / "big").write_bytes(os.urandom(1_000_000))
    on_each = on_each.with_plans(a=plan(x, prune_after_forget=True))
    await on_each.jobs.do("backup")
    (Path(x) / "big").unlink()
    await on_each.jobs.do("backup")
    end = await on_each.jobs.do("forget")
    assert end.verdict.status == "succeeded"
    assert 1_000_000 < end.stats["bytes_removed"] < 1_010_000
    assert end.stats["blobs_removed"] > 0
    assert 0 < end.stats["bytes_remaining"] < 10_000
    assert end.stats["pruned"] is True


APPEND_ONLY = [version for version in restics() if number(version) >= (0, 18, 0)]
"""0.14 ends alike, with exit code 1, but tries each removal again for most of a minute first."""


def on_rest(shared: Shared, url: str, restic: str) -> Shared:
    """The same on the backend, without a cache that remembers other repositories."""
    repository = Repository(url, password_file=str(shared.repository.password_file), cache_dir=str(shared.folder / "c"))
    agent_file = AgentFile(
        allow=shared.agent_file.allow, repositories={"main": repository}, plans=shared.agent_file.plans, restic=restic,
        host="nas", lock_wait_seconds=0.0,
    )  # fmt: skip
    return replace(shared, agent_file=agent_file)


@pytest.mark.parametrize("version", APPEND_ONLY)
async def test_forget_on_an_append_only_repository_has_done_nothing_and_says_why(shared: Shared, version: str) -> None:
    x = shared.path("x")
    shared = shared.with_plans(a=plan(x, prune_after_forget=True))
    with rest_server(shared.repository.path) as server:
        host = on_rest(shared, server.repository, restics()[version])
        for _ in range(3):
            await host.jobs.do("backup")
        server.append_only = True
        index = server.names("index")
        end = await host.jobs.do("forget")
        assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
        assert (end.stats["snapshots_removed"], end.stats["snapshots_kept"]) == (0, 3)
        assert "nothing was removed although 2 snapshots should go" in (end.verdict.error or "")
        assert "append-only" in (end.verdict.error or "")
        assert "asm_amd64" not in (end.verdict.error or "")
        assert len(server.names("snapshots")) == 3
        assert server.names("index") == index, "and prune was not begun, which would rewrite the index"

        server.append_only, refused = False, server.names("snapshots")[:1]
        server.fails = lambda asked: 403 if asked.method == "DELETE" and asked.name in refused else None
        end = await host.jobs.do("forget")
        there = len(server.names("snapshots"))
        assert end.stats["snapshots_removed"] == 3 - there
        assert end.stats["snapshots_kept"] == there
        assert (end.verdict.status, end.verdict.reason) == (
            ("partial", "partial") if there == 2 else ("succeeded", "ok")
        )


@pytest.mark.parametrize("version", APPEND_ONLY)
async def test_adoption_on_an_append_only_repository_makes_one_copy_at_most(shared: Shared, version: str) -> None:
    x = shared.path("x")
    for _ in range(3):
        shared.by_hand(x)
    shared = shared.with_plans(a=plan(x))
    with rest_server(shared.repository.path) as server:
        host = on_rest(shared, server.repository, restics()[version])
        server.append_only = True
        for _ in range(3):
            end = await host.jobs.do("forget")
            assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
            assert "cannot be adopted" in (end.verdict.error or "")
            assert "append-only" in (end.verdict.error or "")
            assert len(server.names("snapshots")) == 4
        server.append_only = False
        end = await host.jobs.do("forget")
        assert end.verdict.status == "succeeded"
        assert (end.stats["snapshots_adopted"], end.stats["snapshots_removed"]) == (2, 2)
        assert len(server.names("snapshots")) == 1


async def test_a_list_that_cannot_be_read_ends_the_job_before_anything_is_removed(
    shared: Shared, tmp_path: Path
) -> None:
    x = shared.path("x")
    shared = shared.with_plans(a=plan(x))
    for _ in range(2):
        await shared.jobs.do("backup")
    before = shared.ids()
    garbled = tmp_path / "garbled"
    garbled.write_text('#!/bin/sh\ncase "$*" in *snapshots*) echo "[{]"; exit 0;; esac\nexec restic "$@"\n')
    garbled.chmod(0o755)
    agent_file = replace(shared, agent_file=_with_plans(shared.repository.agent_file(restic=str(garbled)), {}))
    end = await agent_file.with_plans(a=plan(x)).jobs.do("forget")
    assert (end.verdict.status, end.verdict.reason) == ("failed", "error")
    assert "list of snapshots cannot be read" in (end.verdict.error or "")
    assert shared.ids() == before
