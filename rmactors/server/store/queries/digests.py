"""Reads that digests are made of: some hosts at a time, so that no read is long."""

# ruff: noqa: S608 - what is put into the SQL here are marks and an expression; values are always bound

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from rmactors.common.clock import DAY
from rmactors.server.calendars.when import When
from rmactors.server.state.digest import DigestChannel, HostFigures
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import placeholders
from rmactors.server.store.queries.schedules import counted_from

WITHOUT_SCHEDULE: Final = 7 * DAY
"""Where nothing says when backups should run, one is expected at least so often."""
_ADDED: Final = (
    "total(CASE WHEN json_valid(stats)"
    " THEN coalesce(json_extract(stats, '$.bytes_added'), json_extract(stats, '$.data_added'), '0') ELSE '0' END)"
)


def digest_channels(db: Database) -> list[DigestChannel]:
    """Every enabled channel that wants one."""
    rows = db.execute(
        "SELECT id, digest, digest_at, host_tags FROM channels"
        " WHERE enabled = 1 AND digest IS NOT NULL AND digest_at IS NOT NULL ORDER BY id"
    )
    found = []
    for channel_id, digest, since, tags in rows:
        wanted = json.loads(digest)
        found.append(
            DigestChannel(
                channel_id, digest, wanted["cron"], wanted["timezone"], since, frozenset(json.loads(tags))
            )
        )  # fmt: skip
    return found


def host_figures(
    db: Database, tags: frozenset[str], since: int, until: int, after: str, most: int
) -> tuple[list[HostFigures], str | None]:
    """How hosts with any of the tags (all, if there are none) did after `since` up to `until`: of at most `most` hosts
    past the id `after`, and the id to go on from (None: that was the end)."""
    rows = db.execute(
        "SELECT id, name, tags FROM hosts WHERE deleted_at IS NULL AND id > ? ORDER BY id LIMIT ?", (after, most)
    ).fetchall()
    names = {row[0]: row[1] for row in rows if not tags or not tags.isdisjoint(json.loads(row[2]))}
    ids = list(names)
    figures: dict[str, dict[str, Any]] = {host_id: {"name": name} for host_id, name in names.items()}
    if ids:  # an index cannot be told to be used for nothing
        _runs(db, figures, ids, since, until)
        _alerts(db, figures, ids)
        without = [host_id for host_id in ids if not figures[host_id].keys() & {"good", "partial"}]
        _expectations(db, figures, without, since, until)
    return [HostFigures(**found) for found in figures.values()], rows[-1][0] if len(rows) == most else None


def alerts_elsewhere(db: Database) -> int:
    """Open alerts that are about no host."""
    found: int = db.execute(
        "SELECT count(*) FROM alerts WHERE host_id = '' AND resolved = 0 AND acknowledged_at IS NULL"
    ).fetchone()[0]
    return found


def _runs(db: Database, figures: dict[str, dict[str, Any]], ids: Sequence[str], since: int, until: int) -> None:
    rows = db.execute(
        f"SELECT host_id, status, count(*), {_ADDED} FROM jobs INDEXED BY jobs_ended"
        f" WHERE host_id IN ({placeholders(ids)}) AND kind = 'backup' AND finished_at > ? AND finished_at <= ?"
        " AND status IN ('succeeded', 'partial', 'failed') GROUP BY host_id, status",
        (*ids, since, until),
    )
    for host_id, status, number, added in rows:
        found = figures[host_id]
        found[{"succeeded": "good"}.get(status, status)] = number
        if status != "failed":
            found["added"] = found.get("added", 0) + max(0, int(added))


def _alerts(db: Database, figures: dict[str, dict[str, Any]], ids: Sequence[str]) -> None:
    rows = db.execute(
        "SELECT host_id, kind = 'backup_overdue', severity = 'critical', acknowledged_at IS NULL, count(*) FROM alerts"
        f" WHERE host_id IN ({placeholders(ids)}) AND resolved = 0 GROUP BY 1, 2, 3, 4",
        ids,
    )
    for host_id, overdue, critical, is_open, number in rows:
        for name, counts in (("open", is_open), ("critical", critical and is_open), ("overdue", overdue)):
            if counts:
                figures[host_id][name] = figures[host_id].get(name, 0) + number


def _expectations(db: Database, figures: dict[str, dict[str, Any]], ids: Sequence[str], since: int, until: int) -> None:
    """Of hosts without a good backup: when they had one, and whether they should have had one."""
    for host_id, last_good_at in db.execute(
        "SELECT host_id, max(last_good_at) FROM tracks"
        f" WHERE host_id IN ({placeholders(ids)}) AND kind = 'backup_failed' GROUP BY host_id",
        ids,
    ):
        figures[host_id]["last_good_at"] = last_good_at
    slots: dict[str, list[bool]] = defaultdict(list)
    for host_id, *schedule in db.execute(
        "SELECT host_id, cron, on_calendar, every_hours, timezone, anchor_at, mode, created_at, last_run_at,"
        f" last_good_at FROM schedules WHERE host_id IN ({placeholders(ids)}) AND deleted_at IS NULL AND enabled = 1"
        " AND kind = 'backup'",
        ids,
    ):
        slots[host_id].append(_was_due(When(*schedule[:4]), schedule[4], schedule[5:], since, until))
    for host_id in ids:
        last_good_at = figures[host_id].get("last_good_at")
        long_ago = last_good_at is None or last_good_at < until - WITHOUT_SCHEDULE
        figures[host_id]["expected"] = any(slots[host_id]) if host_id in slots else long_ago


def _was_due(when: When, anchor_at: int, counted: Sequence[Any], since: int, until: int) -> bool:
    """Whether a run of this schedule should have begun; of one that cannot be read here nobody knows: yes."""
    try:
        if when.has_slots:
            return when.previous_fire(until, not_before=max(since, anchor_at) + 1) is not None
        return (when.next_run(until, counted_from(*counted)) or until) <= until
    except ValueError:
        return True
