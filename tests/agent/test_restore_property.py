"""Whatever a server says of `target` and `include`: nothing is written or changed outside the folders for restores,
and nothing that lies in them is overwritten.

Paths are made of the names that matter, on a real disk with links that lead out of these folders. Of most examples a
stand-in for restic writes where the agent says; of a few, a real one restores a snapshot that is full of traps.
"""

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.job_spec import JobRefused, spec_for
from rmactors.agent.restore_folder import clash, folder_for, make_folder
from rmactors.agent.restore_targets import TargetRefused
from rmactors.common import ids

from .jobs import Jobs
from .repositories import ResticRepository

NAMES = (
    "new", "empty", "full", "file", "out", "in", "loop", "nowhere", "up", "tmp", "letter", "outside", "allowed", "home",
)  # fmt: skip
ODD_NAMES = (
    "..", ".", "", "\ufffd", "new\nline", "-rf", "~", "$HOME", "[a]", "*", "a" * 255, "a" * 256, "\x1b[2J", "ü",
)  # fmt: skip
STARTS = ("{world}/allowed", "{world}/also", "{world}/home", "{world}/outside", "{world}", "/", "", "{world}/named")
"""Of a target: folders for restores (`also` is one, `named` is a link that is one), a source, what is none of it."""


def paths(starts: tuple[str, ...], names: tuple[str, ...] = NAMES + ODD_NAMES) -> st.SearchStrategy[str]:
    some = st.sampled_from(names) if names == NAMES else st.sampled_from(names) | st.text(max_size=3)
    return st.builds(
        lambda start, below: "/".join((start, *below)), st.sampled_from(starts), st.lists(some, max_size=4)
    )


below = paths(("{world}/allowed", "{world}/named", "{world}/also"), NAMES)
targets = below | paths(STARTS)
includes = st.lists(paths(("{world}/home", "{world}/outside", "{world}/allowed", "/.", "/"), NAMES), max_size=3)


class World:
    """Folders for restores with traps in them, a source, and what no restore is to touch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        for name in ("allowed", "real", "home", "outside"):
            (folder / name).mkdir(0o700)
        (folder / "named").symlink_to(folder / "real")
        (folder / "outside" / "letter").write_text("precious")
        for base in (folder / "allowed", folder / "real"):
            self._set_traps(base)
        self._set_traps(self.home)

    def _set_traps(self, base: Path) -> None:
        for name in ("empty", "full", "tmp", "\ufffd"):
            (base / name).mkdir(0o700)
        (base / "tmp").chmod(0o1777)
        (base / "full" / "letter").write_text("precious")
        (base / "file").write_text("precious")
        links = {"out": "outside", "in": f"{base.name}/empty", "nowhere": "none", "up": ""}
        for name, to in links.items():
            (base / name).symlink_to(self.folder / to)
            (base / "full" / name).symlink_to(self.folder / to)
        (base / "loop").symlink_to("loop")

    @property
    def targets(self) -> list[str]:
        return [str(self.folder / name) for name in ("allowed", "also", "named")]

    def here(self, path: str) -> str:
        return path.replace("{world}", str(self.folder))

    def agent_file(self, repository: Repository, **others: Any) -> AgentFile:
        return AgentFile(
            ["restore"], {"main": repository}, {"home": Plan("main", [str(self.home)])}, host="nas",
            restore_targets=self.targets, **others,
        )  # fmt: skip

    def state(self) -> dict[str, object]:
        """All there is: of what lies outside the folders for restores, every word; of these, what is not theirs to
        change."""
        found: dict[str, object] = {}
        for path in [self.folder, *self.folder.rglob("*")]:
            now, is_target = path.lstat(), path.relative_to(self.folder).parts[:1] in {("allowed",), ("real",)}
            content: object = None
            if stat.S_ISLNK(now.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(now.st_mode):
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            may_grow = stat.S_ISDIR(now.st_mode) and (is_target or path == self.folder)
            times = () if may_grow else (now.st_mtime_ns, now.st_ctime_ns, now.st_size, now.st_nlink)
            found[str(path)] = (now.st_ino, now.st_mode, now.st_uid, now.st_gid, content, times)
        return found

    def judge(self, before: dict[str, object]) -> None:
        """Everything is as it was, and what is new lies in a folder for restores."""
        after = self.state()
        assert {path: after.get(path) for path in before} == before
        allowed = tuple(str(self.folder / name) for name in ("allowed", "also", "real"))
        for path in after.keys() - before.keys():
            assert path.startswith(tuple(f"{folder}/" for folder in allowed)) or path == allowed[1], path


@contextmanager
def a_world(folder: Path | None = None) -> Iterator[World]:
    """Gone afterwards. `folder`: where what was backed up of one world is to be found in the next."""
    at = Path(tempfile.mkdtemp()).resolve() if folder is None else folder
    at.mkdir(exist_ok=True)
    try:
        yield World(at)
    finally:
        shutil.rmtree(at)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(targets, includes)
@example("{world}/allowed/full/out/letter", [])
@example("{world}/named/up/outside", [])
@example("{world}/also", ["/../../etc"])
@example(None, [])
def test_where_a_restore_goes_is_inside_whatever_is_asked(target: str | None, include: list[str]) -> None:
    with a_world() as world:
        agent_file = world.agent_file(Repository("s3:x", password_file="/p"))
        before = world.state()
        params = {
            "target": None if target is None else world.here(target),
            "include": [world.here(path) for path in include],
        }
        try:
            spec = spec_for(agent_file, "restore", params, ids.new(), "nas")
            assert spec.target is not None
            expected = folder_for(spec.target)
            world.judge(before)
            assert world.state().keys() == before.keys(), "looking makes nothing"
            place = make_folder(spec.target)
        except (JobRefused, TargetRefused, OSError) as refused:
            event(type(refused).__name__)
        else:
            event("restored")
            assert place.into == expected
            assert clash(spec.target) is None
            assert os.listdir(place.into) == []
            Path(place.into, "restored").write_text("by restic")
            place.release()
        world.judge(before)


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(targets, includes)
@example("{world}/allowed/empty", [])
@example("{world}/also/new/er", ["{world}/home/out/letter", "{world}/home/full"])
def test_what_a_real_restic_restores_stays_inside(
    repository: ResticRepository, target: str | None, include: list[str]
) -> None:
    with a_world(repository.path.parent / "world") as world:
        if not list((repository.path / "snapshots").iterdir()):
            repository.restic("backup", "--host", "nas", "--tag", "rmactors-plan:home", str(world.home))
        agent_file = world.agent_file(
            Repository(str(repository.path), str(repository.password_file), cache_dir=str(repository.cache))
        )
        params = {
            "target": None if target is None else world.here(target),
            "include": [world.here(path) for path in include],
        }
        before = world.state()
        try:
            with tempfile.TemporaryDirectory() as state:
                end = trio.run(lambda: Jobs(agent_file, Path(state)).do("restore", **params))
        except JobRefused:
            event("refused")
        else:
            event(end.verdict.reason)
            into = end.stats.get("restored_into")
            assert into is None or into.startswith(tuple(f"{one}/" for one in world.targets) + tuple(world.targets))
        world.judge(before)
