"""Channels, and how the attempts to send on them ended."""

import json
from functools import partial
from typing import Final, assert_never

from rmactors.common.logs import Level
from rmactors.server.messages.channels import (
    DeleteChannel,
    DismissAll,
    DismissDelivery,
    LogTest,
    RetryDelivery,
    SaveChannel,
    SettleAttempt,
)
from rmactors.server.store import audit, grouping, outbox, queue_kept
from rmactors.server.store.database import Row, Rows
from rmactors.server.store.notification_log import log_attempt
from rmactors.server.store.secret_rows import require_live_key
from rmactors.server.store.transaction import DuplicateWrite, RefusedWrite, Transaction, handles

_TOLD_BY = {
    "alert.resolved": "the resolution told it as well",
    "alert.acknowledged": "the acknowledgement told it as well",
}
_TOLD_AS: Final[dict[str, tuple[Level, str]]] = {
    "delivered": ("debug", "delivery.delivered"),
    "retry": ("warning", "delivery.failed"),
    "dead": ("error", "delivery.dead"),
}


@handles
def save_channel(tx: Transaction, write: SaveChannel) -> None:
    require_live_key(tx, write.config)
    known = tx.row("SELECT kind, enabled, group_by FROM channels WHERE id = ?", (write.channel_id,))
    if known is None and not write.create:
        raise RefusedWrite("not_found", "there is no such channel")
    if known is not None and known["kind"] != write.kind:
        raise RefusedWrite("conflict", "a channel's kind cannot change; make a new channel")
    tx.execute(
        "INSERT INTO channels (id, kind, name, enabled, config, default_priority, min_severity, events, host_tags,"
        " group_seconds, remind_hours, group_by, after_minutes, quiet_hours, digest, created_at, updated_at,"
        " digest_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, enabled = excluded.enabled, config = excluded.config,"
        " default_priority = excluded.default_priority, min_severity = excluded.min_severity, events = excluded.events,"
        " host_tags = excluded.host_tags, group_seconds = excluded.group_seconds, remind_hours = excluded.remind_hours,"
        " group_by = excluded.group_by, after_minutes = excluded.after_minutes, quiet_hours = excluded.quiet_hours,"
        " digest = excluded.digest, held_until = NULL, held_because = NULL,"  # the receiver may be another
        # Of another digest, the first covers what is from now on.
        " digest_at = CASE WHEN coalesce(channels.digest, '') = coalesce(excluded.digest, '')"
        " AND channels.enabled = excluded.enabled THEN channels.digest_at ELSE excluded.updated_at END,"
        " updated_at = excluded.updated_at",
        (
            write.channel_id, write.kind, write.name, int(write.enabled), write.config, write.default_priority,
            write.min_severity, json.dumps(write.events), json.dumps(write.host_tags), write.group_seconds,
            write.remind_hours, write.group_by, write.after_minutes, write.quiet_hours, write.digest, write.at,
            write.at, write.at,
        ),
    )  # fmt: skip
    if known is not None:
        if known["group_by"] != write.group_by:
            grouping.released(tx, write.channel_id, write.at)
        _what_waits(tx, write, was_on=bool(known["enabled"]))
    audit.append(tx, write.audit)
    _changed(tx, write.channel_id)


def _what_waits(tx: Transaction, write: SaveChannel, *, was_on: bool) -> None:
    """What becomes of what a channel has queued when it is saved."""
    if was_on and not write.enabled:
        queue_kept.switched_off(tx, write.channel_id, write.queued, write.at)
    elif was_on:  # what waits was refused under the old settings: it need not sit out its pause
        tx.execute(
            "UPDATE deliveries SET due_at = ?"
            " WHERE channel_id = ? AND state = 'queued' AND attempts > 0 AND due_at > ?",
            (write.at, write.channel_id, write.at),
        )
    else:
        if write.queued == "drop":
            queue_kept.drop(tx, write.channel_id, write.at)
        if write.enabled:
            queue_kept.switched_on(tx, write.channel_id, write.name, write.at)


@handles
def delete_channel(tx: Transaction, write: DeleteChannel) -> None:
    if not tx.changed("DELETE FROM channels WHERE id = ?", (write.channel_id,)):
        raise RefusedWrite("not_found", "there is no such channel")
    audit.append(tx, write.audit)
    _changed(tx, write.channel_id)


@handles
def settle_attempt(tx: Transaction, write: SettleAttempt) -> None:
    # What is on disk already, or whose channel was disabled or deleted meanwhile, touches no row.
    match write.result.verdict:
        case "delivered":
            _delivered(tx, write)
        case "retry":
            _queued_again(tx, write)
        case "dead":
            _dead(tx, write)
        case _:
            assert_never(write.result.verdict)
    log_attempt(
        tx, write.log_id, write.channel_id, write.alert_id, write.delivery_id, write.event, write.attempt, write.result,
        write.at,
    )  # fmt: skip
    _note_health(tx, write)
    tx.wake.topics |= {"channels", f"alert:{write.alert_id}"}


def _settled(tx: Transaction, rows: Rows, write: SettleAttempt) -> None:
    """Of a channel that is gone, nothing is left to say: its deliveries went with it."""
    channel, result = rows.fetchone(), write.result
    if channel is None:
        return
    tx.wake.count("attempt", channel["kind"], result.verdict)
    level, name = _TOLD_AS[result.verdict]
    tx.wake.tell(
        level, name, channel_id=write.channel_id, channel=channel["name"], kind=channel["kind"],
        alert_id=write.alert_id, delivery_id=write.delivery_id, about=write.event, attempt=write.attempt,
        status_code=result.status_code, error=result.error,
    )  # fmt: skip
    _end_carried(tx, write, channel["name"])


# Tried is tried: after a restart no other may join it in a group under its id, hence `grouped = 0`.


def _delivered(tx: Transaction, write: SettleAttempt) -> None:
    """Also if its channel was disabled while it was sent, which ended it as dead: what arrived has arrived.

    There may be an error all the same: recipients that a mail server did not take.
    """
    tx.expect(
        "UPDATE deliveries SET state = 'delivered', attempts = ?, last_error = ?, recipients_left = NULL,"
        " grouped = 0, finished_at = ? WHERE id = ? AND (state = 'queued' OR (state = 'dead' AND attempts < ?))",
        (write.attempt, write.result.error, write.at, write.delivery_id, write.attempt),
        DuplicateWrite(),
    )


def _queued_again(tx: Transaction, write: SettleAttempt) -> None:
    left = write.result.recipients_left
    tx.expect(
        "UPDATE deliveries SET attempts = ?, last_error = ?, due_at = coalesce(?, due_at), recipients_left = ?,"
        " grouped = 0, finished_at = NULL WHERE id = ? AND state = 'queued' AND attempts < ?",
        (
            write.attempt,
            write.result.error,
            write.due_at,
            json.dumps(left) if left else None,
            write.delivery_id,
            write.attempt,
        ),
        DuplicateWrite(),
    )


def _dead(tx: Transaction, write: SettleAttempt) -> None:
    left = write.result.recipients_left
    tx.expect(
        "UPDATE deliveries SET state = 'dead', attempts = ?, last_error = ?, recipients_left = ?, grouped = 0,"
        " finished_at = ? WHERE id = ? AND state = 'queued'",
        (write.attempt, write.result.error, json.dumps(left) if left else None, write.at, write.delivery_id),
        DuplicateWrite(),
    )


def _note_health(tx: Transaction, write: SettleAttempt) -> None:
    """What the attempt says of its channel.

    What arrives while the receiver wants quiet was in flight before it said so: the channel is held all the same.
    """
    result = write.result
    values: dict[str, object] = {"id": write.channel_id, "at": write.at}
    settled = partial(_settled, write=write)
    if result.verdict == "delivered":
        tx.then(
            "UPDATE channels SET last_fired_at = :at, last_error = CASE WHEN held_until > :at THEN last_error END,"
            " failing_since = CASE WHEN held_until > :at THEN failing_since END,"
            " held_because = CASE WHEN held_until > :at THEN held_because END,"
            " held_until = CASE WHEN held_until > :at THEN held_until END WHERE id = :id RETURNING name, kind",
            values,
            settled,
        )
        return
    if result.others_have_it:
        tx.then(
            "UPDATE channels SET last_fired_at = :at, last_error = :error, failing_since = NULL WHERE id = :id"
            " RETURNING name, kind",
            values | {"error": result.error},
            settled,
        )
        return
    if result.verdict == "retry" and result.retry_at is not None:
        tx.execute(
            "UPDATE channels SET held_until = :until, held_because = :error WHERE id = :id AND enabled = 1"
            " AND updated_at = coalesce(:settings_at, updated_at) AND :until > coalesce(held_until, :at)",
            values | {"until": result.retry_at, "error": result.error, "settings_at": write.settings_at},
        )
    tx.then(
        "UPDATE channels SET last_error = CASE WHEN enabled = 1 THEN :error END,"
        " failing_since = CASE WHEN enabled = 1 THEN coalesce(failing_since, :at) END WHERE id = :id"
        " RETURNING name, kind",
        values | {"error": result.error},
        settled,
    )


def _end_carried(tx: Transaction, write: SettleAttempt, channel_name: str) -> None:
    """The deliveries that the same message stands for end with it. What it alone would have told is dead with it."""
    arrived = write.result.verdict == "delivered"
    for delivery_id, said in write.carried:
        end = said if arrived or said == "superseded" else "dead"
        carried = tx.row(
            "UPDATE deliveries SET state = ?, finished_at = ?, carried_by = ?, grouped = 0,"
            " last_error = CASE WHEN ? = 'dead' THEN ? ELSE last_error END WHERE id = ?"
            " AND (state = 'queued' OR (? AND state = 'dead')) RETURNING alert_id",
            (end, write.at, write.delivery_id, end, write.result.error, delivery_id, arrived),
        )
        if carried is not None and end == "superseded":
            outbox.add_event(
                tx, carried["alert_id"], None, write.at, "superseded", channel=(write.channel_id, channel_name),
                note=_TOLD_BY.get(write.event, ""),
            )  # fmt: skip


@handles
def log_test(tx: Transaction, write: LogTest) -> None:
    channel = tx.row("SELECT kind FROM channels WHERE id = ?", (write.channel_id,))
    if channel is None:
        raise RefusedWrite("not_found", "there is no such channel")
    if tx.row("SELECT 1 FROM notification_log WHERE id = ?", (write.log_id,)) is not None:
        raise DuplicateWrite
    if write.result.verdict == "delivered":
        tx.execute("UPDATE channels SET last_fired_at = ? WHERE id = ?", (write.at, write.channel_id))
    log_attempt(
        tx, write.log_id, write.channel_id, write.alert_id, write.delivery_id, "alert.test", 1, write.result, write.at
    )
    tx.wake.count("attempt", channel["kind"], write.result.verdict)
    audit.append(tx, write.audit)
    tx.wake.topics.add("channels")


@handles
def retry_delivery(tx: Transaction, write: RetryDelivery) -> None:
    found = tx.row(
        "SELECT deliveries.*, channels.enabled, channels.events FROM deliveries"
        " JOIN channels ON channels.id = deliveries.channel_id WHERE deliveries.id = ?",
        (write.delivery_id,),
    )
    if found is None:
        raise RefusedWrite("not_found", "there is no such delivery")
    if found["state"] != "dead":
        raise RefusedWrite("conflict", f"only a dead delivery can be sent again; this one is {found['state']}")
    if not found["enabled"]:
        raise RefusedWrite("conflict", "its channel is disabled; enable it first")
    if _is_moot(tx, found):
        raise RefusedWrite(
            "conflict", "a later message about this alert was sent, or the alert is over; dismiss this one instead"
        )
    # A new place at the end of the queue and a new age: what is sent again by hand is retried as long as anything else.
    seq = tx.next_number(found["channel_id"])
    tx.execute(
        "UPDATE deliveries SET state = 'queued', seq = ?, created_at = ?, due_at = ?, finished_at = NULL, grouped = 0,"
        " dismissed = 0 WHERE id = ?",
        (seq, write.at, write.at, write.delivery_id),
    )
    audit.append(tx, write.audit)
    tx.wake.channels.add(found["channel_id"])
    tx.wake.topics.add("channels")


def _is_moot(tx: Transaction, dead: Row) -> bool:
    """Whether a receiver would be told last what is not so any more: it knows better, or would never hear the end."""
    about = dead["alert_id"], dead["channel_id"]
    later = "SELECT 1 FROM deliveries WHERE alert_id = ? AND channel_id = ? AND pos > ? AND"
    if tx.row(f"{later} state IN ('queued', 'delivered')", (*about, dead["pos"])) is not None:
        return True
    if "alert.resolved" not in json.loads(dead["events"]) or dead["event"] == "alert.resolved":
        return False
    over = tx.row("SELECT 1 FROM alerts WHERE id = ? AND resolved = 1", (dead["alert_id"],))
    end = tx.row(f"{later} event = 'alert.resolved' AND state = 'dead'", (*about, dead["pos"]))
    return over is not None and end is None


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


def _changed(tx: Transaction, channel_id: str) -> None:
    tx.forget("channels")
    tx.wake.channel_list = True
    tx.wake.channels.add(channel_id)
    tx.wake.topics.add("channels")
