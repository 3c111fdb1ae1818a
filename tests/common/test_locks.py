"""A lock on a file that several processes hold together: they are counted, as the kernel tells."""

import os
from pathlib import Path

from rmactors.common import locks


def test_who_shares_a_lock_is_known_until_the_file_is_closed(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    handle = os.open(file, os.O_RDWR | os.O_CREAT)
    assert locks.sharers(file) == set()
    locks.share(handle)
    assert locks.sharers(file) == {os.getpid()}
    os.close(handle)
    assert locks.sharers(file) == set()


def test_who_has_a_lock_alone_shares_it_with_none(tmp_path: Path) -> None:
    file = tmp_path / "lock"
    handle = os.open(file, os.O_RDWR | os.O_CREAT)
    assert locks.take(handle)
    assert locks.sharers(file) == set()
    os.close(handle)


def test_of_a_list_only_the_shared_locks_on_that_file_count(tmp_path: Path) -> None:
    file, listed = tmp_path / "lock", tmp_path / "locks"
    file.touch()
    inode = file.stat().st_ino
    listed.write_text(
        f"1: POSIX  ADVISORY  READ 11 08:02:{inode} 0 EOF\n"
        f"2: FLOCK  ADVISORY  READ 12 08:02:{inode} 0 EOF\n"
        f"2: -> FLOCK  ADVISORY  WRITE 13 08:02:{inode} 0 EOF\n"
        f"3: FLOCK  ADVISORY  READ 14 00:2f:{inode}9 0 EOF\n"
        f"4: FLOCK  ADVISORY  READ 15 00:2f:{inode} 0 EOF\n"
        "5: something new\n"
    )
    assert locks.sharers(file, listed) == {12, 15}


def test_where_nothing_is_told_there_is_none(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    assert locks.sharers(tmp_path / "lock", tmp_path / "no list") == set()
    assert locks.sharers(tmp_path / "no file") == set()
