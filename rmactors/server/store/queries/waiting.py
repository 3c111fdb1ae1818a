"""Since when a channel's queue waits for the channel, and not for a time that was set: what quiet hours hold back waits
for their end, and what was held back counts from then."""

from dataclasses import dataclass
from typing import Final

from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.store.database import Database

QUIET: Final = "its quiet hours"
"""Why a channel is held that nobody asked for quiet but its own settings."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """`oldest_at`: since when the oldest waits that could have gone out; None if none could. `quiet_until`: the end of
    the quiet hours for which something waits."""

    oldest_at: int | None
    quiet_until: int | None


def waiting(db: Database, channel_id: str, quiet_hours: str, at: int, due: bool = False) -> Waiting:
    """Of a channel with quiet hours, as of `at`. `due`: without what waits for others of its group."""
    quiet = QuietHours.from_json(quiet_hours)
    assert quiet is not None
    loud, other = db.execute(
        "SELECT min(CASE WHEN loud = 1 THEN created_at END), min(CASE WHEN loud = 0 THEN created_at END)"
        " FROM deliveries WHERE channel_id = ? AND state = 'queued' AND (? = 0 OR attempts > 0 OR due_at <= ?)",
        (channel_id, int(due), at),
    ).fetchone()
    night = quiet.at(at)
    if other is None or night is not None:
        return Waiting(loud, night.end if night is not None and other is not None else None)
    since = quiet.over_at(other)
    return Waiting(since if loud is None else min(loud, since), None)
