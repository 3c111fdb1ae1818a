"""Alerts and their timeline. Every transition is announced (`outbox`) in the transaction that makes it."""

from collections.abc import Iterator
from functools import partial

from rmactors.common import ids
from rmactors.common.vocabulary import ALERTS
from rmactors.server.messages.alerts import (
    AcknowledgeAlert,
    ExpectAlertState,
    ExpectOpen,
    ForgetAlertState,
    RaiseAlert,
    ResolveAlert,
    SaveAlertState,
    TouchAlert,
    TouchConditions,
    WorsenAlert,
)
from rmactors.server.store import audit, outbox
from rmactors.server.store.ahead import Look, reads_ahead
from rmactors.server.store.transaction import DuplicateWrite, RefusedWrite, StaleWrite, Transaction, handles

_LASTING = [kind for kind, traits in ALERTS.items() if traits.lasts]
_MARKS = ", ".join("?" * len(_LASTING))
_MOVED_ON = "the rules' memory of this subject has moved on"
_TRACK = "FROM tracks WHERE host_id = ? AND kind = ? AND subject = ?"


@handles
def raise_alert(tx: Transaction, write: RaiseAlert) -> None:
    name = _name_of(tx, write)
    tx.expect(
        "INSERT INTO alerts (id, host_id, host_name, kind, subject, severity, message, job_id, pos,"
        " created_at, last_seen_at, known_partial)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?) ON CONFLICT DO NOTHING",
        (
            write.alert_id, write.host_id, name, write.kind, write.subject, write.severity, write.message,
            write.job_id, write.at, write.at, int(write.known_partial),
        ),
        partial(_there_already, alert_id=write.alert_id),
    )  # fmt: skip
    alert = outbox.Alert(
        write.alert_id, write.host_id, name, write.kind, write.subject, write.severity, write.message, write.at
    )
    outbox.add_event(tx, write.alert_id, 1, write.at, "raised", by="rule", message=write.message, reason=write.reason)
    outbox.announce(tx, alert, "alert.raised", 1, write.at)
    tx.wake.count("alert", write.kind, write.severity)
    tx.wake.tell(
        "info", "alert.raised", alert_id=write.alert_id, host_id=write.host_id, host=name, kind=write.kind,
        severity=write.severity, subject=write.subject, job_id=write.job_id,
    )  # fmt: skip
    tx.wake.topics.add("alerts")


@handles
def worsen_alert(tx: Transaction, write: WorsenAlert) -> None:
    before = tx.row("SELECT acknowledged_at FROM alerts WHERE id = ?", (write.alert_id,))
    rows = tx.rows(
        "UPDATE alerts SET message = ?, last_seen_at = CASE WHEN last_seen_at < ? THEN ? ELSE last_seen_at END,"
        " occurrences = occurrences + 1, job_id = coalesce(?, job_id), known_partial = 0,"
        " acknowledged_at = NULL, acknowledged_by = NULL, acknowledged_note = NULL, pos = pos + 1"
        " WHERE id = ? AND resolved_at IS NULL RETURNING *",
        (write.message, write.at, write.at, write.job_id, write.alert_id),
    )
    if not rows:
        raise StaleWrite("the alert is resolved")
    row = rows[0]
    outbox.add_event(
        tx, write.alert_id, row["pos"], write.at, "worsened", by="rule", message=write.message, reason=write.reason
    )
    nobody_since = write.at if before is not None and before["acknowledged_at"] is not None else row["created_at"]
    outbox.announce_again(tx, outbox.Alert.from_row(row, message=write.notice), row["pos"], write.at, nobody_since)
    tx.wake.tell(
        "info", "alert.worsened", alert_id=write.alert_id, host_id=row["host_id"], host=row["host_name"],
        kind=row["kind"], severity=row["severity"], subject=row["subject"], job_id=write.job_id,
    )  # fmt: skip
    tx.wake.topics.add("alerts")


@handles
def touch_alert(tx: Transaction, write: TouchAlert) -> None:
    tx.expect(
        "UPDATE alerts SET message = ?, last_seen_at = CASE WHEN last_seen_at < ? THEN ? ELSE last_seen_at END,"
        " occurrences = occurrences + ?, job_id = coalesce(?, job_id) WHERE id = ? AND resolved_at IS NULL",
        (write.message, write.at, write.at, int(write.again), write.job_id, write.alert_id),
        StaleWrite("the alert is resolved"),
    )
    tx.wake.topics.add("alerts")


@handles
def acknowledge_alert(tx: Transaction, write: AcknowledgeAlert) -> None:
    outbox.release_before(tx, write.alert_id, write.at)
    row = tx.row(
        "UPDATE alerts SET acknowledged_at = ?, acknowledged_by = ?, acknowledged_note = ?,"
        " known_partial = coalesce(?, known_partial), pos = pos + 1"
        " WHERE id = ? AND resolved_at IS NULL AND acknowledged_at IS NULL RETURNING *",
        (
            write.at, write.by, write.note, int(write.known_partial) if write.known_partial is not None else None,
            write.alert_id,
        ),
    )  # fmt: skip
    if row is None:
        if _is_resolved(tx, write.alert_id):
            raise RefusedWrite("conflict", "the alert is resolved already")
        raise DuplicateWrite
    outbox.add_event(tx, write.alert_id, row["pos"], write.at, "acknowledged", by=write.by, note=write.note)
    outbox.announce(tx, outbox.Alert.from_row(row), "alert.acknowledged", row["pos"], write.at, write.by, write.note)
    audit.append(tx, write.audit)
    tx.wake.topics.add("alerts")


@handles
def resolve_alert(tx: Transaction, write: ResolveAlert) -> None:
    outbox.release_before(tx, write.alert_id, write.at)
    row = tx.row(
        "UPDATE alerts SET resolved_at = ?, resolved_by = ?, resolved_note = ?, resolved = 1, pos = pos + 1"
        " WHERE id = ? AND resolved_at IS NULL RETURNING *",
        (write.at, write.by, write.note, write.alert_id),
    )
    if row is None:
        if _is_resolved(tx, write.alert_id) and write.by != "rule":
            raise DuplicateWrite
        raise StaleWrite("the alert is resolved already")
    outbox.add_event(
        tx, write.alert_id, row["pos"], write.at, "resolved", by=write.by, note=write.note, message=write.message,
        reason=write.reason,
    )  # fmt: skip
    alert = outbox.Alert.from_row(row, message=write.message)
    outbox.announce(tx, alert, "alert.resolved", row["pos"], write.at, write.by, write.note)
    tx.wake.tell(
        "info", "alert.resolved", alert_id=write.alert_id, host_id=row["host_id"], host=row["host_name"],
        kind=row["kind"], severity=row["severity"], subject=row["subject"], by=write.by,
    )  # fmt: skip
    audit.append(tx, write.audit)
    tx.wake.topics.add("alerts")


@handles
def touch_conditions(tx: Transaction, write: TouchConditions) -> None:
    touched = tx.changed(
        f"UPDATE alerts SET last_seen_at = ? WHERE resolved_at IS NULL AND last_seen_at < ? AND kind IN ({_MARKS})",  # noqa: S608
        (write.at, write.at, *_LASTING),
    )
    if touched:
        tx.wake.topics.add("alerts")


@handles
def save_alert_state(tx: Transaction, write: SaveAlertState) -> None:
    what = (write.last, write.good, write.last_good_at, int(write.suppressed_until_clear), write.usual)
    key = (write.host_id, write.kind, write.subject)
    if write.version == 1:
        tx.expect(
            "INSERT INTO tracks (host_id, kind, subject, version, head, good, last_good_at, quiet, usual)"
            " VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?)"
            " ON CONFLICT (host_id, kind, subject) DO NOTHING",
            (*key, *what),
            StaleWrite(_MOVED_ON),
        )
    else:
        tx.expect(
            "UPDATE tracks SET version = ?, head = ?, good = ?, last_good_at = ?, quiet = ?, usual = ?"
            " WHERE host_id = ? AND kind = ? AND subject = ? AND version = ?",
            (write.version, *what, *key, write.version - 1),
            StaleWrite(_MOVED_ON),
        )


@handles
def expect_alert_state(tx: Transaction, write: ExpectAlertState) -> None:
    key = (write.host_id, write.kind, write.subject)
    if write.version:
        tx.expect(f"SELECT 1 {_TRACK} AND version = ?", (*key, write.version), StaleWrite(_MOVED_ON))
    else:
        tx.expect(f"SELECT 1 WHERE NOT EXISTS (SELECT 1 {_TRACK})", key, StaleWrite(_MOVED_ON))


@handles
def forget_alert_state(tx: Transaction, write: ForgetAlertState) -> None:
    key = (write.host_id, write.kind, write.subject, write.version)
    tx.expect(f"DELETE {_TRACK} AND version = ?", key, StaleWrite(_MOVED_ON))


_OPEN_OF_HOST = (
    "SELECT 1 WHERE (SELECT count(*) FROM (SELECT 1 FROM alerts WHERE host_id = ? AND resolved = 0 LIMIT ?) AS found)"
    " - (SELECT count(*) FROM alerts WHERE host_id = ? AND kind = 'too_many_alerts' AND resolved_at IS NULL)"
)


@handles
def expect_open(tx: Transaction, write: ExpectOpen) -> None:
    tx.expect(
        f"{_OPEN_OF_HOST} >= ?" if write.reached else f"{_OPEN_OF_HOST} < ?",
        (write.host_id, write.most + 1, write.host_id, write.most),
        StaleWrite("the host has more or fewer open alerts by now"),
    )


_NAME_OF_HOST = "SELECT name FROM hosts WHERE id = ? AND deleted_at IS NULL"


@reads_ahead
def _looked_at(write: RaiseAlert) -> Iterator[Look]:
    if write.host_id:
        yield _NAME_OF_HOST, (write.host_id,)
        yield outbox.TAGS_OF_HOST, (write.host_id,)
    if ids.looks_valid(write.subject):  # a schedule's
        yield outbox.ZONE_OF_SCHEDULE, (write.subject,)


def _name_of(tx: Transaction, write: RaiseAlert) -> str:
    """The name of what an alert is about: a host, or else a channel. Refuses what is gone."""
    if write.host_id:
        found = tx.look(_NAME_OF_HOST, (write.host_id,))
    else:
        found = tx.row("SELECT name FROM channels WHERE id = ?", (write.subject.removeprefix("channel:"),))
    if found is None:
        raise RefusedWrite("not_found", f"the {'host' if write.host_id else 'channel'} was deleted")
    name: str = found["name"]
    return name


def _there_already(tx: Transaction, alert_id: str) -> Exception:
    """Why an alert was not raised."""
    if tx.row("SELECT 1 FROM alerts WHERE id = ?", (alert_id,)) is not None:
        return DuplicateWrite()
    return StaleWrite("an unresolved alert exists already")


def _is_resolved(tx: Transaction, alert_id: str) -> bool:
    """Refuses an alert that does not exist."""
    found = tx.row("SELECT resolved FROM alerts WHERE id = ?", (alert_id,))
    if found is None:
        raise RefusedWrite("not_found", "there is no such alert")
    return bool(found["resolved"])
