"""Hosts: what they say of themselves, names and tags, their end."""

import json

from rmactors.server.messages.hosts import (
    DeleteHost,
    NoteOnHost,
    PauseHost,
    RecordHello,
    RecordSigns,
    RotateHostToken,
    TagHost,
    UpdateHost,
)
from rmactors.server.store import audit, repositories
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles

MOST_TAGS = 100
NOTES_KEPT = 100
"""Newest notes kept for each host: a misbehaving agent must not fill the disk."""


@handles
def record_hello(tx: Transaction, write: RecordHello) -> None:
    if write.report_only:  # a host that only reports leaves out what it does not know
        tx.execute(
            "UPDATE hosts SET agent_version = ?, timezone = coalesce(nullif(?, ''), timezone),"
            " clock_offset_seconds = coalesce(?, clock_offset_seconds), tzdata_version = coalesce(?, tzdata_version),"
            " first_report_at = coalesce(first_report_at, ?) WHERE id = ?",
            (
                write.agent_version, write.timezone, write.clock_offset_seconds, write.tzdata_version, write.at,
                write.host_id,
            ),
        )  # fmt: skip
    else:
        repositories.note_hello(tx, write)
        tx.execute(
            "UPDATE hosts SET agent_version = ?, timezone = ?, clock_offset_seconds = ?, tzdata_version = ?,"
            " hostname = ?, os = ?, arch = ?, plans = ?, allow = ?, restore_targets = ?,"
            " first_hello_at = coalesce(first_hello_at, ?),"
            " last_hello_at = ?, last_seen_at = CASE WHEN last_seen_at > ? THEN last_seen_at ELSE ? END WHERE id = ?",
            (
                write.agent_version, write.timezone, write.clock_offset_seconds, write.tzdata_version,
                write.hostname, write.os, write.arch, write.plans, write.allow, write.restore_targets,
                write.at, write.at, write.at, write.at, write.host_id,
            ),
        )  # fmt: skip
    if write.restic_told:
        tx.execute(
            "UPDATE hosts SET restic_version = ?, restic_problem = ? WHERE id = ?",
            (write.restic_version, write.restic_problem, write.host_id),
        )
    tx.execute(  # several processes of a host may have the same trouble: it began with the first that had it
        "UPDATE hosts SET spool_problem = ?, spool_problem_since ="
        " CASE WHEN spool_problem IS NULL OR CAST(? AS TEXT) IS NULL THEN ? ELSE spool_problem_since END WHERE id = ?",
        (write.spool_problem, write.spool_problem, write.spool_problem_since, write.host_id),
    )
    tx.wake.topics.add("hosts")


@handles
def record_signs(tx: Transaction, write: RecordSigns) -> None:
    for host_id, at in write.signs:
        tx.execute(
            "UPDATE hosts SET last_seen_at = ? WHERE id = ? AND (last_seen_at IS NULL OR last_seen_at < ?)",
            (at, host_id, at),
        )
    for host_id, offset in write.clock_offsets:
        tx.execute("UPDATE hosts SET clock_offset_seconds = ? WHERE id = ?", (offset, host_id))
        tx.wake.topics.add("hosts")


@handles
def note_on_host(tx: Transaction, write: NoteOnHost) -> None:
    tx.execute(
        "INSERT INTO host_notes (id, host_id, at, code, detail) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (write.id, write.host_id, write.at, write.code, write.detail[:2000]),
    )
    tx.execute(
        "DELETE FROM host_notes WHERE host_id = ? AND id NOT IN"
        " (SELECT id FROM host_notes WHERE host_id = ? ORDER BY at DESC, id DESC LIMIT ?)",
        (write.host_id, write.host_id, NOTES_KEPT),
    )
    tx.wake.topics.add("hosts")


@handles
def update_host(tx: Transaction, write: UpdateHost) -> None:
    require_host(tx, write.host_id)
    if write.name is not None:
        taken = tx.row(
            "SELECT 1 FROM hosts WHERE name_key = ? AND deleted_at IS NULL AND id <> ?",
            (write.name.casefold(), write.host_id),
        )
        if taken is not None:
            raise RefusedWrite("name_taken", f"a host named {write.name!r} exists already")
        tx.execute(
            "UPDATE hosts SET name = ?, name_key = ? WHERE id = ?", (write.name, write.name.casefold(), write.host_id)
        )
        tx.execute("UPDATE alerts SET host_name = ? WHERE host_id = ?", (write.name, write.host_id))
        tx.wake.topics.add("alerts")
    if write.tags is not None:
        tx.execute("UPDATE hosts SET tags = ? WHERE id = ?", (json.dumps(write.tags), write.host_id))
        tx.wake.tagged.add(write.host_id)
    audit.append(tx, write.audit)
    tx.wake.topics.add("hosts")


@handles
def tag_host(tx: Transaction, write: TagHost) -> None:
    found = tx.row("SELECT tags FROM hosts WHERE id = ? AND deleted_at IS NULL", (write.host_id,))
    if found is None:
        raise RefusedWrite("not_found", "there is no such host")
    tags = [tag for tag in json.loads(found["tags"]) if tag != write.tag]
    if write.on:
        tags.append(write.tag)
    if len(tags) > MOST_TAGS:
        raise RefusedWrite("invalid", f"a host has at most {MOST_TAGS} tags")
    if set(tags) != set(json.loads(found["tags"])):
        tx.execute("UPDATE hosts SET tags = ? WHERE id = ?", (json.dumps(tags), write.host_id))
        audit.append(tx, write.audit)
        tx.wake.tagged.add(write.host_id)
        tx.wake.topics.add("hosts")


@handles
def pause_host(tx: Transaction, write: PauseHost) -> None:
    require_host(tx, write.host_id)
    changed = tx.changed(
        "UPDATE hosts SET paused_at = ? WHERE id = ? AND (paused_at IS NULL) = ?",
        (write.at if write.paused else None, write.host_id, write.paused),
    )
    if changed:
        audit.append(tx, write.audit)
        tx.wake.tagged.add(write.host_id)
        tx.wake.topics.add("hosts")


@handles
def rotate_host_token(tx: Transaction, write: RotateHostToken) -> None:
    require_host(tx, write.host_id)
    tx.execute("UPDATE hosts SET token_hash = ? WHERE id = ?", (write.token_hash, write.host_id))
    audit.append(tx, write.audit)
    tx.wake.hosts.add(write.host_id)


@handles
def delete_host(tx: Transaction, write: DeleteHost) -> None:
    require_host(tx, write.host_id)
    tx.execute("UPDATE hosts SET deleted_at = ?, token_hash = NULL WHERE id = ?", (write.at, write.host_id))
    tx.execute(
        "UPDATE schedules SET deleted_at = ? WHERE host_id = ? AND deleted_at IS NULL", (write.at, write.host_id)
    )
    tx.execute("DELETE FROM repository_uses WHERE host_id = ?", (write.host_id,))
    tx.execute(
        "UPDATE jobs SET status = 'cancelled', reason = 'cancelled', error = 'the host was deleted', finished_at = ?"
        " WHERE host_id = ? AND status IN ('queued', 'running')",
        (write.at, write.host_id),
    )
    tx.execute("DELETE FROM enrollment_tokens WHERE for_host_id = ?", (write.host_id,))
    audit.append(tx, write.audit)
    tx.wake.hosts.add(write.host_id)
    tx.wake.topics |= {"hosts", "jobs", "alerts"}


def require_host(tx: Transaction, host_id: str) -> None:
    if tx.row("SELECT 1 FROM hosts WHERE id = ? AND deleted_at IS NULL", (host_id,)) is None:
        raise RefusedWrite("not_found", "there is no such host")
