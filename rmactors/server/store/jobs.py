"""Jobs: asked for, begun, ended, given up; and the lines they wrote."""

import json
from functools import partial

from rmactors.server.messages.jobs import CancelJob, JobStarted, QueueJob, SaveEnd, SaveLogLines, SaveLoss, SaveStart
from rmactors.server.messages.reports import EndReport
from rmactors.server.store import audit, repositories
from rmactors.server.store.transaction import DuplicateWrite, RefusedWrite, Transaction, handles

HEAD_KEPT, TAIL_KEPT = 2_000, 18_000
"""Lines kept of one job, from its beginning and from its end: what a runaway hook writes between is not worth the disk,
and how a job ended stands in its last lines."""

GOOD_ENDS_KEPT = 1_000
"""Newest good ends kept of a host: names of plans are whatever its agent says."""


@handles
def save_start(tx: Transaction, write: SaveStart) -> JobStarted:
    report = write.report
    tx.expect(
        "INSERT INTO jobs (id, host_id, kind, plan, schedule_id, scheduled_for, subject, status, warning, started_at,"
        " deadline_at, sort_at) VALUES (?, ?, ?, ?, ?, ?, ?, 'running', ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET plan = coalesce(excluded.plan, jobs.plan), subject = excluded.subject,"
        " status = 'running', warning = excluded.warning, started_at = excluded.started_at,"
        " schedule_id = coalesce(excluded.schedule_id, jobs.schedule_id),"
        " scheduled_for = coalesce(excluded.scheduled_for, jobs.scheduled_for), deadline_at = excluded.deadline_at"
        " WHERE jobs.host_id = excluded.host_id AND jobs.status = 'queued'",
        (
            report.job_id, report.host_id, report.kind, report.plan, write.schedule_id, report.scheduled_for,
            write.subject, write.warning, report.started_at, write.deadline_at, report.started_at,
        ),
        partial(_known_already, host_id=report.host_id, job_id=report.job_id),
    )  # fmt: skip
    tx.wake.topics |= {"jobs", f"job:{report.job_id}"}
    return JobStarted(write.deadline_at)


@handles
def save_end(tx: Transaction, write: SaveEnd) -> None:
    report = write.report
    tx.expect(
        "INSERT INTO jobs (id, host_id, kind, plan, schedule_id, scheduled_for, subject, status, reason, error,"
        " exit_code, stats, warning, started_at, finished_at, sort_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET plan = coalesce(excluded.plan, jobs.plan), subject = excluded.subject,"
        " schedule_id = coalesce(excluded.schedule_id, jobs.schedule_id),"
        " scheduled_for = coalesce(excluded.scheduled_for, jobs.scheduled_for), status = excluded.status,"
        " reason = excluded.reason, error = excluded.error, exit_code = excluded.exit_code, stats = excluded.stats,"
        " warning = excluded.warning, started_at = excluded.started_at, finished_at = excluded.finished_at,"
        " deadline_at = NULL, given_up = 0"
        " WHERE jobs.host_id = excluded.host_id AND (jobs.status IN ('queued', 'running') OR jobs.given_up = 1)",
        (
            report.job_id, report.host_id, report.kind, report.plan, write.schedule_id, report.scheduled_for,
            write.subject, report.status, report.reason, report.error, report.exit_code, report.stats, write.warning,
            report.started_at, report.finished_at, report.started_at,
        ),
        partial(_known_already, host_id=report.host_id, job_id=report.job_id),
    )  # fmt: skip
    if report.kind == "backup":
        tx.note_backup(report.host_id, report.finished_at if report.status in ("succeeded", "partial") else None)
    if report.status == "succeeded":
        _remember_good_end(tx, report)
        repositories.remember_care(tx, report, write.schedule_id)
        repositories.note_good_end(tx, report)
    tx.wake.count("report", report.kind, report.status)
    tx.wake.tell(
        "debug" if report.status == "succeeded" else "info", "job.ended", job_id=report.job_id, host_id=report.host_id,
        kind=report.kind, plan=report.plan, schedule_id=write.schedule_id, status=report.status, reason=report.reason,
    )  # fmt: skip
    tx.wake.topics |= {"jobs", f"job:{report.job_id}"}


def _remember_good_end(tx: Transaction, report: EndReport) -> None:
    """Reports come late, and in any order: the newest end counts."""
    plan, at = report.plan or "", report.finished_at
    tx.then(
        "UPDATE good_ends SET job_id = CASE WHEN at <= ? THEN ? ELSE job_id END,"
        " stats = CASE WHEN at <= ? THEN ? ELSE stats END, at = CASE WHEN at <= ? THEN ? ELSE at END"
        " WHERE host_id = ? AND kind = ? AND plan = ?",
        (at, report.job_id, at, report.stats, at, at, report.host_id, report.kind, plan),
        lambda tx, rows: _remember_first_end(tx, report) if not rows.rowcount else None,
    )


def _remember_first_end(tx: Transaction, report: EndReport) -> None:
    tx.execute(
        "INSERT INTO good_ends (host_id, kind, plan, job_id, at, stats) VALUES (?, ?, ?, ?, ?, ?)"
        # another report of the same batch may have been the first, too
        " ON CONFLICT (host_id, kind, plan) DO UPDATE SET job_id = excluded.job_id, at = excluded.at,"
        " stats = excluded.stats WHERE good_ends.at <= excluded.at",
        (report.host_id, report.kind, report.plan or "", report.job_id, report.finished_at, report.stats),
    )
    tx.execute(
        "DELETE FROM good_ends WHERE host_id = ? AND job_id NOT IN"
        " (SELECT job_id FROM good_ends WHERE host_id = ? ORDER BY at DESC, job_id DESC LIMIT ?)",
        (report.host_id, report.host_id, GOOD_ENDS_KEPT),
    )


@handles
def save_loss(tx: Transaction, write: SaveLoss) -> None:
    loss = write.loss
    lost = tx.changed(
        "UPDATE jobs SET status = 'failed', reason = 'lost', error = ?, finished_at = ?, deadline_at"
        " = NULL, given_up = 1"
        " WHERE id = ? AND status = 'running'",
        (loss.detail, loss.at, loss.job_id),
    )
    if not lost:
        raise DuplicateWrite
    if loss.kind == "backup":
        tx.note_backup(loss.host_id)
    tx.wake.tell(
        "warning", "job.lost", job_id=loss.job_id, host_id=loss.host_id, kind=loss.kind, plan=loss.plan,
        schedule_id=loss.schedule_id, detail=loss.detail,
    )  # fmt: skip
    tx.wake.topics |= {"jobs", f"job:{loss.job_id}"}


@handles
def save_log_lines(tx: Transaction, write: SaveLogLines) -> None:
    job = tx.row("SELECT host_id FROM jobs WHERE id = ?", (write.job_id,))
    if job is None:
        return
    if job["host_id"] != write.host_id:
        raise RefusedWrite("foreign_job", _FOREIGN)
    fresh = _fresh(tx, write)
    if not fresh:
        return
    tx.executemany(
        "INSERT INTO job_logs (job_id, line, stream, text) VALUES (?, ?, ?, ?) ON CONFLICT (job_id, line) DO NOTHING",
        [(write.job_id, line, stream, text) for line, stream, text in fresh],
    )
    tx.execute(
        "DELETE FROM job_logs WHERE job_id = ? AND line >= ?"
        " AND line <= (SELECT max(l.line) FROM job_logs l WHERE l.job_id = ?) - ?",
        (write.job_id, HEAD_KEPT, write.job_id, TAIL_KEPT),
    )
    tx.wake.topics.add(f"job:{write.job_id}")


def _fresh(tx: Transaction, write: SaveLogLines) -> list[tuple[int, str, str]]:
    """The lines that are not there yet and would be kept: the same ones again cost a look, not an insert each."""
    if not write.lines:
        return []
    numbers = [line for line, _, _ in write.lines]
    first, last = min(numbers), max(numbers)
    (known,) = tx.execute("SELECT max(line) FROM job_logs WHERE job_id = ?", (write.job_id,)).fetchone()
    newest = last if known is None else max(known, last)
    there: set[int] = set()
    if known is not None and first <= known and last - first < 2 * len(numbers):  # else a look costs as much
        found = tx.rows(
            "SELECT line FROM job_logs WHERE job_id = ? AND line BETWEEN ? AND ?", (write.job_id, first, last)
        )
        there = {row["line"] for row in found}
    return [
        entry
        for entry in write.lines
        if entry[0] not in there and (entry[0] < HEAD_KEPT or entry[0] > newest - TAIL_KEPT)
    ]


@handles
def queue_job(tx: Transaction, write: QueueJob) -> None:
    if tx.row("SELECT 1 FROM hosts WHERE id = ? AND deleted_at IS NULL", (write.host_id,)) is None:
        raise RefusedWrite("not_found", "there is no such host")
    subject = ""
    if write.schedule_id is not None:
        owner = tx.row(
            "SELECT 1 FROM schedules WHERE id = ? AND host_id = ? AND deleted_at IS NULL",
            (write.schedule_id, write.host_id),
        )
        if owner is None:
            raise RefusedWrite("not_found", "this host has no such schedule")
        subject = write.schedule_id
    named = json.loads(write.params).get("plan")
    plan = named if isinstance(named, str) else None
    tx.execute(
        "INSERT INTO jobs (id, host_id, kind, plan, schedule_id, subject, status, params, queued_at, sort_at)"
        " VALUES (?, ?, ?, ?, ?, ?, 'queued', ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (
            write.job_id, write.host_id, write.kind, plan, write.schedule_id, subject,
            write.params, write.at, write.at,
        ),
    )  # fmt: skip
    audit.append(tx, write.audit)
    tx.wake.hosts.add(write.host_id)
    tx.wake.topics.add("jobs")


@handles
def cancel_job(tx: Transaction, write: CancelJob) -> None:
    job = tx.row("SELECT host_id, status FROM jobs WHERE id = ?", (write.job_id,))
    if job is None:
        raise RefusedWrite("not_found", "there is no such job")
    if job["status"] not in ("queued", "running"):
        raise RefusedWrite("conflict", f"the job has ended: {job['status']}")
    tx.execute(
        "UPDATE jobs SET cancel_requested_at = coalesce(cancel_requested_at, ?) WHERE id = ?", (write.at, write.job_id)
    )
    # One that never began ends here and now. If the host took it on all the same, its real end still counts.
    tx.execute(
        "UPDATE jobs SET status = 'cancelled', reason = 'cancelled', finished_at = ?, given_up = 1"
        " WHERE id = ? AND status = 'queued'",
        (write.at, write.job_id),
    )
    tx.note_backup(job["host_id"])
    audit.append(tx, write.audit)
    tx.wake.hosts.add(job["host_id"])
    tx.wake.topics |= {"jobs", f"job:{write.job_id}"}


_FOREIGN = "this job belongs to another host"


def _known_already(tx: Transaction, host_id: str, job_id: str) -> Exception:
    """Why a report of a job was not taken."""
    job = tx.row("SELECT host_id FROM jobs WHERE id = ?", (job_id,))
    return RefusedWrite("foreign_job", _FOREIGN) if job is not None and job["host_id"] != host_id else DuplicateWrite()
