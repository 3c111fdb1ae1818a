"""The private folders of restore tests: who can enter them, where they are remembered, and that they go."""

import os
import stat
from pathlib import Path

import pytest
import trio

from rmactors.agent import checking
from rmactors.agent.restore_test import folder as folder_module
from rmactors.agent.restore_test.folder import NoFolder, PrivateFolders, clear_left_over, empty, files_in, used
from rmactors.common import ids

from .small_disk import small_disk

JOB = "01" + "J" * 24


@pytest.fixture(params=["in the state dir", "elsewhere"])
def folders(tmp_path: Path, request: pytest.FixtureRequest) -> PrivateFolders:
    (tmp_path / "state").mkdir(mode=0o700)
    if request.param == "in the state dir":
        return PrivateFolders(tmp_path / "state")
    (tmp_path / "place").mkdir()
    return PrivateFolders(tmp_path / "state", str(tmp_path / "place"))


def fill(folder: str) -> None:
    """With what restic may leave: folders that keep their owner out, links, and files of any mode."""
    deep = Path(files_in(folder)) / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "file").write_bytes(b"x" * 10_000)
    (deep / "file").chmod(0)
    (deep / "link").symlink_to("/etc")
    deep.chmod(0o000)
    deep.parent.chmod(0o500)


def test_a_folder_is_new_and_for_its_owner_alone_and_goes_with_all_in_it(folders: PrivateFolders) -> None:
    folder = folders.make(JOB)
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    assert folder.startswith(folders.above)
    fill(folder)
    assert used(folder) >= 10_000
    empty(folder)
    assert os.listdir(folder) == []
    fill(folder)
    assert folders.remove(JOB) is None
    assert folders.remove(JOB) is None, "and once more"
    assert folders.left_over() == os.listdir(folders.above) == []
    assert os.path.isdir("/etc")


def test_what_an_agent_left_is_known_and_cleared(folders: PrivateFolders) -> None:
    assert folders.left_over() == []
    jobs = sorted(ids.new() for _ in range(2))
    for job in jobs:
        fill(folders.make(job))
    again = PrivateFolders(folders.state, "/another/place/by/now")
    assert again.left_over() == jobs
    trio.run(clear_left_over, again, jobs)
    assert again.left_over() == os.listdir(folders.above) == []


def test_a_link_without_its_folder_is_cleared(tmp_path: Path) -> None:
    """The agent was killed between the two."""
    folders = PrivateFolders(tmp_path, str(tmp_path))
    os.rmdir(folders.make(JOB))
    assert folders.left_over() == [JOB]
    assert folders.clear(JOB) is None
    assert folders.left_over() == []


@pytest.mark.parametrize("leads_to", ["somewhere", "rmactors-restore-test-other", f"rmactors-restore-test-{JOB}"])
def test_a_link_that_leads_elsewhere_takes_nothing_along(tmp_path: Path, leads_to: str) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    entries = tmp_path / "state" / "restore-tests"
    entries.mkdir(parents=True)
    (tmp_path / leads_to).symlink_to(precious)
    (entries / JOB).symlink_to(tmp_path / leads_to)
    assert PrivateFolders(tmp_path / "state").clear(JOB) is None
    assert precious.is_dir()
    assert not os.path.lexists(entries / JOB)


def test_a_place_that_is_not_there_or_can_be_changed_by_others_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NoFolder, match=r"cannot make a folder in .*/gone: no such file or directory; make it, or name"):
        PrivateFolders(tmp_path, str(tmp_path / "gone")).make(JOB)
    assert PrivateFolders(tmp_path).left_over() == [], "the link went too"
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(NoFolder, match="anyone who can change it decides where files land: chmod o-w"):
        PrivateFolders(tmp_path, str(tmp_path / "open")).make(JOB)


def test_a_folder_that_is_there_already_is_left_as_it_is(folders: PrivateFolders) -> None:
    folder = folders.make(JOB)
    (Path(folder) / "file").touch()
    with pytest.raises(NoFolder, match="file exists"):
        folders.make(JOB)
    assert os.listdir(folder) == ["file"]


async def test_what_cannot_be_removed_now_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_module, "_AGAIN_SECONDS", 0.01)
    folders = PrivateFolders(tmp_path)
    folder = folders.make(JOB)
    async with trio.open_nursery() as nursery:
        with small_disk(Path(files_in(folder))):  # what is mounted there cannot be removed
            assert folders.clear(JOB) == folder
            nursery.start_soon(clear_left_over, folders, [JOB])
            await trio.sleep(0.05)
            assert folders.left_over() == [JOB]
    assert folders.left_over() == []


async def test_agent_check_looks_at_the_place_for_restore_tests(tmp_path: Path) -> None:
    place, missing, open_to_all = tmp_path / "place", tmp_path / "missing", tmp_path / "open"
    place.mkdir()
    open_to_all.mkdir()
    open_to_all.chmod(0o777)

    async def said(place: Path, allow: str = "restore_test") -> tuple[bool | None, str]:
        file = tmp_path / "agent.toml"
        file.write_text(f'allow = ["{allow}"]\nrestore_test_dir = "{place}"\nrestic = "/nonexistent/restic"\n')
        found = [finding async for finding in checking.check(file, tmp_path / "state", asked_for=True)]
        (one,) = [finding for finding in found if str(place) in finding.text]
        return one.ok, one.text

    ok, text = await said(place)
    assert ok is True
    assert text.startswith(f"restore tests use {place}; ")
    assert await said(place, "check") == (
        None, f"restore_test_dir: {place} is of no use as long as `allow` does not list restore_test")  # fmt: skip
    assert await said(missing) == (
        False, f"restore_test_dir: {missing} is no folder, or not there: make it, or name another")  # fmt: skip
    assert "can be written by everybody" in (await said(open_to_all))[1]
