"""What `rmactors doctor` reads of the database, on a reading connection of its own."""

from dataclasses import dataclass

from rmactors.server.calendars.when import When
from rmactors.server.state.clocks import FAR_SECONDS
from rmactors.server.store.database import Database
from rmactors.server.store.migrations import missing, written_by_newer
from rmactors.server.store.queries.figures import Queued, oldest_unsent, queues, space


@dataclass(frozen=True, slots=True)
class Condition:
    """Times in microseconds, sizes in bytes.

    `newest_at` is when the server last wrote its pulse; `dead_open` counts dead notifications of unresolved alerts.
    `agents` and `zone_data` map a version to the names of its hosts. `wrong_clocks` are names of hosts and how many
    seconds theirs are ahead of the server's. `unwatched` are names of hosts and of their enabled schedules whose
    expression or zone cannot be read here, and why.
    """

    queues: list[Queued]
    oldest_due_at: int | None
    dead_open: int
    newest_at: int | None
    users: int
    enabled_channels: int
    agents: dict[str, list[str]]
    zone_data: dict[str, list[str]]
    wrong_clocks: list[tuple[str, float]]
    unwatched: list[tuple[str, str, str]]
    size: int
    free: int


def schema_trouble(db: Database) -> tuple[str, bool] | None:
    """Why this version does not go with the database's schema, and whether a start mends that; None if it does."""
    to_apply, unknown = missing(db)
    if unknown:
        return written_by_newer(unknown), False
    if to_apply:
        newest = to_apply[-1].stem
        return f"the database is of an older version; the next start of the server brings it up to {newest}", True
    return None


def condition(db: Database, at: int) -> Condition:
    """Everything as of `at`. Raises DatabaseError."""
    agents: dict[str, list[str]] = {}
    for version, name in db.execute(
        "SELECT agent_version, name FROM hosts WHERE deleted_at IS NULL AND first_hello_at IS NOT NULL ORDER BY name"
    ):
        agents.setdefault(version, []).append(name)
    zone_data: dict[str, list[str]] = {}
    for version, name in db.execute(
        "SELECT tzdata_version, name FROM hosts WHERE deleted_at IS NULL AND tzdata_version IS NOT NULL ORDER BY name"
    ):
        zone_data.setdefault(version, []).append(name)
    clocks = db.execute(
        "SELECT name, clock_offset_seconds FROM hosts WHERE deleted_at IS NULL AND abs(clock_offset_seconds) >= ?"
        " ORDER BY name",
        (FAR_SECONDS,),
    ).fetchall()
    (dead,) = db.execute(
        "SELECT count(*) FROM deliveries JOIN alerts ON alerts.id = alert_id AND resolved = 0 WHERE state = 'dead'"
        " AND dismissed = 0"
    ).fetchone()
    pulse = db.execute("SELECT value FROM facts WHERE name = 'pulse'").fetchone()
    (users,) = db.execute("SELECT count(*) FROM users WHERE disabled = 0").fetchone()
    (enabled,) = db.execute("SELECT count(*) FROM channels WHERE enabled = 1").fetchone()
    size, free = space(db)
    return Condition(
        queues=queues(db, at),
        oldest_due_at=oldest_unsent(db, at),
        dead_open=dead,
        newest_at=int(pulse[0]) if pulse else None,
        users=users,
        enabled_channels=enabled,
        agents=agents,
        zone_data=zone_data,
        wrong_clocks=[(name, offset) for name, offset in clocks],
        unwatched=_unwatched(db),
        size=size,
        free=free,
    )


def _unwatched(db: Database) -> list[tuple[str, str, str]]:
    """Many schedules have the same times: each of those is looked at once."""
    of_hosts = "FROM schedules JOIN hosts ON hosts.id = host_id AND hosts.deleted_at IS NULL"
    enabled = "schedules.enabled = 1 AND schedules.deleted_at IS NULL"
    times = db.execute(f"SELECT DISTINCT cron, on_calendar, every_hours, schedules.timezone {of_hosts} WHERE {enabled}")
    found: list[tuple[str, str, str]] = []
    for cron, on_calendar, every_hours, zone in times.fetchall():
        if trouble := When(cron, on_calendar, every_hours, zone).trouble():
            rows = db.execute(
                f"SELECT hosts.name, schedules.name {of_hosts} WHERE {enabled} AND schedules.timezone = ?"
                " AND coalesce(cron, '') = ? AND coalesce(on_calendar, '') = ?",
                (zone, cron or "", on_calendar or ""),
            )
            found += [(host, schedule, trouble) for host, schedule in rows]
    return sorted(found)
