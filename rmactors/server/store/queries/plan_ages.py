"""How old the newest good backup of each plan of each host is, judged from narrow columns of the database."""

# ruff: noqa: S608 - what is put into the SQL here are our own words; values are always bound

from collections import defaultdict
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from rmactors.server.state.ages import AgedHost, BackupSchedule, End, Heard, PlanAge, ages_of
from rmactors.server.state.clocks import believed
from rmactors.server.store.database import Database, Rows
from rmactors.server.store.queries.rows import tuples

_PLAN: Final = (
    "CASE WHEN json_valid({0}) AND json_type({0}, '$.plan') = 'text' THEN nullif(json_extract({0}, '$.plan'), '') END"
)
"""The plan that a JSON object in this column names; NULL if it names none, or is none."""
_LONGEST_KEPT: Final = 4096
"""Characters of a host's plans that are kept as read: most are short, and the same as before."""


def plan_ages(db: Database, now: int, tag: str | None = None, host_id: str | None = None) -> list[PlanAge]:
    """Every plan of the hosts that are not deleted, as of `now`; of those with this tag, or of this one host, if given.
    In no order."""
    read = _Reading(db, host_id)
    hosts = read.hosts(tag)
    schedules, heard, alerted = read.schedules(), read.heard(), read.alerted()
    nothing = Heard({}, {})
    return [
        age
        for host in hosts
        for age in ages_of(host, schedules.get(host.id, ()), heard.get(host.id, nothing), alerted, now)
    ]


class _Reading:
    """Reads of all hosts, or of one."""

    def __init__(self, db: Database, host_id: str | None) -> None:
        self._db, self._host_id = db, host_id

    def hosts(self, tag: str | None) -> list[AgedHost]:
        found = []
        for host_id, name, key, tags, plans, hello, offset in self._rows(
            "SELECT h.id, h.name, h.name_key, h.tags, h.plans, h.first_hello_at, h.clock_offset_seconds FROM hosts h"
            " WHERE h.deleted_at IS NULL",
            "h.id",
        ):
            theirs = _tags(tags)
            if tag is None or tag in theirs:
                known = _plans(plans) if hello is not None else None
                found.append(AgedHost(host_id, name, key, theirs, known, believed(offset)))
        return found

    def schedules(self) -> dict[str, list[BackupSchedule]]:
        """By host. What one ran last is looked up where it names no plan."""
        found: dict[str, list[BackupSchedule]] = defaultdict(list)
        for row in self._rows(
            "SELECT s.host_id, s.id, s.name, s.enabled, s.mode = 'agent', "
            f" {_PLAN.format('s.params')}, CASE WHEN s.params LIKE '%\"plan\"%' THEN NULL ELSE"
            f" (SELECT {_PLAN.format('t.head')} FROM tracks t WHERE t.host_id = s.host_id"
            " AND t.kind = 'backup_failed' AND t.subject = s.id) END,"
            " s.max_age_hours, s.every_hours, s.last_good_at, s.created_at"
            " FROM schedules s WHERE s.deleted_at IS NULL AND s.kind = 'backup'",
            "s.host_id",
        ):
            found[row[0]].append(BackupSchedule(*row[1:]))
        return found

    def heard(self) -> dict[str, Heard]:
        """By host: what reports told of its plans."""
        good: dict[str, dict[str, End]] = defaultdict(dict)
        tested: dict[str, dict[str, End]] = defaultdict(dict)
        for host_id, kind, plan, *end in self._rows(
            "SELECT g.host_id, g.kind, g.plan, g.job_id, g.at FROM good_ends g"
            " WHERE g.kind IN ('backup', 'restore_test')",
            "g.host_id",
        ):
            (good if kind == "backup" else tested)[host_id][plan] = End(*end)
        tried = self._never_good()
        found = {}
        for host_id in good.keys() | tested.keys() | tried.keys():
            theirs, failed = good.get(host_id, {}), tried.get(host_id, set())
            loose, loose_good = False, None
            if theirs.pop("", None) is not None or "" in failed:
                loose, loose_good = self._loose(host_id)
            found[host_id] = Heard(theirs, tested.get(host_id, {}), sorted(failed - {""}), loose, loose_good)
        return found

    def _never_good(self) -> dict[str, set[str]]:
        """By host: plans that were backed up without a schedule and never well, as far as the rules remember; empty for
        what names none."""
        found: dict[str, set[str]] = defaultdict(set)
        for named in ("t.subject >= 'plan:' AND t.subject < 'plan;'", "t.subject = ''"):
            for host_id, subject in self._rows(
                "SELECT t.host_id, t.subject FROM hosts h CROSS JOIN tracks t"
                f" WHERE h.deleted_at IS NULL AND t.host_id = h.id AND t.kind = 'backup_failed' AND {named}"
                " AND t.last_good_at IS NULL AND t.head IS NOT NULL",
                "h.id",
            ):
                found[host_id].add(subject.removeprefix("plan:"))
        return found

    def _loose(self, host_id: str) -> tuple[bool, End | None]:
        """Whether there are backups that name neither plan nor schedule, and the newest good one. What those named that
        are kept no more, nobody can say."""
        loose = (
            "FROM jobs INDEXED BY jobs_loose"
            " WHERE host_id = ? AND subject = '' AND schedule_id IS NULL AND kind = 'backup'"
        )
        kept = self._db.execute(f"SELECT 1 {loose} LIMIT 1", (host_id,)).fetchone()
        good = self._db.execute(
            f"SELECT id, finished_at {loose} AND status = 'succeeded' ORDER BY sort_at DESC /*pg , id DESC */ LIMIT 1",
            (host_id,),
        ).fetchone()
        return kept is not None, End(*good) if good is not None else None

    def alerted(self) -> set[str]:
        """The schedules whose `backup_overdue` is open."""
        rows = self._db.execute("SELECT subject FROM alerts WHERE resolved_at IS NULL AND kind = 'backup_overdue'")
        return {row[0] for row in rows}

    def _rows(self, select: str, host_id: str) -> Rows:
        """`host_id` is the column that says whose a row is. Rows of deleted hosts come too."""
        rows = self._db.execute(
            select if self._host_id is None else f"{select} AND {host_id} = ?",
            () if self._host_id is None else (self._host_id,),
        )
        return tuples(rows)


# ---- small things, of which a fleet has the same again and again


class _PlanOfFile(msgspec.Struct):
    name: str
    repository: str = ""


_plans_of_file = msgspec.json.Decoder(list[_PlanOfFile])


def _plans(text: str) -> Mapping[str, str]:
    """Name → repository."""
    return _plans_kept(text) if len(text) <= _LONGEST_KEPT else _plans_read(text)


def _plans_read(text: str) -> Mapping[str, str]:
    try:
        return {plan.name: plan.repository for plan in _plans_of_file.decode(text)}
    except msgspec.DecodeError:
        return {}


_plans_kept = lru_cache(maxsize=4096)(_plans_read)


@lru_cache(maxsize=1024)
def _tags(text: str) -> tuple[str, ...]:
    try:
        return tuple(map(str, msgspec.json.decode(text, type=list[Any])))
    except msgspec.DecodeError:
        return ()
