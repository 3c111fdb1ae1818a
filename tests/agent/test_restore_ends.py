"""Restores with real restics, from odd names to bad ends: contents compared, and every end says what is true.

Where restic itself says otherwise (a full disk, of which it says that all was restored), what lies there counts.
"""

import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.process import Stop
from rmactors.agent.restic_steps import JobResult
from rmactors.agent.restore_patterns import shown
from rmactors.common import wire
from tests.restic_rest_server import Asked, RestServer, rest_server
from tests.restics import version_of

from .jobs import Jobs
from .repositories import ResticRepository
from .server_double import eventually
from .small_disk import small_disk

ODD = (
    b"film [1080p]", b"new\nline", b"-rf", b"--help", b"x" * 255, b"\xff", b"\xff\xfebytes", b"half\xe2\x82",
    "\ufffd".encode(),
    b"\x1b[31m", b"tab\t", b"carriage\r", b"back\\slash", b"a?b*", b" lead", b"trail ", b"\x7f", b"$HOME", b"quote\"'",
    b"{a,b}", b"!no", b"#hash", b"a: b", "ü".encode(), "u\u0308".encode(), "\u202e".encode(), b"\xed\xa0\x80",
)  # fmt: skip
"""Names as bytes: patterns, line ends, options, the longest, what is no UTF-8, what steers a terminal."""


class Restores:
    """A repository with snapshots of one plan, and a folder that restores may go to."""

    def __init__(self, repository: ResticRepository, restic: str, folder: Path) -> None:
        self.repository = repository
        self.source = repository.source
        self.folder = folder
        self.agent_file: AgentFile = repository.agent_file(restic=restic, host="nas", restore_targets=[str(folder)])
        self.jobs: Jobs | None = None
        self.state = repository.path.parent / "state"

    def back_up(self) -> None:
        self.repository.restic("backup", "--host", "nas", "--tag", "rmactors-plan:home", str(self.source))

    def back_up_two_packs(self) -> None:
        """So large that restic reads them one after the other."""
        for number in range(6):
            (self.source / f"m{number}").write_bytes(os.urandom(4_500_000))
        self.back_up()

    def through(self, restic: str | None = None, address: str | None = None, folder: Path | None = None) -> None:
        """From now on with another restic, by another address of the repository, or to another folder."""
        self.agent_file = self.repository.agent_file(
            restic=restic or self.agent_file.restic, host="nas", restore_targets=[str(folder or self.folder)],
            repository={"repository": address} if address else {},
        )  # fmt: skip

    async def do(self, stop: Stop | None = None, **params: Any) -> JobResult:
        self.jobs = Jobs(self.agent_file, self.state)
        return await self.jobs.do("restore", stop, **params)

    async def called_off(self, when: Callable[[], bool]) -> JobResult:
        """A restore of everything that is called off as soon as `when` is so."""
        stop, ends = Stop(), []

        async def begin() -> None:
            ends.append(await self.do(stop, target=str(self.folder)))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(begin)
            await eventually(when)
            stop.ask("cancelled")
        return ends[0]

    def has_some(self) -> bool:
        """Whether some file lies there already."""
        return any(contents(os.fsencode(self.folder)).values())

    def tries_again(self) -> bool:
        """Whether restic has said so."""
        return any("retrying after" in str(frame) for frame in self.feed())

    def feed(self) -> list[wire.Frame]:
        """What the job shows that runs now."""
        return self.jobs.feed.take() if self.jobs is not None else []

    def landed(self, end: JobResult) -> bytes:
        """Where the source's files are now."""
        return os.fsencode(end.stats["restored_into"]) + os.fsencode(self.source)


@pytest.fixture
def restores(repository: ResticRepository, each_restic: str, tmp_path: Path) -> Restores:
    return Restores(repository, each_restic, tmp_path / "restore")


def make(path: bytes, content: bytes) -> None:
    os.makedirs(os.path.dirname(path))
    with open(path, "wb") as file:
        file.write(content)


def contents(folder: bytes) -> dict[bytes, bytes]:
    """Of every file below it, by its path from there."""
    found = {}
    for at, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(at, name)
            if stat.S_ISREG(os.lstat(path).st_mode):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


async def test_files_of_every_odd_name_are_restored_with_their_contents(restores: Restores) -> None:
    odd = os.fsencode(restores.source / "odd")
    for name in ODD:
        make(os.path.join(odd, name, name, name), name)
    restores.back_up()
    whole = await restores.do(target=str(restores.folder / "whole"))
    assert whole.verdict.status == "succeeded"
    assert whole.stats["restored_into"] == str(restores.folder / "whole")
    assert contents(restores.landed(whole)) == contents(os.fsencode(restores.source))
    every = await restores.do(include=[named(odd, name) for name in ODD])
    assert (every.verdict.status, every.verdict.error) == ("succeeded", None)
    expected = {b"odd/" + b"/".join([name] * 3): name for name in ODD}
    assert contents(restores.landed(every)) == expected
    for name in (b"film [1080p]", b"a?b*", b"half\xe2\x82", "\ufffd".encode()):
        end = await restores.do(include=[named(odd, name)])
        alike = {other for other in ODD if shown(os.fsdecode(other)) == shown(os.fsdecode(name))}
        assert contents(restores.landed(end)) == {b"odd/" + b"/".join([one] * 3): one for one in alike}
        assert end.stats["files_restored"] == len(alike)


def named(odd: bytes, name: bytes) -> str:
    """The path of that file as restic shows it, and so as somebody names it."""
    return shown(os.fsdecode(os.path.join(odd, name, name, name)))


async def test_odd_names_that_are_not_there_are_said_in_one_line(restores: Restores) -> None:
    restores.back_up()
    asked = [f"{restores.source}/{name}" for name in ("a.txt", "no\nsuch", "\x1b[2J", "\ufffd")]
    end = await restores.do(include=asked)
    assert (end.verdict.status, end.verdict.reason) == ("partial", "partial")
    assert end.verdict.error == (
        f"nothing in the snapshot matches {restores.source}/no such, {restores.source}/\ufffd[2J, "
        f"{restores.source}/\ufffd; what was found is restored"
    )


async def test_links_and_sparse_files_come_back_as_they_were(restores: Restores, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "letter").write_text("precious")
    before = (outside.stat().st_mtime_ns, (outside / "letter").stat().st_ino)
    links = {"absolute": str(outside), "up": "../../../../../../etc/passwd", "into": f"{outside}/new", "loop": "loop"}
    for name, to in links.items():
        (restores.source / name).symlink_to(to)
    (restores.source / "one").write_text("twice")
    (restores.source / "other").hardlink_to(restores.source / "one")
    with (restores.source / "sparse").open("wb") as sparse:
        sparse.write(b"begin")
        sparse.seek(20 << 20)
        sparse.write(b"end")
    restores.back_up()
    end = await restores.do()
    landed = Path(os.fsdecode(restores.landed(end)))
    assert {name: os.readlink(landed / name) for name in links} == links
    assert ((landed / "one").stat().st_ino, (landed / "one").stat().st_nlink) == ((landed / "other").stat().st_ino, 2)
    assert (landed / "sparse").read_bytes() == (restores.source / "sparse").read_bytes()
    if version_of(restores.agent_file.restic) >= (0, 15):
        assert (landed / "sparse").stat().st_blocks * 512 < 2 << 20
    assert (outside.stat().st_mtime_ns, (outside / "letter").stat().st_ino) == before
    assert list(outside.iterdir()) == [outside / "letter"]
    once = sum(path.stat().st_size for path in (restores.source / "b.bin", restores.source / "sparse"))
    assert end.stats["bytes_restored"] == once + len("twice") + len("alpha\n") + len("unicode\n")
    assert end.stats["files_restored"] == 3 + len(links) + 3


async def test_a_second_restore_to_the_same_folder_gets_a_new_one_and_leaves_the_first_as_it_is(
    restores: Restores,
) -> None:
    restores.back_up()
    target = restores.folder / "mine"
    first = await restores.do(target=str(target))
    (target / str(restores.source)[1:] / "a.txt").write_text("changed since")
    second = await restores.do(target=str(target))
    assert first.stats["restored_into"] == str(target)
    assert Path(second.stats["restored_into"]).parent == target
    assert (target / str(restores.source)[1:] / "a.txt").read_text() == "changed since"
    assert contents(restores.landed(second)) == contents(os.fsencode(restores.source))


@pytest.mark.parametrize("there", [True, False])
async def test_what_was_not_asked_to_be_made_is_not_removed_when_nothing_comes(
    there: bool, repository: ResticRepository, tmp_path: Path
) -> None:
    restores = Restores(repository, "restic", tmp_path / "restore")
    restores.back_up()
    target = restores.folder / "a" / "b"
    (target if there else restores.folder).mkdir(parents=True)
    end = await restores.do(target=str(target), include=["/nope"])
    assert (end.verdict.status, end.verdict.reason) == ("failed", "nothing_done")
    assert target.exists() is there
    assert (restores.folder / "a").exists() is there
    assert restores.folder.exists()


@pytest.mark.parametrize("there", ["link", "source"])
async def test_a_target_that_is_refused_on_the_disk_is_refused_in_words(
    there: str, repository: ResticRepository, tmp_path: Path
) -> None:
    restores = Restores(repository, "restic", repository.source if there == "source" else tmp_path / "restore")
    restores.back_up()
    restores.folder.mkdir(exist_ok=True)
    target = restores.folder / "target"
    if there == "link":
        target.symlink_to(tmp_path)
    before = files(tmp_path)
    end = await restores.do(target=str(target))
    assert (end.verdict.status, end.verdict.reason) == ("failed", "refused")
    assert ("is a symbolic link" if there == "link" else "lies inside the source") in (end.verdict.error or "")
    assert end.stats == {"files_restored": 0}
    assert files(tmp_path) - before <= files(restores.state) | files(repository.cache)


def files(folder: Path) -> set[Path]:
    return {folder, *folder.rglob("*")}


async def test_a_full_disk_fails_and_only_what_is_complete_counts(restores: Restores, tmp_path: Path) -> None:
    for number in range(6):
        (restores.source / f"m{number}: x").write_bytes(os.urandom(1_000_000))
    restores.back_up()
    with small_disk(tmp_path / "disk", 3072) as disk:
        restores.through(folder=disk.path)
        end = await restores.do(target=str(disk.path / "all"))
        there, source = contents(restores.landed(end)), contents(os.fsencode(restores.source))
        complete = {name for name, content in there.items() if content == source[name]}
    assert (end.verdict.status, end.verdict.reason) == ("failed", "error")
    assert 0 < len(complete) < len(source)
    assert end.stats["files_restored"] == len(complete)
    assert end.stats["files_incomplete"] == len(there) - len(complete)
    assert end.stats["bytes_restored"] == sum(len(source[name]) for name in complete)
    words = end.verdict.error or ""
    assert words.startswith(f"no space left where it was restored to: {len(source) - len(complete)} files could not be")
    assert f"; {len(complete)} files (" in words
    assert f"complete in {disk.path}/all, the others are not" in words


async def test_where_the_service_may_not_write_it_says_what_helps(repository: ResticRepository, tmp_path: Path) -> None:
    """As systemd shows it a folder that came into agent.toml later."""
    with small_disk(tmp_path / "disk") as disk:
        restores = Restores(repository, "restic", disk.path)
        restores.back_up()
        disk.make_read_only()
        end = await restores.do(target=str(disk.path / "all"))
    assert (end.verdict.status, end.verdict.reason) == ("failed", "error")
    assert end.verdict.error == (
        f"cannot make a folder in {disk.path}/all: Read-only file system; where systemd runs the agent, "
        "`rmactors agent install` once more lets it write there"
    )


async def test_a_file_that_cannot_be_restored_beside_others_makes_it_partial(
    restores: Restores, tmp_path: Path
) -> None:
    """As on a disk on which no file may be so large."""
    (restores.source / "large").write_bytes(os.urandom(3_000_000))
    restores.back_up()
    limited = tmp_path / "limited"
    limited.write_text(f'#!/bin/sh\nulimit -f 4000\ntrap "" XFSZ\nexec {restores.agent_file.restic} "$@"\n')
    limited.chmod(0o755)
    restores.through(restic=str(limited))
    end = await restores.do(target=str(restores.folder))
    assert (end.verdict.status, end.verdict.reason) == ("partial", "partial")
    words = end.verdict.error or ""
    # Which call fails first depends on whether the file system can reserve room.
    assert words.startswith(("1 file could not be restored: write ", "1 file could not be restored: truncate "))
    assert words.endswith(f": file too large; 3 files (50 kB) are complete in {restores.folder}")
    assert (end.stats["files_restored"], end.stats["files_incomplete"]) == (3, 1)
    restores.source = restores.source / "large"
    end = await restores.do(include=[str(restores.source)])
    assert (end.verdict.status, end.verdict.reason) == ("failed", "error")
    assert (end.stats["files_restored"], end.stats["files_incomplete"]) == (0, 1)


async def test_where_packs_are_missing_what_could_be_restored_is_and_the_rest_is_counted(restores: Restores) -> None:
    if version_of(restores.agent_file.restic) < (0, 17):
        pytest.skip("it tries for most of a minute")
    restores.back_up_two_packs()
    with rest_server(restores.repository.path) as server:
        restores.through(address=server.repository)
        server.fails = lambda asked: 404 if is_of_a_later_pack(asked, server) else None
        end = await restores.do(target=str(restores.folder / "all"))
    there, source = contents(restores.landed(end)), contents(os.fsencode(restores.source))
    complete = {name for name, content in there.items() if content == source[name]}
    assert 0 < len(complete) < len(source)
    assert (end.verdict.status, end.verdict.reason) == ("failed", "corrupt")
    assert end.stats["files_restored"] == len(complete)
    words = end.verdict.error or ""
    assert words.startswith("the repository is damaged: ")
    assert f"; {len(source) - len(complete)} files could not be restored; {len(complete)} file" in words


async def test_when_the_repository_goes_away_the_end_says_why_and_what_is_left_where(restores: Restores) -> None:
    """restic tries on for a quarter of an hour; here it is called off."""
    restores.back_up_two_packs()
    with rest_server(restores.repository.path) as server:
        restores.through(address=server.repository)
        server.fails = lambda asked: 500 if is_of_a_later_pack(asked, server) else None
        end = await restores.called_off(lambda: restores.has_some() and restores.tries_again())
    assert (end.verdict.status, end.verdict.reason) == ("cancelled", "cancelled")
    left = len(contents(os.fsencode(restores.folder)))
    words = end.verdict.error or ""
    assert words.startswith("cancelled; ")
    assert "500 Internal Server Error, tried for " in words
    files = f"{left} file{'' if left == 1 else 's'}"
    assert words.endswith(f"; what it restored until then, {files}, is in {restores.folder} and may be incomplete")
    assert "files_restored" not in end.stats
    assert (end.stats["files_left"], end.stats["restored_into"]) == (left, str(restores.folder))


async def test_a_restore_shows_how_far_it_is_and_can_be_called_off_in_the_middle(restores: Restores) -> None:
    restores.back_up_two_packs()
    goes_on = threading.Event()

    def hold(asked: Asked) -> None:
        if is_of_a_later_pack(asked, server):
            goes_on.wait(60)

    def is_in_the_middle() -> bool:
        shown.extend(frame for frame in restores.feed() if isinstance(frame, wire.JobProgress))
        return restores.has_some() and (bool(shown and shown[-1].bytes_done) or not has_progress)

    shown: list[wire.JobProgress] = []
    has_progress = version_of(restores.agent_file.restic) >= (0, 17)
    with rest_server(restores.repository.path) as server:
        restores.through(address=server.repository)
        server.fails = hold
        end = await restores.called_off(is_in_the_middle)
        goes_on.set()
    assert (end.verdict.status, end.verdict.reason) == ("cancelled", "cancelled")
    assert (end.verdict.error or "").startswith("cancelled; what it restored until then, ")
    assert end.stats["files_left"] == len(contents(os.fsencode(restores.folder)))
    if has_progress:
        assert 0 < shown[-1].percent < 100
        assert 0 < shown[-1].bytes_done < shown[-1].bytes_total


def is_of_a_later_pack(asked: Asked, server: RestServer) -> bool:
    """Whether it asks for data, and not out of the pack that was read first."""
    packs = [one.name for one in list(server.asked) if one.kind == "data" and one.method == "GET"]
    return asked.kind == "data" and bool(packs) and asked.name != packs[0]
