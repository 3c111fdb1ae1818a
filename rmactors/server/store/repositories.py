"""Repositories as wholes: what agents told of them, their sizes over time, and what keeps them well."""

import json
from typing import Any, Final

from rmactors.common.clock import DAY
from rmactors.common.vocabulary import REPOSITORY_BUSY
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.reports import EndReport
from rmactors.server.messages.repositories import (
    FoundRepository,
    Measurement,
    PostponeLook,
    RefreshRepository,
    SaveRepositories,
    SettleLook,
)
from rmactors.server.state.repositories import Size, growth_a_month
from rmactors.server.store import audit
from rmactors.server.store.database import Rows
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles

_CARES: Final = ("check", "prune", "restore_test")
_OF_A_PRUNE: Final = ("pruned", "bytes_remaining", "bytes_freed", "bytes_unused")
"""What a forget says that pruned, the newest agents' word first."""


@handles
def save_repositories(tx: Transaction, write: SaveRepositories) -> None:
    if tx.row("SELECT 1 FROM hosts WHERE id = ? AND deleted_at IS NULL", (write.host_id,)) is None:
        return
    if write.all_of_them:
        names = {found.name for found in write.found}
        for (name,) in tx.rows("SELECT name FROM repository_uses WHERE host_id = ?", (write.host_id,)):
            if name not in names:
                tx.execute("DELETE FROM repository_uses WHERE host_id = ? AND name = ?", (write.host_id, name))
    for found in write.found:
        _save_use(tx, write, found)
        if found.repository_id is not None:
            tx.execute(
                "INSERT INTO repositories (id, version, first_seen_at) VALUES (?, ?, ?)"
                " ON CONFLICT (id) DO UPDATE SET version = coalesce(excluded.version, repositories.version)",
                (found.repository_id, found.version, write.at),
            )
            if found.measurement is not None:
                _save_measurement(tx, write, found.repository_id, found.measurement)
            elif found.error is not None:
                _let_others_try(tx, write, found.repository_id)
    tx.wake.topics.add("repositories")


def _save_use(tx: Transaction, write: SaveRepositories, found: FoundRepository) -> None:
    """What it was called before, where the agent cannot open it just now."""
    tx.execute(
        "INSERT INTO repository_uses"
        " (host_id, name, repository_id, location, plans, filed_as, error, error_at, seen_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (host_id, name) DO UPDATE SET"
        " repository_id = CASE WHEN excluded.repository_id IS NULL AND excluded.location = repository_uses.location"
        " THEN repository_uses.repository_id ELSE excluded.repository_id END,"
        " location = excluded.location, plans = excluded.plans, filed_as = excluded.filed_as,"
        " error = excluded.error, error_at = excluded.error_at, seen_at = excluded.seen_at",
        (
            write.host_id, found.name, found.repository_id, found.location, json.dumps(found.plans), found.filed_as,
            found.error, write.at if found.error is not None else None, write.at,
        ),
    )  # fmt: skip


def _save_measurement(tx: Transaction, write: SaveRepositories, repository_id: str, measured: Measurement) -> None:
    """Unless somebody was asked later, and has answered already."""
    newest = tx.changed(
        "UPDATE repositories SET size_bytes = ?, uncompressed_bytes = ?, compression = ?, snapshots = ?, shares = ?,"
        " locks = ?, measured_at = ?, measured_by = ? WHERE id = ? AND coalesce(measured_at, 0) <= ?",
        (
            measured.size_bytes, measured.uncompressed_bytes, measured.compression, measured.snapshots,
            measured.shares, measured.locks, write.at, write.host_id, repository_id, write.at,
        ),
    )  # fmt: skip
    if newest:
        tx.execute(
            "INSERT INTO repository_sizes (repository_id, day, at, bytes, snapshots) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (repository_id, day) DO UPDATE SET at = excluded.at, bytes = excluded.bytes,"
            " snapshots = excluded.snapshots",
            (repository_id, write.at // DAY, write.at, measured.size_bytes, measured.snapshots),
        )
        _note_growth(tx, repository_id)


def _note_growth(tx: Transaction, repository_id: str) -> None:
    """What lists are sorted by, and what their first line says."""
    sizes = [Size(*row) for row in tx.rows(
        "SELECT at, bytes FROM repository_sizes WHERE repository_id = ? ORDER BY day", (repository_id,)
    )]  # fmt: skip
    tx.execute("UPDATE repositories SET growth_bytes = ? WHERE id = ?", (growth_a_month(sizes), repository_id))


def _let_others_try(tx: Transaction, write: SaveRepositories, repository_id: str) -> None:
    """Other hosts with this repository need not wait for their time: those that had no trouble themselves."""
    tx.execute(
        "UPDATE hosts SET repositories_due_at = 0 WHERE repositories_failures = 0 AND id <> ? AND deleted_at IS NULL"
        " AND id IN (SELECT host_id FROM repository_uses WHERE repository_id = ?)",
        (write.host_id, repository_id),
    )


@handles
def settle_look(tx: Transaction, write: SettleLook) -> None:
    tx.execute(
        "UPDATE hosts SET repositories_asked_at = ?, repositories_due_at = ?, repositories_failures = ?,"
        " repositories_problem = ?, repositories_detail = ? WHERE id = ?",
        (write.at, write.due_at, write.failures, write.problem, write.detail, write.host_id),
    )
    tx.wake.topics.add("repositories")


@handles
def postpone_look(tx: Transaction, write: PostponeLook) -> None:
    tx.execute("UPDATE hosts SET repositories_due_at = ? WHERE id = ?", (write.due_at, write.host_id))


@handles
def refresh_repository(tx: Transaction, write: RefreshRepository) -> None:
    if not tx.changed("UPDATE repositories SET wanted_at = ? WHERE id = ?", (write.at, write.repository_id)):
        raise RefusedWrite("not_found", "there is no such repository")
    tx.execute(
        "UPDATE hosts SET repositories_due_at = 0, repositories_failures = 0 WHERE deleted_at IS NULL"
        " AND id IN (SELECT host_id FROM repository_uses WHERE repository_id = ?)",
        (write.repository_id,),
    )
    audit.append(tx, write.audit)
    tx.wake.repositories = True
    tx.wake.topics.add("repositories")


def note_hello(tx: Transaction, write: RecordHello) -> None:
    """A host that is new, was upgraded, or whose file was changed may tell more of its repositories: it is asked."""
    tx.then(
        "UPDATE hosts SET repositories_due_at = 0 WHERE id = ? AND (first_hello_at IS NULL OR agent_version <> ?"
        " OR plans <> ? OR coalesce(allow, '') <> coalesce(CAST(? AS TEXT), ''))",
        (write.host_id, write.agent_version, write.plans, write.allow),
        _wake_if_changed,
    )


def _wake_if_changed(tx: Transaction, rows: Rows) -> None:
    tx.wake.repositories |= rows.rowcount > 0


def note_good_end(tx: Transaction, report: EndReport) -> None:
    """A repository that could not be looked at, because it was not there yet or a job was running, is looked at again;
    and one whose sizes do not know this host's snapshots yet."""
    tx.then(
        "UPDATE hosts SET repositories_due_at = 0 WHERE id = ? AND EXISTS (SELECT 1 FROM repository_uses"
        " WHERE host_id = hosts.id AND (repository_id IS NULL OR error = ?))",
        (report.host_id, REPOSITORY_BUSY),
        _wake_if_changed,
    )
    if report.kind == "backup":
        _measure_for_the_first_backup(tx, report)


def _measure_for_the_first_backup(tx: Transaction, report: EndReport) -> None:
    def measure(tx: Transaction, uses: Rows) -> None:
        for use in uses.fetchall():
            if all(share["host"] != use["filed_as"] for share in json.loads(use["shares"])):
                tx.execute("UPDATE repositories SET wanted_at = ? WHERE id = ?", (report.received_at, use["id"]))
                tx.execute("UPDATE hosts SET repositories_due_at = 0 WHERE id = ?", (report.host_id,))
                tx.wake.repositories = True

    tx.then(
        "SELECT repositories.id, filed_as, shares FROM repository_uses"
        " JOIN repositories ON repositories.id = repository_id AND measured_at < ?"
        " JOIN hosts ON hosts.id = host_id AND repositories_failures = 0 WHERE host_id = ?",
        (report.finished_at, report.host_id),
        measure,
    )


def remember_care(tx: Transaction, report: EndReport, schedule_id: str | None) -> None:
    """A good end that keeps a repository well. Reports come late, and in any order: the newest counts."""
    kind = "prune" if report.kind == "forget" else report.kind
    if kind not in _CARES or (report.kind == "forget" and not _pruned(report.stats)):
        return
    about = _about(tx, report, schedule_id)
    if about is None:
        return
    plan, repository = about
    tx.execute(
        "INSERT INTO care_ends (host_id, kind, plan, repository, job_id, at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (host_id, kind, plan, repository) DO UPDATE SET job_id = excluded.job_id, at = excluded.at"
        " WHERE care_ends.at <= excluded.at",
        (report.host_id, kind, plan, repository, report.job_id, report.finished_at),
    )


def _pruned(stats: str) -> bool:
    found = _object(stats)
    return any(found.get(name, False) is not False for name in _OF_A_PRUNE)


def _about(tx: Transaction, report: EndReport, schedule_id: str | None) -> tuple[str, str] | None:
    """The plan, or the repository, that a job was about (the other is empty); None if nobody says. Of an older agent,
    and of a command that `exec` wraps, what the job or its schedule was to be about."""
    if report.plan:
        return report.plan, ""
    if name := _text(_object(report.stats), "repository"):
        return "", name
    for table, key in (("jobs", report.job_id), ("schedules", schedule_id)):
        row = tx.row(f"SELECT params FROM {table} WHERE id = ?", (key,))  # noqa: S608 - one of two words
        asked = _object(row["params"]) if row is not None else {}
        if plan := _text(asked, "plan"):
            return plan, ""
        if name := _text(asked, "repository"):
            return "", name
    return None


def _text(found: dict[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _object(text: str | None) -> dict[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
