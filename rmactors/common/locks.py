"""One process at a time, or several that are counted: a lock on an open file, which the kernel releases when its holder
ends, however that is."""

import fcntl
import os
import time
from pathlib import Path
from typing import Final

_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.02


def take(descriptor: int, tries: int = _TRIES) -> bool:
    """Take the lock, to be held until the file is closed. False if another process has it, and keeps it.

    Blocks for a moment if somebody has it; not at all with `tries` 0.
    """
    for patience in range(tries, -1, -1):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if patience:
                time.sleep(_PAUSE_SECONDS)  # it may be somebody who only looks
    return False


def is_taken(descriptor: int) -> bool:
    """Whether another process has the lock. Looks for an instant, and leaves it as it is."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def share(descriptor: int) -> None:
    """Be one of those who hold the lock together, until the file is closed. Waits while one process has it alone."""
    fcntl.flock(descriptor, fcntl.LOCK_SH)


def sharers(file: Path, listed: Path = Path("/proc/locks")) -> set[int]:
    """The numbers of the processes that share the lock on that file. Empty if the system does not tell."""
    try:
        inode, lines = os.stat(file).st_ino, listed.read_text().splitlines()
    except OSError:
        return set()
    found = set()
    for line in lines:  # `1: FLOCK  ADVISORY  READ 4711 08:02:131 0 EOF`; who waits has `->` behind the number
        match line.split()[1:6]:
            # the device is left out: some file systems show another one here than to `stat`
            case ["FLOCK", _, "READ", pid, place] if place.rpartition(":")[2] == str(inode):
                found.add(int(pid))
    return found
