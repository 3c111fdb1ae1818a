"""What the actors of channels rebuild from: the channel, and its queued deliveries. Read-only."""

import json

from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.state.delivery import NONE_OPEN, ChannelFacts, Delivery, OpenAlerts
from rmactors.server.store.database import Database, Row
from rmactors.server.store.grouping import ENDED


def load_channels(connection: Database) -> list[ChannelFacts]:
    """Every enabled channel."""
    return [
        ChannelFacts(
            row["id"], row["kind"], row["name"], row["config"], row["default_priority"],
            frozenset(json.loads(row["events"])), row["updated_at"], row["failing_since"],
            _last_tried_due_at(connection, row["id"]), row["held_until"],
            QuietHours.from_json(row["quiet_hours"]),
        )
        for row in connection.execute("SELECT * FROM channels WHERE enabled = 1")
    ]  # fmt: skip


def _last_tried_due_at(connection: Database, channel_id: str) -> int | None:
    found = connection.execute(
        "SELECT deliveries.state, deliveries.due_at FROM notification_log"
        " JOIN deliveries ON deliveries.id = notification_log.delivery_id"
        " WHERE notification_log.channel_id = ? ORDER BY notification_log.n DESC LIMIT 1",
        (channel_id,),
    ).fetchone()
    return found["due_at"] if found is not None and found["state"] == "queued" else None


def load_due(connection: Database, channel_id: str, after_seq: int, most: int) -> list[Delivery]:
    """Queued deliveries of a channel past `after_seq`, in order, at most `most`."""
    rows = connection.execute(
        "SELECT * FROM deliveries WHERE channel_id = ? AND state = 'queued' AND seq > ? ORDER BY seq LIMIT ?",
        (channel_id, after_seq, most),
    )
    return [_delivery(row) for row in rows]


def load_places(connection: Database, channel_id: str, places: list[int]) -> list[Delivery]:
    """Of a channel's deliveries with these `seq` those that are queued, in the order of `places`."""
    query = "SELECT * FROM deliveries WHERE channel_id = ? AND seq = ? AND state = 'queued'"
    return [_delivery(row) for place in places for row in connection.execute(query, (channel_id, place))]


def load_open(connection: Database, channel_id: str, group_key: str, most: int) -> OpenAlerts:
    """What a channel was sent of a group and is not resolved, where `group_key` is that of its resolutions."""
    if not group_key.startswith(ENDED):
        return NONE_OPEN
    of_group = (
        " FROM deliveries JOIN alerts ON alerts.id = deliveries.alert_id WHERE channel_id = ? AND group_key = ?"
        " AND group_key <> '' AND event = 'alert.raised' AND state IN ('queued', 'delivered')"
        " AND resolved_at IS NULL"
    )
    about = channel_id, group_key.partition("/")[2]
    (number,) = connection.execute(f"SELECT count(DISTINCT alerts.id) {of_group}", about).fetchone()
    first = connection.execute(
        f"SELECT severity, host_name, alerts.kind {of_group} GROUP BY alerts.id ORDER BY min(seq) LIMIT ?",
        (*about, most),
    )
    return OpenAlerts(number, tuple((row["severity"], row["host_name"], row["kind"]) for row in first))


def _delivery(row: Row) -> Delivery:
    return Delivery(
        row["id"], row["alert_id"], row["host_id"], row["event"], row["seq"], row["body"], row["attempts"],
        row["created_at"], row["due_at"], bool(row["grouped"]),
        tuple(json.loads(row["recipients_left"])) if row["recipients_left"] else (), row["group_key"],
        bool(row["loud"]),
    )  # fmt: skip
