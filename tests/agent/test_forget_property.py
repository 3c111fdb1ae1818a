"""forget removes nothing but what its own plan made, whatever two plans share: sources, a repository, a host name.

One repository holds a snapshot of every maker for every set of sources; each example takes some of them, as a copy of
the repository with the other snapshot files left out, and runs the agent's own forget with real restic.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import trio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rmactors.agent.agent_file import AgentFile, Keep, Plan, Repository
from rmactors.agent.job_spec import spec_for
from rmactors.common import ids
from tests.restics import restics

from .jobs import Jobs

NAMES: Final = ("x", "y", "x/deep")
SETS: Final = [chosen for size in (1, 2, 3) for chosen in combinations(NAMES, size)]
MAKERS: Final = ("a", "b", "before", "tool", "host")
"""Two plans; an agent from before there were tags; another tool that tags; plan a of another host."""


@dataclass(frozen=True)
class Made:
    """A snapshot in the pool: who made it, of what, in which order."""

    id: str
    maker: str
    sources: tuple[str, ...]
    number: int


@dataclass(frozen=True)
class Pool:
    """The repository with all of them. `folder` also has the files that were backed up, and the password."""

    folder: Path
    made: tuple[Made, ...]

    def paths(self, sources: Sequence[str]) -> list[str]:
        return [str(self.folder / name) for name in sources]

    def environment(self, repository: Path) -> dict[str, str]:
        return {
            **os.environ, "RESTIC_REPOSITORY": str(repository), "RESTIC_PASSWORD_FILE": str(self.folder / "pass"),
            "RESTIC_CACHE_DIR": str(self.folder / "cache"),
        }  # fmt: skip

    def agent_file(self, repository: Path, plans: dict[str, Plan], restic: str, host: str = "nas") -> AgentFile:
        main = Repository(
            str(repository), password_file=str(self.folder / "pass"), cache_dir=str(self.folder / "cache")
        )
        return AgentFile(
            allow=["backup", "forget"], repositories={"main": main}, plans=plans, restic=restic, host=host,
            lock_wait_seconds=60.0,
        )  # fmt: skip


@pytest.fixture(scope="session")
def pool(empty_repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Pool:
    folder = tmp_path_factory.mktemp("pool")
    (folder / "pass").write_text("secret\n")
    for name in NAMES:
        (folder / name).mkdir(parents=True)
        (folder / name / "file").write_text(name)
    shutil.copytree(empty_repository, folder / "repo")
    made: list[Made] = []
    seen: set[str] = set()
    unmade = Pool(folder, ())
    for maker in ("before", "a", "tool", "b", "host"):  # those from before come first
        for sources in SETS:
            number = len(made)
            arguments = _backup(unmade, maker, sources)
            # A day apart, so that policies by day, week and month tell them apart.
            when = f"2026-{1 + number // 28:02}-{1 + number % 28:02} 03:00:00"
            subprocess.run(
                ["restic", *arguments[:1], "--time", when, *arguments[1:]], env=unmade.environment(folder / "repo"),
                check=True, capture_output=True, timeout=120,
            )  # fmt: skip
            (new,) = {file.name for file in (folder / "repo" / "snapshots").iterdir()} - seen
            seen.add(new)
            made.append(Made(new, maker, sources, number))
    return Pool(folder, tuple(made))


def _backup(pool: Pool, maker: str, sources: tuple[str, ...]) -> tuple[str, ...]:
    """What restic is told: for a plan by the agent itself, so that its tag is the agent's."""
    if maker in {"a", "b", "host"}:
        plans = {name: Plan("main", pool.paths(sources)) for name in ("a", "b")}
        agent_file = pool.agent_file(pool.folder / "repo", plans, "restic", "nas2" if maker == "host" else "nas")
        return spec_for(agent_file, "backup", {"plan": "b" if maker == "b" else "a"}, ids.new(), "nas").arguments
    tags = ["--tag", "tool"] if maker == "tool" else []
    return ("backup", "--host", "nas", *tags, *pool.paths(sources))


counts = st.integers(0, 3)
keeps = st.builds(
    Keep, last=counts, daily=counts, weekly=counts, monthly=counts, within=st.sampled_from([None, "3d", "2m"])
).filter(lambda keep: keep != Keep())


@pytest.mark.parametrize("version", list(restics()))
@given(data=st.data())
@settings(
    max_examples=5, deadline=None, database=None,
    phases=[Phase.generate],  # shrinking would take many minutes of restics; each example is small enough to read
    suppress_health_check=[HealthCheck.too_slow],
)  # fmt: skip
def test_forget_of_one_plan_never_removes_what_another_made(pool: Pool, version: str, data: Any) -> None:
    chosen = data.draw(st.sets(st.sampled_from(pool.made), min_size=8), label="in the repository")
    sources = {name: data.draw(st.sampled_from(SETS), label=f"sources of {name}") for name in ("a", "b")}
    slashes = data.draw(st.sampled_from(["", "/", "/."]), label="written behind a source")
    plans = {
        name: Plan("main", [path + slashes for path in pool.paths(sources[name])], keep=data.draw(keeps, label=name))
        for name in ("a", "b")
    }
    with tempfile.TemporaryDirectory(dir=pool.folder) as folder:
        repository = Path(folder) / "repo"
        shutil.copytree(pool.folder / "repo", repository)
        for one in set(pool.made) - chosen:
            (repository / "snapshots" / one.id).unlink()
        jobs = Jobs(pool.agent_file(repository, plans, restics()[version]), Path(folder) / "state")
        for forgotten in ("a", "b"):
            before = _listed(pool, repository)
            end = trio.run(lambda: jobs.do("forget", plan=forgotten))  # noqa: B023
            assert end.verdict.status == "succeeded", end
            after = _listed(pool, repository)
            assert after <= before
            assert len(before - after) == end.stats["snapshots_removed"]
            its_own = {one.number for one in chosen if one.maker == forgotten}
            may_be_adopted = {
                one.number for one in chosen
                if one.maker == "before" and one.sources == sources[forgotten] and sources["a"] != sources["b"]
            }  # fmt: skip
            assert before - after <= its_own | may_be_adopted
            assert end.stats["snapshots_adopted"] == len(before & may_be_adopted)
            if its_own:  # and it does forget: no policy keeps more than the newest of each kind
                assert max(its_own) in after


def _listed(pool: Pool, repository: Path) -> set[int]:
    """The numbers of the snapshots that are there. A snapshot that was adopted has another id, and the same time."""
    listing = subprocess.run(
        ["restic", "snapshots", "--json", "--no-lock"], env=pool.environment(repository), check=True,
        capture_output=True, timeout=120,
    ).stdout  # fmt: skip
    found = [(int(one["time"][5:7]), int(one["time"][8:10])) for one in json.loads(listing)]
    assert len(found) == len(set(found)), "no snapshot is there twice"
    return {28 * (month - 1) + day - 1 for month, day in found}
