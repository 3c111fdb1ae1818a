"""The outbox: one delivery a transition and channel, made in the transaction of the transition.

What is decided here is *whether* a channel is notified. When and how it is sent, and whether a raise is still worth
sending, is the delivery actor's to decide when it comes to send it.
"""

import json
from dataclasses import dataclass

import msgspec

from rmactors.common import ids
from rmactors.common.clock import seconds
from rmactors.common.vocabulary import Event, Severity
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.notifications import NotificationBody
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.reasons import Reason
from rmactors.server.state.delivery import Delivery
from rmactors.server.store import grouping
from rmactors.server.store.database import Row
from rmactors.server.store.grouping import Grouping
from rmactors.server.store.routing import Filter, Recurrence, Silence
from rmactors.server.store.transaction import Transaction, handles

TAGS_OF_HOST = "SELECT tags FROM hosts WHERE id = ?"
ZONE_OF_SCHEDULE = "SELECT timezone FROM schedules WHERE id = ?"


@dataclass(frozen=True, slots=True)
class Alert:
    """What a notification tells of its alert, as it was at that moment. `host_id` is empty if it is about a channel,
    whose name is in `host_name` then."""

    id: str
    host_id: str
    host_name: str
    kind: str
    subject: str
    severity: Severity
    message: str
    raised_at: int

    @staticmethod
    def from_row(row: Row, message: str | None = None) -> "Alert":
        return Alert(
            row["id"], row["host_id"], row["host_name"], row["kind"], row["subject"], row["severity"],
            message or row["message"], row["created_at"],
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Channel:
    id: str
    name: str
    filter: Filter
    grouping: Grouping
    remind: int
    after: int
    quiet: QuietHours | None


def announce(
    tx: Transaction, alert: Alert, event: Event, pos: int, at: int, actor: str | None = None, note: str | None = None,
    since: int | None = None,
) -> None:  # fmt: skip
    """Queue the notification for every channel that takes it, or hold a raise back if a silence says so, or if the
    channel is to hear of it later. `since`: from when on nobody has looked after the alert, if not from `at`."""
    channels = _others(tx, alert)
    if not channels:
        return
    tags = _tags(tx, alert.host_id)
    takers = [channel for channel in channels if _takes(tx, channel, alert, event, tags)]
    if event == "alert.raised":
        # A channel that does not take raises may still be sent the end of an alert whose raise it never got.
        since = at if since is None else since
        silence = silence_of(tx, alert, tags, at)
        waiting = takers if silence is not None else [each for each in takers if since + each.after > at]
        _hold(tx, waiting, alert, since, at, silence)
        takers = [channel for channel in takers if channel not in waiting]
    for channel in takers:
        if event != "alert.raised" and not _wants_more(tx, channel, alert, event, tags, at):
            continue
        _queue(tx, channel, alert, event, pos, at, actor, note, since)


def announce_again(tx: Transaction, alert: Alert, pos: int, at: int, since: int) -> None:
    """Queue or hold back a raise again: the alert got worse. It takes the place of one that is held back still.

    `since`: its acknowledgement was taken back at that time; if there was none, when it was raised.
    """
    for channel in _channels(tx):  # one that is switched off hears of it as it is when it is on again
        tx.execute("DELETE FROM held WHERE channel_id = ? AND alert_id = ?", (channel.id, alert.id))
    tx.execute("UPDATE held SET at = ? WHERE alert_id = ? AND at < ?", (since, alert.id, since))
    announce(tx, alert, "alert.raised", pos, at, since=since)
    tags = _tags(tx, alert.host_id)
    if silence_of(tx, alert, tags, at) is None:
        for channel in _channels(tx):
            if channel.remind and channel.filter.takes("alert.raised", alert.severity, tags):
                _tell(tx, channel, alert.id, at)


def add_event(
    tx: Transaction,
    alert_id: str,
    pos: int | None,
    at: int,
    event: str,
    *,
    by: str | None = None,
    note: str | None = None,
    message: str | None = None,
    reason: Reason | None = None,
    channel: tuple[str, str] | None = None,
) -> None:
    """Add to the alert's timeline; without `pos`, at its end. `channel` is (id, name)."""
    if pos is None:
        row = tx.row("UPDATE alerts SET pos = pos + 1 WHERE id = ? RETURNING pos", (alert_id,))
        if row is None:  # removed by retention: there is no timeline any more
            return
        pos = row["pos"]
    channel_id, channel_name = channel or (None, None)
    tx.execute(
        "INSERT INTO alert_events (alert_id, pos, at, event, by_whom, note, message, channel_id, channel_name, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (alert_id, pos, at, event, by, note, message, channel_id, channel_name, reason),
    )


def silence_of(tx: Transaction, alert: Alert, tags: list[str] | None, at: int) -> Silence | None:
    """The silence that holds back notifications about this alert at `at`, if any."""
    for silence in tx.cached("silences", _load_silences):
        if silence.holds(at, alert.host_id, alert.kind, tags):
            return silence
    return None


@handles
def release_held(tx: Transaction, write: ReleaseHeld) -> None:
    due = f"{_HELD} AND held.channel_id = ? AND held.at <= ?"
    rows = [row for each in _channels(tx) for row in tx.rows(due, (each.id, write.at - each.after))]
    _release(tx, sorted(rows, key=lambda row: (row["created_at"], row["id"])), write.at)


def release_before(tx: Transaction, alert_id: str, at: int) -> None:
    """An alert is about to be acknowledged or resolved: if nothing holds back its raise any more, that goes first."""
    _release(tx, tx.rows(f"{_HELD} AND alerts.id = ?", (alert_id,)), at)


_HELD = (
    "SELECT alerts.*, held.channel_id AS held_for, held.at AS held_since, held.silenced"
    " FROM held JOIN alerts ON alerts.id = held.alert_id"
    " WHERE alerts.resolved_at IS NULL AND alerts.acknowledged_at IS NULL"
)


def _release(tx: Transaction, held: list[Row], at: int) -> None:
    if not held:
        return
    channels = {channel.id: channel for channel in _channels(tx)}
    silences: dict[tuple[str, str], Silence | None] = {}  # a silence does not look further than at host and kind
    silenced: dict[str, list[_Channel]] = {}
    said: set[str] = set()
    for row in held:
        channel = channels.get(row["held_for"])
        if channel is None or row["held_since"] + channel.after > at:
            continue
        alert, about = Alert.from_row(row), (row["host_id"], row["kind"])
        if about not in silences:
            silences[about] = silence_of(tx, alert, _tags(tx, alert.host_id), at)
        if silences[about] is not None:
            if not row["silenced"]:  # it began while the channel waited
                silenced.setdefault(alert.id, []).append(channel)
            continue
        tx.execute("DELETE FROM held WHERE channel_id = ? AND alert_id = ?", (channel.id, alert.id))
        if channel.filter.takes("alert.raised", alert.severity, _tags(tx, alert.host_id)):
            if row["silenced"] and alert.id not in said:
                said.add(alert.id)
                add_event(tx, alert.id, None, at, "unsilenced", note="the silence ended")
            _let_go(tx, channel, alert, row["held_since"], at)
    for row in {row["id"]: row for row in held if row["id"] in silenced}.values():
        alert = Alert.from_row(row)
        _hold(tx, silenced[alert.id], alert, row["held_since"], at, silences[alert.host_id, alert.kind])


def _let_go(tx: Transaction, channel: _Channel, alert: Alert, since: int, at: int) -> None:
    """Send a raise that was held back."""
    if channel.after:
        add_event(tx, alert.id, None, at, "escalated", channel=(channel.id, channel.name))
    pos = tx.row("SELECT pos FROM alerts WHERE id = ?", (alert.id,))
    assert pos is not None
    _queue(tx, channel, alert, "alert.raised", pos["pos"], at, None, None, since)
    if channel.remind:
        _tell(tx, channel, alert.id, at)
    tx.wake.topics.add("alerts")


@handles
def queue_reminders(tx: Transaction, write: QueueReminders) -> None:
    for channel in _channels(tx):
        if not channel.remind or "alert.reminder" not in channel.filter.events:
            continue
        due = tx.rows(
            "SELECT alerts.* FROM alerts LEFT JOIN told ON told.alert_id = alerts.id AND told.channel_id = ?"
            " WHERE alerts.resolved = 0 AND alerts.acknowledged_at IS NULL"
            " AND coalesce(told.at + ?, alerts.created_at + ?) <= ?"
            " AND NOT EXISTS (SELECT 1 FROM held WHERE held.alert_id = alerts.id AND held.channel_id = ?)"
            " AND alerts.subject <> ? ORDER BY alerts.id",
            (
                channel.id,
                channel.remind,
                max(channel.remind, channel.after),
                write.at,
                channel.id,
                f"channel:{channel.id}",
            ),
        )
        night = channel.quiet.at(write.at) if channel.quiet is not None else None
        for row in due:
            alert = Alert.from_row(row)
            tags = _tags(tx, alert.host_id)
            if not channel.filter.takes("alert.reminder", alert.severity, tags) or silence_of(
                tx, alert, tags, write.at
            ):
                continue
            if night is not None:  # the next one comes that long after the end of the quiet hours
                _tell(tx, channel, alert.id, night.end)
                continue
            if not _reminder_waits(tx, channel.id, alert.id):
                add_event(tx, alert.id, None, write.at, "reminded", channel=(channel.id, channel.name))
                _queue(tx, channel, alert, "alert.reminder", row["pos"] + 1, write.at, None, None, None)
            _tell(tx, channel, alert.id, write.at)


def _takes(tx: Transaction, channel: _Channel, alert: Alert, event: Event, tags: list[str] | None) -> bool:
    """Who was told of an alert is told its end, also if tags or filter are others by now."""
    if channel.filter.takes(event, alert.severity, tags):
        return True
    return event == "alert.resolved" and event in channel.filter.events and _heard_of(tx, channel.id, alert.id)


def _wants_more(
    tx: Transaction, channel: _Channel, alert: Alert, event: Event, tags: list[str] | None, at: int
) -> bool:
    """Whether a channel is sent how an alert went on: not if a silence held back its raise."""
    held = tx.row("SELECT 1 FROM held WHERE channel_id = ? AND alert_id = ?", (channel.id, alert.id))
    if held is not None:
        if event == "alert.resolved":
            tx.execute("DELETE FROM held WHERE channel_id = ? AND alert_id = ?", (channel.id, alert.id))
        if not _heard_of(tx, channel.id, alert.id):  # else what is held back is that it got worse
            return False
    elif channel.after and not _was_escalated(tx, channel, alert, at):
        return False
    if silence_of(tx, alert, tags, at) is None:
        return True
    return event == "alert.resolved" and _heard_of(tx, channel.id, alert.id)


def _heard_of(tx: Transaction, channel_id: str, alert_id: str) -> bool:
    """Whether a channel was sent anything about an alert, or is to be: a reminder, if it was made after the raise."""
    heard = tx.row(
        "SELECT 1 FROM deliveries WHERE alert_id = ? AND channel_id = ? AND state IN ('queued', 'delivered')",
        (alert_id, channel_id),
    )
    return heard is not None


def _was_told(tx: Transaction, channel_id: str, alert_id: str) -> bool:
    told = tx.row(
        "SELECT 1 FROM deliveries WHERE alert_id = ? AND channel_id = ? AND event = 'alert.raised'"
        " AND state IN ('queued', 'delivered')",
        (alert_id, channel_id),
    )
    return told is not None


def _was_escalated(tx: Transaction, channel: _Channel, alert: Alert, at: int) -> bool:
    """Whether a channel that hears of alerts later was sent this one; would have been, if it takes no raises."""
    if "alert.raised" in channel.filter.events or _heard_of(tx, channel.id, alert.id):
        return _heard_of(tx, channel.id, alert.id)
    row = tx.row("SELECT acknowledged_at FROM alerts WHERE id = ?", (alert.id,))
    seen_at = row["acknowledged_at"] if row is not None and row["acknowledged_at"] is not None else at
    return bool(alert.raised_at + channel.after <= seen_at)


def _reminder_waits(tx: Transaction, channel_id: str, alert_id: str) -> bool:
    """Whether one is queued already: a channel that was down for a night gets one when it is back, not twelve."""
    waiting = tx.row(
        "SELECT 1 FROM deliveries WHERE alert_id = ? AND channel_id = ? AND event = 'alert.reminder'"
        " AND state = 'queued'",
        (alert_id, channel_id),
    )
    return waiting is not None


def _hold(tx: Transaction, takers: list[_Channel], alert: Alert, since: int, at: int, silence: Silence | None) -> None:
    for channel in takers:
        tx.execute(
            "INSERT INTO held (channel_id, alert_id, at, silenced) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (channel_id, alert_id) DO UPDATE SET silenced = excluded.silenced",
            (channel.id, alert.id, since, int(silence is not None)),
        )
    if takers and silence is not None:
        add_event(tx, alert.id, None, at, "silenced", note=silence.reason)


def _queue(
    tx: Transaction,
    channel: _Channel,
    alert: Alert,
    event: Event,
    pos: int,
    at: int,
    actor: str | None,
    note: str | None,
    since: int | None,
) -> None:
    about = alert.host_id, alert.kind, alert.subject
    place = grouping.place(tx, channel.id, channel.grouping, alert.id, about, event, at)
    schedule = tx.look(ZONE_OF_SCHEDULE, (alert.subject,)) if ids.looks_valid(alert.subject) else None
    body = NotificationBody(
        alert.severity, alert.kind, alert.subject, alert.host_name, alert.message, alert.raised_at, at, actor, note,
        zone=schedule["timezone"] if schedule is not None else None,
        again=event == "alert.raised" and pos > 1 and _was_told(tx, channel.id, alert.id),
        repository=place.repository,
        open_since=since if event == "alert.raised" and channel.after else None,
    )  # fmt: skip
    queued = Delivery(
        ids.new(), alert.id, alert.host_id, event, tx.next_number(channel.id), msgspec.json.encode(body).decode(), 0,
        at, place.due_at, place.grouped, group_key=place.group_key, loud=alert.severity == "critical",
    )  # fmt: skip
    tx.execute(
        "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state,"
        " created_at, due_at, grouped, group_key, loud)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?, ?, ?)",
        (
            queued.id, channel.id, alert.id, alert.host_id, event, queued.seq, pos, queued.body, at, place.due_at,
            int(place.grouped), place.group_key, int(queued.loud),
        ),
    )  # fmt: skip
    if channel.grouping.seconds:  # what comes after it may change its place
        tx.wake.channels.add(channel.id)
    else:
        tx.wake.deliveries.setdefault(channel.id, []).append(queued)
    tx.wake.topics.add("channels")


def _tell(tx: Transaction, channel: _Channel, alert_id: str, at: int) -> None:
    tx.execute(
        "INSERT INTO told (channel_id, alert_id, at) VALUES (?, ?, ?)"
        " ON CONFLICT (channel_id, alert_id) DO UPDATE SET at = excluded.at",
        (channel.id, alert_id, at),
    )


def _tags(tx: Transaction, host_id: str) -> list[str] | None:
    """The tags of a host; None for no host."""
    if not host_id:
        return None
    row = tx.look(TAGS_OF_HOST, (host_id,))
    tags: list[str] = json.loads(row["tags"]) if row is not None and row["tags"] != "[]" else []
    return tags


def _others(tx: Transaction, alert: Alert) -> list[_Channel]:
    """The enabled channels but for the one that the alert is about."""
    return [channel for channel in _channels(tx) if alert.subject != f"channel:{channel.id}"]


def _channels(tx: Transaction) -> list[_Channel]:
    return tx.cached("channels", _load_channels)


def _load_channels(tx: Transaction) -> list[_Channel]:
    return [
        _Channel(
            row["id"],
            row["name"],
            Filter(row["min_severity"], frozenset(json.loads(row["events"])), frozenset(json.loads(row["host_tags"]))),
            Grouping(row["group_by"], seconds(row["group_seconds"])),
            seconds(row["remind_hours"] * 3600),
            seconds(row["after_minutes"] * 60),
            QuietHours.from_json(row["quiet_hours"]),
        )
        for row in tx.rows("SELECT * FROM channels WHERE enabled = 1 ORDER BY id")
    ]


def _load_silences(tx: Transaction) -> list[Silence]:
    return [
        Silence(
            row["id"], row["host_id"], row["kind"], row["tag"], row["starts_at"], row["ends_at"],
            Recurrence.from_json(row["recurrence"]) if row["recurrence"] else None, row["reason"],
        )
        for row in tx.rows("SELECT * FROM silences WHERE deleted_at IS NULL ORDER BY id")
    ]  # fmt: skip
