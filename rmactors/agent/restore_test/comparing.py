"""A restored file against its source. The source belongs to others, and may change at any time.

A difference is called one only where size and time of the source are as in the snapshot before and after it was read,
twice, and where it cannot have been written while the backup ran. Reads, and changes nothing; a source that hangs is
the caller's affair.
"""

import os
import stat
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from rmactors.agent.restore_test.sampling import Entry

UNSURE: Final = 60 * 10**9
"""Nanoseconds before a backup. What a program writes through a memory map may show in a file's time only where it
began, and is in no backup that read the file in between."""
_CHUNK: Final = 1 << 20


class RestoredUnreadable(Exception):
    """What was restored cannot be read back: this host's own disk. The message is the system's."""


class Seen(Enum):
    """What a look at a source came to."""

    EQUAL = "equal"
    CHANGED = "changed"
    """Another size or time than in the snapshot, or gone while it was read: there is nothing to compare with."""
    UNREADABLE = "unreadable"
    DIFFERENT = "different"


def look(entry: Entry, restored: str, began: int, moved_on: Callable[[], object] = lambda: None) -> Seen:
    """Compare once. `began` is the time of the backup, in nanoseconds; `moved_on` is called as reading goes on.

    Raises RestoredUnreadable.
    """
    if entry.mtime is None:
        return Seen.CHANGED
    try:
        # Never through a link at its end, and never waiting for a writer, should it be a named pipe by now.
        source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return Seen.CHANGED
    except (OSError, ValueError):
        return Seen.UNREADABLE
    try:
        return _compare(entry, source, restored, began, moved_on)
    except OSError:
        return Seen.UNREADABLE
    finally:
        os.close(source)


def _compare(entry: Entry, source: int, restored: str, began: int, moved_on: Callable[[], object]) -> Seen:
    """Raises OSError of the source, RestoredUnreadable of the other."""
    before = os.fstat(source)
    if not _is_as_saved(before, entry):
        return Seen.CHANGED
    if _are_equal(source, restored, moved_on):
        return Seen.EQUAL
    same = _identity(os.fstat(source)) == _identity(before) == _identity(os.stat(entry.path, follow_symlinks=False))
    return Seen.DIFFERENT if same and _is_certain(before, entry, began) else Seen.CHANGED


def _is_as_saved(found: os.stat_result, entry: Entry) -> bool:
    return stat.S_ISREG(found.st_mode) and (found.st_size, found.st_mtime_ns) == (entry.size, entry.mtime)


def _identity(found: os.stat_result) -> tuple[int, ...]:
    return (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _is_certain(found: os.stat_result, entry: Entry, began: int) -> bool:
    """Whether it cannot have been written between the moment when restic looked at its times and when it read it, or
    behind that, without a new time: clocks of file systems tick slowly. Who sets a time back leaves a newer ctime."""
    assert entry.mtime is not None
    return found.st_ctime_ns != entry.ctime or entry.mtime < began - UNSURE


def _are_equal(source: int, restored: str, moved_on: Callable[[], object]) -> bool:
    for expected in _chunks(restored):
        found = _read(source)
        moved_on()
        if found != expected:
            return False
    return True


def _chunks(path: str) -> Iterator[bytes]:
    """The file in chunks, the last of them empty."""
    try:
        with open(path, "rb", buffering=0) as file:
            while chunk := _read(file.fileno()):
                yield chunk
            yield b""
    except OSError as error:
        raise RestoredUnreadable(error.strerror or str(error)) from None


def _read(handle: int) -> bytes:
    """A whole chunk, but at the end of the file."""
    parts, missing = [], _CHUNK
    while missing and (part := os.read(handle, missing)):
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
