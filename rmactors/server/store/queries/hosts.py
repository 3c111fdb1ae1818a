"""Reads of hosts, and what their signs of life amount to."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass, field
from typing import Any, Protocol

from rmactors.common import clock
from rmactors.common.vocabulary import HostStatus
from rmactors.server.store.database import Database
from rmactors.server.store.queries import host_lists, jobs, schedules
from rmactors.server.store.queries.good_ends import GoodEnd, good_ends
from rmactors.server.store.queries.host_lists import HostFilter, HostSort
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.rows import Page, columns, placeholders, read
from rmactors.server.store.queries.schedules import ScheduleRow


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host that is not deleted. `tags`, `plans`, `allow` and `restore_targets` are JSON lists as text; the last two
    None where its agent does not tell.

    `clock_offset_seconds` is its clock minus the server's, `last_backup_at` 0 where no backup ended yet.
    """

    id: str
    name: str
    name_key: str
    hostname: str
    os: str
    arch: str
    tags: str
    agent_version: str
    restic_version: str | None
    timezone: str | None
    plans: str
    enrolled_at: int
    first_hello_at: int | None
    last_hello_at: int | None
    first_report_at: int | None
    last_seen_at: int | None
    clock_offset_seconds: float | None = None
    tzdata_version: str | None = None
    restic_problem: str | None = None
    spool_problem: str | None = None
    spool_problem_since: int | None = None
    allow: str | None = None
    restore_targets: str | None = None
    paused_at: int | None = None
    last_backup_at: int = 0


@dataclass(frozen=True, slots=True)
class HostView:
    """A host with what it runs: its schedules, for each kind of job the one that ended last, and for each plan the
    restore test that passed last."""

    host: HostRow
    schedules: list[ScheduleRow]
    last_jobs: dict[str, JobRow]
    restore_tests: list[GoodEnd] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class HostNote:
    """Something that the server wants an operator to see: a refused report, a cloned agent."""

    id: str
    at: int
    code: str
    detail: str


_SELECT = f"SELECT {columns(HostRow)} FROM hosts WHERE deleted_at IS NULL"


class Heard(Protocol):
    """When it was last heard from, of which `status_of` is made."""

    @property
    def first_hello_at(self) -> int | None: ...
    @property
    def first_report_at(self) -> int | None: ...
    @property
    def last_seen_at(self) -> int | None: ...


def status_of(host: Heard, now: int, offline_after_seconds: float) -> HostStatus:
    """What the host is: silence is measured from the last sign of life."""
    if host.first_hello_at is None:
        return "never_seen" if host.first_report_at is None else "reports_only"
    silent = now - (host.last_seen_at or host.first_hello_at)
    return "online" if silent <= clock.seconds(offline_after_seconds) else "offline"


def host(db: Database, host_id: str) -> HostRow | None:
    """Not a deleted one."""
    row = db.execute(f"{_SELECT} AND id = ?", (host_id,)).fetchone()
    return HostRow(*row) if row is not None else None


def host_view(db: Database, host_id: str) -> HostView | None:
    found = host(db, host_id)
    return _views(db, [found])[0] if found is not None else None


def host_id_of(db: Database, name: str) -> str | None:
    """By its name, compared without regard to case."""
    row = db.execute("SELECT id FROM hosts WHERE name_key = ? AND deleted_at IS NULL", (name.casefold(),)).fetchone()
    return str(row[0]) if row is not None else None


def host_views(
    db: Database, wanted: HostFilter, sort: HostSort, heard_since: int, limit: int,
    after: tuple[Any, ...] | None = None,
) -> Page[HostView]:  # fmt: skip
    """As `host_lists.select` has them."""
    selected = host_lists.select(db, wanted, sort, heard_since, limit, after=after)
    rows = db.execute(f"{_SELECT} AND id IN ({placeholders(selected.ids)})", selected.ids).fetchall()
    by_id = {row.id: row for row in read(HostRow, rows)}
    return Page(_views(db, [by_id[host_id] for host_id in selected.ids]), selected.after)


def notes(db: Database, host_id: str, limit: int = 50) -> list[HostNote]:
    """Newest first."""
    rows = db.execute(
        "SELECT id, at, code, detail FROM host_notes WHERE host_id = ? ORDER BY at DESC, id DESC LIMIT ?",
        (host_id, limit),
    )
    return read(HostNote, rows)


def _views(db: Database, hosts: list[HostRow]) -> list[HostView]:
    host_ids = [row.id for row in hosts]
    theirs, newest = schedules.schedules_of(db, host_ids), jobs.last_jobs(db, host_ids)
    tested = good_ends(db, "restore_test", host_ids)
    return [HostView(row, theirs[row.id], newest[row.id], tested[row.id]) for row in hosts]
