"""Reads for links in messages: what one is about, and whether what it asks for is so already."""

from dataclasses import dataclass

from rmactors.server.store.database import Database
from rmactors.server.store.queries import alerts
from rmactors.server.store.queries.alerts import AlertRow


@dataclass(frozen=True, slots=True)
class LinkedRows:
    """The alert, None where it was removed; the name of the channel, None where it was deleted or disabled."""

    alert: AlertRow | None
    channel: str | None


def linked(db: Database, alert_id: str, channel_id: str) -> LinkedRows:
    row = db.execute("SELECT name FROM channels WHERE id = ? AND enabled = 1", (channel_id,)).fetchone()
    return LinkedRows(alerts.alert(db, alert_id), row["name"] if row is not None else None)


def silenced(db: Database, host_id: str, kind: str, by: str, until: int) -> bool:
    """Whether a silence by `by` holds this kind of this host's alerts back until then or longer."""
    found = db.execute(
        "SELECT 1 FROM silences WHERE deleted_at IS NULL AND host_id = ? AND kind = ? AND created_by = ?"
        " AND recurrence IS NULL AND ends_at >= ? LIMIT 1",
        (host_id, kind, by, until),
    ).fetchone()
    return found is not None
