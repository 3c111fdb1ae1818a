"""A restored file against its source: what is called a difference, and what is an honest change."""

import os
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from rmactors.agent.restore_test.comparing import UNSURE, RestoredUnreadable, Seen, look
from rmactors.agent.restore_test.sampling import Entry

OLD = 1_000_000_000 * 10**9
LATER = OLD + 3_600 * 10**9
"""When the backup began, an hour after the source was written."""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(b"content" * 400_000)
    os.utime(path, ns=(OLD, OLD))
    return path


@pytest.fixture
def restored(tmp_path: Path, source: Path) -> Path:
    path = tmp_path / "restored"
    path.write_bytes(source.read_bytes())
    return path


def saved(path: Path) -> Entry:
    found = path.stat()
    return Entry(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def alter(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"X")


def test_what_is_as_it_was_is_equal(source: Path, restored: Path) -> None:
    moves: list[None] = []
    assert look(saved(source), str(restored), LATER, lambda: moves.append(None)) is Seen.EQUAL
    assert len(moves) > 2


@pytest.mark.parametrize("at", [0, 1_500_000, 2_799_999])
def test_a_byte_that_is_other_under_the_same_size_and_time_is_a_difference(
    source: Path, restored: Path, at: int
) -> None:
    alter(restored, at)
    assert look(saved(source), str(restored), LATER) is Seen.DIFFERENT


def test_a_time_that_was_set_back_is_seen_also_shortly_before_the_backup(source: Path, restored: Path) -> None:
    entry = saved(source)
    alter(source, 5)
    os.utime(source, ns=(OLD, OLD))
    assert source.stat().st_ctime_ns != entry.ctime
    assert look(entry, str(restored), OLD) is Seen.DIFFERENT


def test_what_may_have_been_written_while_the_backup_ran_is_no_difference(source: Path, restored: Path) -> None:
    """Its time is the same, for the clock of the file system had not ticked meanwhile."""
    alter(restored, 5)
    entry = saved(source)
    assert look(entry, str(restored), OLD + UNSURE) is Seen.CHANGED
    assert look(entry, str(restored), OLD - UNSURE) is Seen.CHANGED, "the backup ran longer than that"
    assert look(entry, str(restored), OLD + UNSURE + 1) is Seen.DIFFERENT


def test_another_size_or_time_is_a_change(source: Path, restored: Path) -> None:
    entry = saved(source)
    os.utime(source, ns=(OLD, OLD + 1))
    assert look(entry, str(restored), LATER) is Seen.CHANGED
    with source.open("ab") as file:
        file.write(b"more")
    os.utime(source, ns=(OLD, OLD))
    assert look(entry, str(restored), LATER) is Seen.CHANGED
    assert look(Entry(str(source), 1, None, None), str(restored), LATER) is Seen.CHANGED


def test_what_is_gone_or_is_something_else_by_now_is_no_difference(source: Path, restored: Path) -> None:
    entry = saved(source)
    source.unlink()
    assert look(entry, str(restored), LATER) is Seen.CHANGED
    os.mkfifo(source)
    assert look(entry, str(restored), LATER) is Seen.CHANGED, "and nothing waits for who writes into it"
    source.unlink()
    source.mkdir()
    assert look(entry, str(restored), LATER) is Seen.CHANGED
    source.rmdir()
    source.symlink_to(restored)
    assert look(entry, str(restored), LATER) is Seen.UNREADABLE
    assert look(Entry("/nul\0", 1, OLD, OLD), str(restored), LATER) is Seen.UNREADABLE


def test_a_change_while_it_is_read_is_no_difference(source: Path, restored: Path) -> None:
    entry = saved(source)
    alter(restored, 2_000_000)
    changes: list[None] = []

    def change() -> None:
        if not changes:
            changes.append(None)
            alter(source, 0)

    assert look(entry, str(restored), LATER, change) is Seen.CHANGED


def test_a_source_that_is_replaced_while_it_is_read_is_no_difference(source: Path, restored: Path) -> None:
    entry = saved(source)
    alter(restored, 2_000_000)

    def replace() -> None:
        other = source.with_name("other")
        other.write_bytes(b"x")
        other.replace(source)

    assert look(entry, str(restored), LATER, replace) is Seen.CHANGED


def test_a_read_that_fails_is_no_difference(source: Path, restored: Path) -> None:
    def fail() -> None:
        raise OSError("the disk is gone")

    assert look(saved(source), str(restored), LATER, fail) is Seen.UNREADABLE


def test_a_restored_file_that_cannot_be_read_back_is_this_hosts_trouble(source: Path, restored: Path) -> None:
    restored.unlink()
    with pytest.raises(RestoredUnreadable, match="No such file"):
        look(saved(source), str(restored), LATER)


class Writer(threading.Thread):
    """Changes files in every honest way, for as long as the block lasts."""

    def __init__(self, paths: list[Path], seed: int) -> None:
        super().__init__(daemon=True)
        self._paths, self._dice, self._over = paths, Random(seed), threading.Event()

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self.join(30)

    def run(self) -> None:
        while not self._over.is_set():
            path, way = self._dice.choice(self._paths), self._dice.randrange(6)
            if way < 3:
                with path.open("r+b") as file:
                    file.seek(self._dice.randrange(3_000))
                    file.write(self._dice.randbytes(200))
            elif way == 3:
                path.write_bytes(self._dice.randbytes(self._dice.choice((3_200, 3_200, 5_000))))
            elif way == 4:
                other = path.with_name(f".{path.name}")
                other.write_bytes(self._dice.randbytes(3_200))
                other.replace(path)
            else:
                self._over.wait(self._dice.random() * 0.01)  # files rest as well


def backed_up(path: Path, into: Path) -> Entry:
    """As restic does it: its times first, then what is in it."""
    with path.open("rb") as file:
        found = os.fstat(file.fileno())
        content = file.read()
    into.write_bytes(content)
    return Entry(str(path), found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def rounds(seconds: float) -> Iterator[int]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield time.time_ns()


def test_an_honest_change_is_never_a_difference(tmp_path: Path) -> None:
    """Of files that change while they are saved, while they are compared, and hardly at all."""
    paths = [tmp_path / f"{n}" for n in range(3)]
    for path in paths:
        path.write_bytes(os.urandom(3_200))
    copy, seen = tmp_path / "copy", Counter[Seen]()
    with Writer(paths, seed=1):
        for began in rounds(2.0):
            for path in paths:
                entry = backed_up(path, copy)
                if entry.size == copy.stat().st_size:  # else restic says that it changed while it was read
                    seen.update(look(entry, str(copy), began) for _ in range(3))
    assert seen[Seen.DIFFERENT] == 0
    assert seen[Seen.EQUAL] > 0
    assert seen[Seen.CHANGED] > 0
