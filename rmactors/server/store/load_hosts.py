"""What the actors of hosts rebuild from, and what they look at when they are woken. Read-only."""

import json

from rmactors.common import wire
from rmactors.server.state.host import HostFacts, PendingCommand, PendingWork, RunningJob
from rmactors.server.store.database import Database


def load_hosts(connection: Database, only: set[str] | None = None) -> list[HostFacts]:
    """Every enrolled host, or those of `only` that are."""
    columns = "SELECT id, name, token_hash, first_hello_at, last_seen_at FROM hosts WHERE deleted_at IS NULL"
    if only is None:
        rows = connection.execute(columns).fetchall()
    else:
        rows = [row for id in only for row in connection.execute(f"{columns} AND id = ?", (id,))]
    return [HostFacts(*row) for row in rows]


def load_running(connection: Database, host_id: str) -> list[RunningJob]:
    return [
        RunningJob(row["id"], row["kind"], row["plan"], row["schedule_id"], row["started_at"], row["deadline_at"])
        for row in connection.execute("SELECT * FROM jobs WHERE host_id = ? AND status = 'running'", (host_id,))
    ]


def load_hosts_running(connection: Database) -> set[str]:
    """Hosts with a job that began and has not ended."""
    return {row["host_id"] for row in connection.execute("SELECT DISTINCT host_id FROM jobs WHERE status = 'running'")}


def load_pending_work(connection: Database, host_id: str) -> PendingWork:
    """What the host's actor has to tell its agent, as of now."""
    host = connection.execute(
        "SELECT token_hash, schedules_rev FROM hosts WHERE id = ? AND deleted_at IS NULL", (host_id,)
    ).fetchone()
    if host is None:
        return PendingWork(None, 0, [], [])
    schedules = [
        wire.ScheduleInfo(
            row["id"], row["name"], row["kind"], row["cron"] or "", row["timezone"], bool(row["enabled"]), row["mode"],
            row["grace_seconds"], row["max_runtime_seconds"], row["on_partial"], json.loads(row["params"]),
            row["on_calendar"], row["every_hours"],
        )
        for row in connection.execute(
            "SELECT * FROM schedules WHERE host_id = ? AND deleted_at IS NULL ORDER BY id", (host_id,)
        )
    ]  # fmt: skip
    commands = [
        PendingCommand(
            row["id"], row["kind"], row["schedule_id"], json.loads(row["params"]), row["status"] == "queued",
            row["cancel_requested_at"] is not None,
        )
        for row in connection.execute(
            "SELECT * FROM jobs WHERE host_id = ? AND status IN ('queued', 'running')"
            " AND (status = 'queued' OR cancel_requested_at IS NOT NULL) ORDER BY sort_at, id",
            (host_id,),
        )
    ]  # fmt: skip
    return PendingWork(host["token_hash"], host["schedules_rev"], schedules, commands)
