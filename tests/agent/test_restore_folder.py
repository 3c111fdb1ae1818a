"""The folder that a restore goes into, on a real disk: links, what others can change, what lies there already."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from rmactors.agent import checking
from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.agent.restore_folder import clash, folder_for, make_folder
from rmactors.agent.restore_targets import Target, TargetRefused, target_of

JOB = "J" * 26


class Disk:
    """A folder for restores beside a source and a repository, and an agent.toml that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.allowed = folder / "restore"
        self.source = folder / "home"
        self.repository = folder / "repo"
        for one in (self.allowed, self.source, self.repository):
            one.mkdir(0o700)
        self.exclude: list[str] = []

    def target(self, target: Path | str | None = None, *, allowed: Path | None = None) -> Target:
        agent_file = AgentFile(
            repositories={"main": Repository(str(self.repository), password_file="/p")},
            plans={"home": Plan("main", [str(self.source)], exclude=self.exclude)},
            restore_targets=[str(allowed or self.allowed)],
        )
        return target_of(agent_file, "main", None if target is None else str(target), JOB)

    def refusal(self, target: Target) -> str:
        """The words of it, the same whether something is to be made or not, and nothing is made."""
        before = sorted(self.folder.rglob("*"))
        with pytest.raises(TargetRefused) as said:
            folder_for(target)
        with pytest.raises(TargetRefused) as again:
            make_folder(target)
        assert str(said.value) == str(again.value)
        assert sorted(self.folder.rglob("*")) == before
        return str(said.value)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.mark.parametrize("below", ["", "new", "new/deep/er", "there", "there/new"])
def test_a_folder_that_is_empty_or_not_there_is_restored_right_into(below: str, disk: Disk) -> None:
    (disk.allowed / "there").mkdir()
    if not below:
        (disk.allowed / "there").rmdir()
    asked = disk.allowed / below
    target = disk.target(asked)
    missing = [path for path in (*reversed(asked.parents), asked) if not path.exists()]
    assert folder_for(target) == str(asked)
    assert [path for path in (*reversed(asked.parents), asked) if not path.exists()] == missing, "looking makes nothing"
    place = make_folder(target)
    assert place.into == str(asked)
    assert place.made == tuple(map(str, missing))
    assert all(path.stat().st_mode & 0o777 == 0o700 for path in missing)


def test_where_something_lies_a_new_folder_is_made_beside_it(disk: Disk) -> None:
    (disk.allowed / "there").mkdir()
    (disk.allowed / "there" / "letter").write_text("precious")
    target = disk.target(disk.allowed / "there")
    assert folder_for(target) == make_folder(target).into == str(disk.allowed / "there" / JOB)
    assert (disk.allowed / "there" / JOB).stat().st_mode & 0o777 == 0o700
    assert (disk.allowed / "there" / "letter").read_text() == "precious"


def test_two_restores_at_a_time_to_the_same_empty_folder_do_not_mix(disk: Disk) -> None:
    first = make_folder(disk.target(disk.allowed / "a"))
    assert make_folder(disk.target(disk.allowed / "a")).into == str(disk.allowed / "a" / JOB)
    (disk.allowed / "a" / JOB).rmdir()
    first.release()
    assert folder_for(disk.target(disk.allowed / "a")) == first.into
    assert make_folder(disk.target(disk.allowed / "a")).into == first.into


def test_without_a_target_a_new_folder_is_made_also_in_an_empty_one(disk: Disk) -> None:
    target = disk.target()
    assert folder_for(target) == make_folder(target).into == str(disk.allowed / JOB)


def test_the_folder_of_the_file_is_made_where_only_that_is_missing(disk: Disk) -> None:
    disk.allowed.rmdir()
    target = disk.target(disk.allowed / "a")
    assert folder_for(target) == str(disk.allowed / "a")
    assert make_folder(target).made == (str(disk.allowed), str(disk.allowed / "a"))
    nowhere = disk.target(None, allowed=disk.folder / "no" / "such")
    assert folder_for(nowhere) == str(disk.folder / "no" / "such" / JOB)
    with pytest.raises(FileNotFoundError):
        make_folder(nowhere)


@pytest.mark.parametrize("there", ["folder", "file", "link to a folder", "link to nowhere"])
def test_a_restore_never_lands_in_what_has_the_name_of_its_new_folder(there: str, disk: Disk) -> None:
    elsewhere, taken = disk.folder / "elsewhere", disk.allowed / JOB
    match there:
        case "folder":
            taken.mkdir()
        case "file":
            taken.write_text("precious")
        case "link to a folder":
            elsewhere.mkdir()
            taken.symlink_to(elsewhere)
        case _:
            taken.symlink_to(elsewhere)
    with pytest.raises(FileExistsError):
        make_folder(disk.target())
    assert not elsewhere.exists() or not list(elsewhere.iterdir())


@pytest.mark.parametrize("below", ["link", "link/deeper", "a/link"])
@pytest.mark.parametrize("to", ["/etc", "inside", "nowhere"])
def test_a_link_below_the_folder_of_the_file_is_refused_wherever_it_leads(below: str, to: str, disk: Disk) -> None:
    (disk.allowed / "a").mkdir()
    (disk.allowed / "inside").mkdir()
    where = {"/etc": Path("/etc"), "inside": disk.allowed / "inside", "nowhere": disk.allowed / "nowhere"}[to]
    link = disk.allowed / ("a/link" if below == "a/link" else "link")
    link.symlink_to(where)
    assert disk.refusal(disk.target(disk.allowed / below)).startswith(f"{link} is a symbolic link")


def test_the_folder_of_the_file_may_be_a_link_itself(disk: Disk) -> None:
    real = disk.folder / "disk"
    real.mkdir()
    (disk.folder / "named").symlink_to(real)
    place = make_folder(disk.target(disk.folder / "named" / "a", allowed=disk.folder / "named"))
    assert place.into == str(disk.folder / "named" / "a")
    assert (real / "a").is_dir()


@pytest.mark.parametrize("what", ["file", "fifo"])
def test_what_is_no_folder_is_no_target(what: str, disk: Disk) -> None:
    thing = disk.allowed / "thing"
    os.mkfifo(thing) if what == "fifo" else thing.write_text("precious")
    for below in ("thing", "thing/deeper"):
        assert "is there, and is no folder" in disk.refusal(disk.target(disk.allowed / below))


def test_a_folder_that_others_can_change_is_no_target(disk: Disk) -> None:
    (disk.allowed / "a").mkdir()
    (disk.allowed / "a").chmod(0o777)
    words = disk.refusal(disk.target(disk.allowed / "a"))
    assert words == (
        f"restore_targets {disk.allowed}/a can be written by everybody, and anyone who can change it decides where a "
        f"restore lands: chmod o-w {disk.allowed}/a"
    )
    assert "on the way to it" in disk.refusal(disk.target(disk.allowed / "a" / "b"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_another_user_is_no_target(disk: Disk) -> None:
    (disk.allowed / "theirs").mkdir()
    os.chown(disk.allowed / "theirs", 65534, 65534)
    assert "belongs to nobody" in disk.refusal(disk.target(disk.allowed / "theirs"))


def test_in_an_empty_folder_where_all_may_put_something_a_restore_gets_one_of_its_own(disk: Disk) -> None:
    (disk.allowed / "tmp").mkdir()
    (disk.allowed / "tmp").chmod(0o1777)
    assert make_folder(disk.target(disk.allowed / "tmp")).into == str(disk.allowed / "tmp" / JOB)


@pytest.mark.parametrize("by", ["name", "link"])
def test_a_target_that_meets_a_source_or_a_repository_is_refused(by: str, disk: Disk) -> None:
    (disk.source / "inner").mkdir()
    (disk.repository / "data").mkdir()
    top = disk.folder
    if by == "link":
        top = disk.folder / "other"
        top.symlink_to(disk.folder)
    source = f"the source {disk.source} of plan home"
    for path, words in (
        (top / "home", f"{top / 'home'} is {source}"),
        (top / "home" / "inner", f"{top / 'home' / 'inner'} lies inside {source}"),
        (top / "home" / "inner" / "new", f"lies inside {source}: name a folder outside of it, or exclude"),
        (top / "repo" / "data", "lies inside the repository main: name a folder outside of it"),
    ):
        assert words in disk.refusal(disk.target(path, allowed=path))
    assert f"{top} contains {source}" in disk.refusal(disk.target(top, allowed=top))
    beside = disk.target(top / "home2", allowed=top)
    assert make_folder(beside).into == str(top / "home2")


def test_a_source_that_is_a_link_is_met_where_it_leads_to(disk: Disk) -> None:
    real = disk.folder / "disk" / "home"
    real.mkdir(parents=True)
    disk.source.rmdir()
    disk.source.symlink_to(real)
    assert "lies inside the source" in disk.refusal(disk.target(real / "x", allowed=real))
    assert "contains the source" in disk.refusal(disk.target(real.parent, allowed=real.parent))


@pytest.mark.parametrize("exclude", ["restore", "restore/", "."])
def test_a_folder_that_the_plan_excludes_does_not_lie_in_its_source(exclude: str, disk: Disk) -> None:
    disk.source = disk.folder
    assert "lies inside the source" in disk.refusal(disk.target(disk.allowed / "a"))
    disk.exclude = [f"{disk.folder}/restor?", "restore", f"{disk.folder}/restor"]
    assert "lies inside the source" in disk.refusal(disk.target(disk.allowed / "a"))
    disk.exclude = [f"{disk.folder}/{exclude}"]
    assert make_folder(disk.target(disk.allowed / "a")).into == str(disk.allowed / "a")


def test_the_same_folder_under_another_mount_is_met(disk: Disk) -> None:
    (disk.source / "inner").mkdir()
    mount = disk.folder / "mount"
    mount.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "--bind", str(disk.source), str(mount)], check=False).returncode:
        pytest.skip("only root can mount")
    try:
        for path, words in (
            (mount, "is the source"),
            (mount / "inner", "lies inside the source"),
            (mount / "new" / "er", "lies inside the source"),
        ):
            assert words in (clash(disk.target(path, allowed=mount)) or "")
        disk.source = mount / "inner"
        assert "contains the source" in (clash(disk.target(disk.folder / "home", allowed=disk.folder)) or "")
    finally:
        subprocess.run(["umount", str(mount)], check=True)


async def check_of(disk: Disk, *targets: Path, allow: str = '"restore"') -> list[tuple[bool | None, str]]:
    """What `agent check` says of these folders."""
    file = disk.folder / "agent.toml"
    (disk.folder / "pass").touch(0o600)
    file.write_text(
        f"allow = [{allow}]\nrestore_targets = {json.dumps(list(map(str, targets)))}\n"
        f'restic = "/nonexistent/restic"\n[repositories.main]\nrepository = "{disk.repository}"\n'
        f'password_file = "{disk.folder}/pass"\n[plans.home]\nrepository = "main"\nsources = ["{disk.source}"]\n'
    )
    found = [finding async for finding in checking.check(file, disk.folder / "state", asked_for=True)]
    return [(one.ok, one.text) for one in found if "restore" in one.text]


async def test_agent_check_looks_at_each_folder_for_restores(disk: Disk) -> None:
    writable, missing, thing = disk.folder / "writable", disk.folder / "missing", disk.folder / "thing"
    writable.mkdir()
    writable.chmod(0o777)
    thing.touch()
    _, good, *others = await check_of(disk, disk.allowed, missing, thing, writable, disk.source / "in", disk.folder)
    assert good[0] is True
    assert re.fullmatch(rf"restores may go into {disk.allowed}; \d\S* \w+ are free there", good[1])
    assert [(ok, text.removeprefix("restore_targets")) for ok, text in others] == [
        (None, f": {missing} is not there yet: make it before the first restore"),
        (False, f": {thing} is no folder"),
        (
            False,
            f" {writable} can be written by everybody, and anyone who can change it decides where a restore lands: "
            f"chmod o-w {writable}",
        ),
        (
            False,
            f": {disk.source}/in lies inside the source {disk.source} of plan home: name a folder outside of it, or "
            "exclude that folder from the plan",
        ),
        (
            False,
            f": {disk.folder} contains the source {disk.source} of plan home: nothing is ever restored over that; "
            "name a folder beside it",
        ),
    ]


async def test_agent_check_says_that_folders_for_restores_are_of_no_use_where_none_is_allowed(disk: Disk) -> None:
    ((ok, text),) = await check_of(disk, disk.allowed, allow='"backup"')
    assert ok is None
    assert "as long as `allow` does not list restore" in text
