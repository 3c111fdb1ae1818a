"""A host's clock that differs from the server's, and what that means for the host's slots.

What runs on a host fires by the host's clock, and its reports carry that clock's times. So a run counts for a slot if
it does by either clock, and a slot is missed only when it is late by both. An offset is the host's clock minus the
server's; all times and the offsets given back are microseconds.
"""

from rmactors.common.clock import HOUR, SECOND

LEAST = 2 * SECOND
"""Less may be the way that a frame took."""
MOST = HOUR
"""With more, the clock is shown as wrong and not followed: half a day of alerts must not wait for it."""

FAR_SECONDS = 30.0
"""A clock that is this far off is one that nothing keeps right: people are notified."""


def believed(offset_seconds: float | None) -> int:
    """By how much the host's slots may be shifted; 0 if the offset is unknown, too small or too large."""
    if offset_seconds is None or not LEAST <= abs(offset_seconds) * SECOND <= MOST:
        return 0
    return round(offset_seconds * SECOND)


def latest_start(said: int, received_at: int, offset: int) -> int:
    """When a run began, by whichever clock says later. `said` is what the host said, not clamped."""
    return min(max(said, said - offset), received_at + max(0, offset))


def start_here(said: int, received_at: int, offset: int) -> int:
    """When a run began by the server's clock, at the latest."""
    return min(max(said, said - offset), received_at)


def earlier(at: int, offset: int) -> int:
    """What `at` (by the server's clock) is by the clock that is behind the other."""
    return at + min(0, offset)


def later(at: int, offset: int) -> int:
    """What `at` (by the server's clock) is by the clock that is ahead of the other."""
    return at + max(0, offset)
