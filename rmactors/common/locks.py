"""One process at a time: a lock on an open file, which the kernel lets go when its holder ends, however that is."""

import fcntl
import time
from typing import Final

_TRIES: Final = 10
_PAUSE_SECONDS: Final = 0.02


def take(descriptor: int, tries: int = _TRIES) -> bool:
    """Take the lock, to be held until the file is closed. False where another process has it, and keeps it.

    Blocks for a moment where somebody has it; not at all with `tries` 0.
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
