"""What a batch reads once, or writes once at its end, however many of its commits are about it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from rmactors.server.store.database import Row

NEXT_NUMBER: Final = "SELECT next_seq FROM channels WHERE id = ?"
SAVE_NUMBER: Final = "UPDATE channels SET next_seq = ? WHERE id = ?"
_BACKUPS: Final = "FROM jobs WHERE host_id = ? AND kind = 'backup' AND finished_at IS NOT NULL"
NOTE_BACKUPS: Final = (
    f"UPDATE hosts SET last_backup_at = coalesce((SELECT max(finished_at) {_BACKUPS}), last_backup_at),"  # noqa: S608 - its own words
    f" last_good_backup_at = coalesce((SELECT finished_at {_BACKUPS} AND finished_at >= ?"
    " AND finished_at > hosts.last_good_backup_at AND status IN ('succeeded', 'partial')"
    " ORDER BY finished_at DESC LIMIT 1), last_good_backup_at) WHERE id = ?"
)
_NEVER: Final = (1 << 63) - 1


@dataclass(slots=True)
class BatchEnd:
    """Filled by the transactions of a batch, those that fail too: a number may be left out, and what is noted of a host
    is what its jobs say then."""

    numbers: dict[str, int] = field(default_factory=dict)
    """By channel, the next place in its queue."""
    looked: dict[tuple[str, tuple[Any, ...]], Row | None] = field(default_factory=dict)
    """By statement and parameters, what was found: see `Transaction.look`."""
    _backups: dict[str, int] = field(default_factory=dict)
    """By host, the earliest good end; `_NEVER` if there is none."""

    def note_backup(self, host_id: str, good_at: int | None) -> None:
        """A backup of this host has ended; `good_at`: well, and when."""
        self._backups[host_id] = min(self._backups.get(host_id, _NEVER), _NEVER if good_at is None else good_at)

    def statements(self) -> Iterator[tuple[str, tuple[Any, ...]]]:
        for channel_id, number in self.numbers.items():
            yield SAVE_NUMBER, (number, channel_id)
        for host_id, good_at in self._backups.items():
            yield NOTE_BACKUPS, (host_id, host_id, good_at, host_id)
