"""What a channel has queued when it is switched off: dropped, or kept until it is on again."""

from rmactors.common import ids
from rmactors.common.vocabulary import OVER_WHILE_OFF
from rmactors.server.messages.channels import WhatIsQueued
from rmactors.server.messages.notifications import Attempt
from rmactors.server.store import grouping, outbox
from rmactors.server.store.notification_log import log_attempt
from rmactors.server.store.transaction import RefusedWrite, Transaction


def switched_off(tx: Transaction, channel_id: str, what: WhatIsQueued, at: int) -> None:
    """The channel was on. Refused `queued` where it has to be asked what becomes of what waits."""
    if what == "ask":
        row = tx.row("SELECT count(*) AS n FROM deliveries WHERE channel_id = ? AND state = 'queued'", (channel_id,))
        assert row is not None
        if row["n"]:
            waits = "1 message is queued" if row["n"] == 1 else f"{row['n']} messages are queued"
            raise RefusedWrite(
                "queued",
                f"{waits} on this channel. Say what becomes of that: with queued=keep it goes out when the channel is"
                " on again, with queued=drop it is not sent.",
            )
    if what == "drop":
        drop(tx, channel_id, at)
    grouping.forget_windows(tx, channel_id)
    tx.execute("UPDATE channels SET failing_since = NULL, last_error = NULL WHERE id = ?", (channel_id,))


def drop(tx: Transaction, channel_id: str, at: int) -> None:
    """What waits on a channel that is switched off is dead, and says why; what a silence held back is forgotten."""
    for row in tx.rows(
        "SELECT * FROM deliveries WHERE channel_id = ? AND state = 'queued' ORDER BY seq", (channel_id,)
    ):
        ended = Attempt("dead", None, 0.0, "channel disabled")
        log_attempt(tx, ids.new(), channel_id, row["alert_id"], row["id"], row["event"], row["attempts"], ended, at)
    tx.execute(
        "UPDATE deliveries SET state = 'dead', last_error = 'channel disabled', finished_at = ?"
        " WHERE channel_id = ? AND state = 'queued'",
        (at, channel_id),
    )
    tx.execute("DELETE FROM held WHERE channel_id = ?", (channel_id,))


_MOOT = (
    "SELECT queued.id, queued.alert_id FROM deliveries queued LEFT JOIN alerts ON alerts.id = queued.alert_id"
    " WHERE queued.channel_id = ? AND queued.state = 'queued'"
    " AND queued.event IN ('alert.raised', 'alert.acknowledged', 'alert.reminder')"
    " AND ((queued.event = 'alert.reminder' AND alerts.acknowledged_at IS NOT NULL)"
    " OR (coalesce(alerts.resolved, 1) = 1 AND NOT EXISTS (SELECT 1 FROM deliveries ends"
    " WHERE ends.alert_id = queued.alert_id AND ends.channel_id = queued.channel_id"
    " AND ends.event = 'alert.resolved' AND ends.state = 'queued'))) ORDER BY queued.seq"
)


def switched_on(tx: Transaction, channel_id: str, channel_name: str, at: int) -> None:
    """What was kept goes out, in its order, as old as if it were made now: else all of it might be too old to be tried
    twice. But not what is over and was not told as such: the end of it came while nothing was queued for this channel.
    """
    for moot in tx.rows(_MOOT, (channel_id,)):
        tx.execute("UPDATE deliveries SET state = 'superseded', finished_at = ? WHERE id = ?", (at, moot["id"]))
        outbox.add_event(
            tx, moot["alert_id"], None, at, "superseded", channel=(channel_id, channel_name), note=OVER_WHILE_OFF
        )
    tx.execute(
        "UPDATE deliveries SET created_at = ?, due_at = CASE WHEN attempts > 0 OR due_at < ? THEN ? ELSE due_at END"
        " WHERE channel_id = ? AND state = 'queued'",
        (at, at, at, channel_id),
    )
    tx.execute("UPDATE channels SET failing_since = NULL, last_error = NULL WHERE id = ?", (channel_id,))
