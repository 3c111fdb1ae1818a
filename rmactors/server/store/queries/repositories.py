"""Reads of repositories: whom to ask about them, and what is known of each."""

# ruff: noqa: S608 - what is put into the SQL here are names of columns and marks; values are always bound

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from rmactors.common.clock import DAY
from rmactors.server.state.repositories import DueHost, ToMeasure
from rmactors.server.store.database import Database
from rmactors.server.store.queries.host_lists import batched
from rmactors.server.store.queries.rows import columns, placeholders, read


def hosts_to_ask(db: Database, now: int, heard_since: int, most: int) -> list[DueHost]:
    """Hosts whose agents are due, are there, and may tell or do not say whether; the longest due first."""
    rows = db.execute(
        "SELECT id, name, repositories_failures FROM hosts INDEXED BY hosts_repositories_due"
        " WHERE deleted_at IS NULL AND first_hello_at IS NOT NULL AND repositories_due_at <= ?"
        " AND coalesce(last_seen_at, 0) >= ? AND (allow IS NULL OR allow LIKE '%\"browse\"%')"
        " ORDER BY repositories_due_at, id LIMIT ?",
        (now, heard_since, most),
    )
    return [DueHost(*row) for row in rows]


def to_measure(db: Database, host_id: str, fresh_since: int) -> list[ToMeasure]:
    """Of the repositories that this host can open, those that were not measured since, or that somebody wants measured
    again: one name for each."""
    rows = db.execute(
        "SELECT min(uses.name), repositories.id FROM repository_uses uses"
        " JOIN repositories ON repositories.id = uses.repository_id"
        " WHERE uses.host_id = ? AND uses.error IS NULL AND (coalesce(repositories.measured_at, 0) < ?"
        " OR repositories.wanted_at > repositories.measured_at) GROUP BY repositories.id ORDER BY 1",
        (host_id, fresh_since),
    )
    return [ToMeasure(*row) for row in rows]


@dataclass(frozen=True, slots=True)
class RepositoryRow:
    """A repository. What was measured is of `measured_at`, None where nothing was. `shares` and `locks` are JSON."""

    id: str
    version: int | None
    size_bytes: int | None
    uncompressed_bytes: int | None
    compression: float | None
    snapshots: int | None
    shares: str
    locks: str
    measured_at: int | None
    measured_by: str | None
    wanted_at: int | None
    first_seen_at: int
    growth_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class UseRow:
    """A repository in the agent.toml of a host that is not deleted. `plans` is a JSON list; `may_tell` 0 where its
    agent's file does not allow that it is asked."""

    repository_id: str
    host_id: str
    host_name: str
    name: str
    location: str
    plans: str
    filed_as: str
    error: str | None
    error_at: int | None
    seen_at: int
    last_seen_at: int | None
    may_tell: int
    problem: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Care:
    """The newest good check, prune or restore test. `job_id` is None where the job is not kept any more."""

    kind: str
    at: int
    host_id: str
    job_id: str | None


@dataclass(frozen=True, slots=True)
class SizeRow:
    """How large it was."""

    repository_id: str
    at: int
    bytes: int
    snapshots: int


@dataclass(frozen=True, slots=True)
class RepositoryView:
    """A repository with all that is known of it. `cares` by kind, the newest of each; `sizes` oldest first."""

    row: RepositoryRow
    uses: list[UseRow]
    cares: dict[str, Care]
    sizes: list[SizeRow]

    @property
    def id(self) -> str:
        return self.row.id


@dataclass(frozen=True, slots=True)
class SilentHost:
    """A host of whose repositories nothing, or not everything, is known. `allow` is a JSON list or None."""

    id: str
    name: str
    allow: str | None
    problem: str | None
    detail: str | None
    error: str | None


_USES: Final = (
    "SELECT repository_id, host_id, hosts.name AS host_name, repository_uses.name, location, repository_uses.plans,"
    " filed_as, error, error_at, seen_at, last_seen_at, (allow IS NULL OR allow LIKE '%\"browse\"%') AS may_tell,"
    " repositories_problem, repositories_detail"
    " FROM repository_uses JOIN hosts ON hosts.id = host_id AND deleted_at IS NULL"
)
_BY_NAME: Final = " ORDER BY hosts.name_key, hosts.id, repository_uses.name"


def repository_views(db: Database, sizes_since: int | None = None) -> list[RepositoryView]:
    """All that a host has, each with a size a week since then, or without sizes."""
    uses = _grouped(read(UseRow, db.execute(f"{_USES} WHERE repository_id IS NOT NULL{_BY_NAME}")))
    rows = read(RepositoryRow, db.execute(f"SELECT {columns(RepositoryRow)} FROM repositories ORDER BY id"))
    sizes = _size_a_week(db, "day >= ?", [sizes_since // DAY]) if sizes_since is not None else {}
    ends = _ends(db, None)
    return [
        RepositoryView(row, uses[row.id], _cares(uses[row.id], ends), sizes.get(row.id, []))
        for row in rows
        if row.id in uses
    ]


def repository_view(db: Database, repository_id: str) -> RepositoryView | None:
    """One with all its sizes; None if no host has it."""
    row = db.execute(f"SELECT {columns(RepositoryRow)} FROM repositories WHERE id = ?", (repository_id,)).fetchone()
    uses = read(UseRow, db.execute(f"{_USES} WHERE repository_id = ?{_BY_NAME}", (repository_id,)))
    if row is None or not uses:
        return None
    sizes = read(
        SizeRow,
        db.execute(
            "SELECT repository_id, at, bytes, snapshots FROM repository_sizes WHERE repository_id = ? ORDER BY day",
            (repository_id,),
        ),
    )
    ends = _ends(db, sorted({use.host_id for use in uses}))
    return RepositoryView(RepositoryRow(*row), uses, _cares(uses, ends), sizes)


def views_of(db: Database, ids: list[str]) -> list[RepositoryView]:
    """These, each with a size of every week that is kept."""
    marks = placeholders(ids)
    uses = _grouped(read(UseRow, db.execute(f"{_USES} WHERE repository_id IN ({marks}){_BY_NAME}", ids)))
    rows = read(
        RepositoryRow, db.execute(f"SELECT {columns(RepositoryRow)} FROM repositories WHERE id IN ({marks})", ids)
    )
    sizes = _size_a_week(db, f"repository_id IN ({marks})", ids) if ids else {}
    ends: dict[str, list[_End]] = {}
    for some in batched(sorted({use.host_id for theirs in uses.values() for use in theirs})):
        ends |= _ends(db, some)
    return [
        RepositoryView(row, uses[row.id], _cares(uses[row.id], ends), sizes.get(row.id, []))
        for row in rows
        if row.id in uses
    ]


def first_name(db: Database, repository_id: str) -> str:
    """As the first of its hosts calls it."""
    uses = read(UseRow, db.execute(f"{_USES} WHERE repository_id = ?{_BY_NAME} LIMIT 1", (repository_id,)))
    return uses[0].name if uses else ""


def last_checks(db: Database) -> dict[str, int]:
    """When each was last checked well, by repository; of all that were."""
    ends: dict[str, list[_End]] = {}
    for row in db.execute("SELECT kind, plan, repository, at, host_id, job_id FROM care_ends WHERE kind = 'check'"):
        ends.setdefault(row[4], []).append(tuple(row))
    found: dict[str, int] = {}
    for repository_id, theirs in _grouped(read(UseRow, db.execute(f"{_USES} WHERE repository_id IS NOT NULL"))).items():
        if care := _cares(theirs, ends).get("check"):
            found[repository_id] = care.at
    return found


def repositories_of_host(db: Database, host_id: str) -> list[UseRow]:
    """Those that are known."""
    return read(UseRow, db.execute(f"{_USES} WHERE host_id = ? AND repository_id IS NOT NULL{_BY_NAME}", (host_id,)))


def silent_hosts(db: Database, limit: int) -> list[SilentHost]:
    """Hosts with an agent that does not tell of its repositories, or not of all, by name."""
    rows = db.execute(
        "SELECT id, name, allow, repositories_problem, repositories_detail, (SELECT min(name || ': ' || error) FROM"
        " repository_uses WHERE host_id = hosts.id AND repository_id IS NULL) FROM hosts"
        " WHERE deleted_at IS NULL AND first_hello_at IS NOT NULL AND (allow NOT LIKE '%\"browse\"%'"
        " OR repositories_problem IS NOT NULL OR EXISTS (SELECT 1 FROM repository_uses"
        " WHERE host_id = hosts.id AND repository_id IS NULL AND error IS NOT NULL)) ORDER BY name_key, id LIMIT ?",
        (limit,),
    )
    return read(SilentHost, rows)


def _size_a_week(db: Database, which: str, values: Sequence[object]) -> dict[str, list[SizeRow]]:
    """By repository, the newest of each week."""
    found: dict[str, list[SizeRow]] = {}
    rows = db.execute(
        "SELECT sizes.repository_id, at, bytes, snapshots FROM repository_sizes sizes JOIN"
        f" (SELECT repository_id, max(day) AS day FROM repository_sizes WHERE {which}"
        " GROUP BY repository_id, day / 7) AS week"
        " ON week.repository_id = sizes.repository_id AND week.day = sizes.day ORDER BY sizes.repository_id, at",
        values,
    )
    for size in read(SizeRow, rows):
        found.setdefault(size.repository_id, []).append(size)
    return found


_End = tuple[str, str, str, int, str, str | None]
"""(kind, plan, repository, at, host_id, job_id)."""


_IN_ORDER: Final = "ends.host_id, ends.kind, ends.plan, ends.repository"
"""Of equally new ones the first counts."""


def _ends(db: Database, host_ids: list[str] | None) -> dict[str, list[_End]]:
    """By host."""
    only = "" if host_ids is None else f" WHERE ends.host_id IN ({placeholders(host_ids)})"
    found: dict[str, list[_End]] = {}
    for row in db.execute(
        "SELECT ends.kind, ends.plan, ends.repository, ends.at, ends.host_id, jobs.id FROM care_ends ends"
        f" LEFT JOIN jobs ON jobs.id = ends.job_id{only} /*pg ORDER BY {_IN_ORDER} */",
        host_ids or (),
    ):
        found.setdefault(row[4], []).append(tuple(row))
    return found


def _cares(uses: list[UseRow], ends: dict[str, list[_End]]) -> dict[str, Care]:
    """A job was about this repository if it named it, or one of the plans that use it."""
    newest: dict[str, Care] = {}
    for use in uses:
        plans = set(json.loads(use.plans))
        for kind, plan, repository, at, host_id, job_id in ends.get(use.host_id, ()):
            mine = repository == use.name or (plan != "" and plan in plans)
            if mine and (kind not in newest or newest[kind].at < at):
                newest[kind] = Care(kind, at, host_id, job_id)
    return newest


def _grouped(uses: list[UseRow]) -> dict[str, list[UseRow]]:
    found: dict[str, list[UseRow]] = {}
    for use in uses:
        found.setdefault(use.repository_id, []).append(use)
    return found
