"""Schedules, which of their slots had a run, and when the newest good end was."""

from rmactors.server.messages.schedules import DeleteSchedule, MarkGood, MarkRun, SaveSchedule
from rmactors.server.store import audit
from rmactors.server.store.transaction import RefusedWrite, StaleWrite, Transaction, handles


@handles
def save_schedule(tx: Transaction, write: SaveSchedule) -> None:
    host = tx.row("SELECT paused_at FROM hosts WHERE id = ? AND deleted_at IS NULL", (write.host_id,))
    if host is None:
        raise RefusedWrite("not_found", "there is no such host")
    if write.policy_id is not None:
        _expect_policy(tx, write, write.policy_id)
    saved = tx.changed(
        "INSERT INTO schedules (id, host_id, name, kind, cron, on_calendar, every_hours, timezone, enabled, mode,"
        " grace_seconds, max_runtime_seconds, max_age_hours, on_partial, params, created_at, anchor_at, policy_id,"
        " paused) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, cron = excluded.cron,"
        " on_calendar = excluded.on_calendar, every_hours = excluded.every_hours,"
        " max_age_hours = excluded.max_age_hours,"
        # what was good was good of the other kind
        " last_good_at = CASE WHEN schedules.kind = excluded.kind THEN schedules.last_good_at ELSE NULL END,"
        " kind = excluded.kind,"
        " timezone = excluded.timezone, enabled = excluded.enabled, mode = excluded.mode,"
        " grace_seconds = excluded.grace_seconds, max_runtime_seconds = excluded.max_runtime_seconds,"
        " on_partial = excluded.on_partial, params = excluded.params, anchor_at = excluded.anchor_at,"
        " paused = excluded.paused"
        " WHERE schedules.deleted_at IS NULL AND schedules.host_id = excluded.host_id"
        " AND coalesce(schedules.policy_id, '') = coalesce(excluded.policy_id, '')",
        (
            write.schedule_id, write.host_id, write.name, write.kind, write.cron, write.on_calendar, write.every_hours,
            write.timezone, int(write.enabled), write.mode, write.grace_seconds, write.max_runtime_seconds,
            write.max_age_hours, write.on_partial, write.params, write.at, write.anchor_at,
            write.policy_id, int(write.paused),
        ),
    )  # fmt: skip
    if not saved:
        raise RefusedWrite("not_found", "there is no such schedule")
    if host["paused_at"] is not None and write.enabled:  # of a paused host none stays on
        tx.wake.tagged.add(write.host_id)
    audit.append(tx, write.audit)
    _changed(tx, write.host_id)


@handles
def delete_schedule(tx: Transaction, write: DeleteSchedule) -> None:
    found = tx.row("SELECT host_id FROM schedules WHERE id = ? AND deleted_at IS NULL", (write.schedule_id,))
    if found is None:
        raise RefusedWrite("not_found", "there is no such schedule")
    tx.execute("UPDATE schedules SET deleted_at = ? WHERE id = ?", (write.at, write.schedule_id))
    audit.append(tx, write.audit)
    _changed(tx, found["host_id"])


@handles
def mark_run(tx: Transaction, write: MarkRun) -> None:
    if write.known:
        tx.expect(
            "SELECT 1 FROM schedules WHERE id = ? AND coalesce(last_slot_at, 0) >= ? AND coalesce(last_run_at, 0) >= ?",
            (write.schedule_id, write.slot_at or 0, write.run_at or 0),
            StaleWrite("the run was thought to be noted"),
        )
        return
    slot_at, run_at = write.slot_at or 0, write.run_at or 0
    tx.execute(
        "UPDATE schedules SET last_slot_at = CASE WHEN last_slot_at > ? THEN last_slot_at ELSE ? END,"
        " last_run_at = CASE WHEN last_run_at > ? THEN last_run_at ELSE ? END WHERE id = ?",
        (slot_at, slot_at, run_at, run_at, write.schedule_id),
    )


@handles
def mark_good(tx: Transaction, write: MarkGood) -> None:
    tx.execute(
        "UPDATE schedules SET last_good_at = CASE WHEN last_good_at > ? THEN last_good_at ELSE ? END WHERE id = ?",
        (write.at, write.at, write.schedule_id),
    )


def _expect_policy(tx: Transaction, write: SaveSchedule, policy_id: str) -> None:
    """What is decided by a policy is decided beside the database: both may have changed since."""
    if tx.row("SELECT 1 FROM policies WHERE id = ? AND deleted_at IS NULL", (policy_id,)) is None:
        raise RefusedWrite("conflict", "the policy was deleted")
    other = tx.row(
        "SELECT 1 FROM schedules WHERE policy_id = ? AND host_id = ? AND deleted_at IS NULL AND id <> ?",
        (policy_id, write.host_id, write.schedule_id),
    )
    if other is not None:
        raise RefusedWrite("conflict", "the policy has a schedule on this host already")


def _changed(tx: Transaction, host_id: str) -> None:
    tx.execute("UPDATE hosts SET schedules_rev = schedules_rev + 1 WHERE id = ?", (host_id,))
    tx.wake.hosts.add(host_id)
    tx.wake.topics.add("hosts")
