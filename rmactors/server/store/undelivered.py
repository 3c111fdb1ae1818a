"""What a channel has not delivered: dropped or kept while it is off, and what is dead sent again or dismissed."""

from rmactors.common import ids
from rmactors.common.vocabulary import OVER_WHILE_OFF
from rmactors.server.messages.channels import DismissAll, DismissDelivery, RetryDelivery, WhatIsQueued
from rmactors.server.messages.notifications import Attempt
from rmactors.server.store import audit, outbox
from rmactors.server.store.notification_log import log_attempt
from rmactors.server.store.transaction import DuplicateWrite, RefusedWrite, Transaction, handles

# ---- a channel is switched off and on


def switched_off(tx: Transaction, channel_id: str, what: WhatIsQueued, at: int) -> None:
    """The channel was on. Refused `queued` where it has to be asked what becomes of what waits."""
    if what == "ask":
        row = tx.row("SELECT count(*) AS n FROM deliveries WHERE channel_id = ? AND state = 'queued'", (channel_id,))
        assert row is not None
        if row["n"]:
            waits = "1 message is queued" if row["n"] == 1 else f"{row['n']} messages are queued"
            raise RefusedWrite(
                "queued", f"{waits} on this channel: say with queued=keep or queued=drop what becomes of that"
            )
    if what == "drop":
        drop(tx, channel_id, at)
    tx.execute("DELETE FROM group_windows WHERE channel_id = ?", (channel_id,))
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


# ---- by hand


@handles
def retry_delivery(tx: Transaction, write: RetryDelivery) -> None:
    found = tx.row(
        "SELECT deliveries.state, deliveries.channel_id, channels.enabled FROM deliveries"
        " JOIN channels ON channels.id = deliveries.channel_id WHERE deliveries.id = ?",
        (write.delivery_id,),
    )
    if found is None:
        raise RefusedWrite("not_found", "there is no such delivery")
    if found["state"] != "dead":
        raise RefusedWrite("conflict", f"only a dead delivery can be sent again; this one is {found['state']}")
    if not found["enabled"]:
        raise RefusedWrite("conflict", "its channel is disabled; enable it first")
    # A new place at the end of the queue and a new age: what is sent again by hand is retried as long as anything else.
    seq = tx.row(
        "UPDATE channels SET next_seq = next_seq + 1 WHERE id = ? RETURNING next_seq - 1 AS seq", (found["channel_id"],)
    )
    assert seq is not None
    tx.execute(
        "UPDATE deliveries SET state = 'queued', seq = ?, created_at = ?, due_at = ?, finished_at = NULL, grouped = 0,"
        " dismissed = 0 WHERE id = ?",
        (seq["seq"], write.at, write.at, write.delivery_id),
    )
    audit.append(tx, write.audit)
    tx.wake.channels.add(found["channel_id"])
    tx.wake.topics.add("channels")


@handles
def dismiss_delivery(tx: Transaction, write: DismissDelivery) -> None:
    found = tx.row("SELECT state, channel_id, dismissed FROM deliveries WHERE id = ?", (write.delivery_id,))
    if found is None:
        raise RefusedWrite("not_found", "there is no such delivery")
    if found["state"] != "dead":
        raise RefusedWrite("conflict", f"only a dead delivery can be dismissed; this one is {found['state']}")
    if found["dismissed"]:
        raise DuplicateWrite
    tx.execute("UPDATE deliveries SET dismissed = 1 WHERE id = ?", (write.delivery_id,))
    audit.append(tx, write.audit)
    _dismissed(tx, found["channel_id"])


@handles
def dismiss_all(tx: Transaction, write: DismissAll) -> None:
    if tx.row("SELECT 1 FROM channels WHERE id = ?", (write.channel_id,)) is None:
        raise RefusedWrite("not_found", "there is no such channel")
    tx.execute(
        "UPDATE deliveries SET dismissed = 1 WHERE channel_id = ? AND state = 'dead' AND dismissed = 0",
        (write.channel_id,),
    )
    audit.append(tx, write.audit)
    _dismissed(tx, write.channel_id)


def _dismissed(tx: Transaction, channel_id: str) -> None:
    """With nothing left to try and nothing left to look at, the channel is not failing any more."""
    tx.execute(
        "UPDATE channels SET failing_since = NULL, last_error = NULL WHERE id = ? AND NOT EXISTS (SELECT 1"
        " FROM deliveries WHERE channel_id = channels.id AND (state = 'queued' OR (state = 'dead' AND dismissed = 0)))",
        (channel_id,),
    )
    tx.wake.topics |= {"channels", "alerts"}
