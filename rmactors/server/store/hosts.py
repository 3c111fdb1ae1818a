"""Hosts: enrollment, what they say of themselves, credentials."""

import json

from rmactors.server.messages.audit import Audit
from rmactors.server.messages.hosts import (
    DeleteHost,
    Enrolled,
    EnrollHost,
    NoteOnHost,
    RecordHello,
    RecordSigns,
    RotateHostToken,
    UpdateHost,
)
from rmactors.server.store import audit, repositories
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles

NOTES_KEPT = 100
"""Newest notes kept for each host: a misbehaving agent must not fill the disk."""


@handles
def enroll_host(tx: Transaction, write: EnrollHost) -> Enrolled:
    name_key = write.name.casefold()
    known = tx.row(
        "SELECT id, last_hello_at, first_report_at FROM hosts WHERE name_key = ? AND deleted_at IS NULL", (name_key,)
    )
    if known is not None and (known["last_hello_at"] is not None or known["first_report_at"] is not None):
        raise RefusedWrite("name_taken", f"a host named {write.name!r} is enrolled already; choose another name")
    host_id: str = known["id"] if known is not None else write.host_id
    spent = tx.changed(
        "UPDATE enrollment_tokens SET used_at = ?, host_id = ? WHERE id = ? AND used_at IS NULL AND expires_at > ?",
        (write.at, host_id, write.enrollment_id, write.at),
    )
    if not spent:
        raise RefusedWrite("token_spent", "the enrollment token was used or has expired")
    if known is not None:
        tx.execute(
            "UPDATE hosts SET name = ?, hostname = ?, os = ?, arch = ?, agent_version = ?,"
            " token_hash = ?, enrolled_at = ?"
            " WHERE id = ?",
            (
                write.name,
                write.hostname,
                write.os,
                write.arch,
                write.agent_version,
                write.token_hash,
                write.at,
                host_id,
            ),
        )
    else:
        tx.execute(
            "INSERT INTO hosts (id, name, name_key, hostname, os, arch, token_hash, agent_version, enrolled_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                host_id, write.name, name_key, write.hostname, write.os, write.arch, write.token_hash,
                write.agent_version, write.at,
            ),
        )  # fmt: skip
    audit.append(tx, Audit(write.at, write.name, "agent", "host.enroll", "host", host_id, address=write.address))
    tx.wake.hosts.add(host_id)
    tx.wake.topics.add("hosts")
    return Enrolled(host_id)


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
            " last_hello_at = ?, last_seen_at = max(coalesce(last_seen_at, 0), ?) WHERE id = ?",
            (
                write.agent_version, write.timezone, write.clock_offset_seconds, write.tzdata_version,
                write.hostname, write.os, write.arch, write.plans, write.allow, write.restore_targets,
                write.at, write.at, write.at, write.host_id,
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
    _require(tx, write.host_id)
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
    if write.tags is not None:
        tx.execute("UPDATE hosts SET tags = ? WHERE id = ?", (json.dumps(write.tags), write.host_id))
    audit.append(tx, write.audit)
    tx.wake.topics.add("hosts")


@handles
def rotate_host_token(tx: Transaction, write: RotateHostToken) -> None:
    _require(tx, write.host_id)
    tx.execute("UPDATE hosts SET token_hash = ? WHERE id = ?", (write.token_hash, write.host_id))
    audit.append(tx, write.audit)
    tx.wake.hosts.add(write.host_id)


@handles
def delete_host(tx: Transaction, write: DeleteHost) -> None:
    _require(tx, write.host_id)
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
    audit.append(tx, write.audit)
    tx.wake.hosts.add(write.host_id)
    tx.wake.topics |= {"hosts", "jobs", "alerts"}


def _require(tx: Transaction, host_id: str) -> None:
    if tx.row("SELECT 1 FROM hosts WHERE id = ? AND deleted_at IS NULL", (host_id,)) is None:
        raise RefusedWrite("not_found", "there is no such host")
