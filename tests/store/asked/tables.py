"""How a row of each table comes about, in an order in which what they refer to is there."""

from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from rmactors.common import clock
from tests.store.asked.makers import alert_kind, any_name, failed, flag, maybe_text, maybe_time, number, status, usual
from tests.store.asked.pools import (
    ALERT_IDS,
    CHANNELS,
    DELIVERIES,
    HOSTS,
    JOBS,
    NAMES,
    NOON,
    PAGES,
    PARAMS,
    PLANS,
    POLICIES,
    QUIET,
    REPOSITORIES,
    SCHEDULES,
    SILENCES,
    TIMES,
    TOKENS,
    USERS,
    Make,
    any_of,
    each,
    head,
    numbered,
)

Mend = Callable[[dict[str, Any], Random], None]


class Table:
    """`many` tries at a row, whose columns are drawn as said here, else as usual; then `mend` makes it whole."""

    def __init__(self, table: str, many: int, mend: Mend | None = None, /, **columns: Make) -> None:
        self.table, self.many, self.mend, self.columns = table, many, mend, columns

    def makers(self, columns: Mapping[str, tuple[str, bool]]) -> dict[str, Make]:
        """For each of the columns (type, and whether it must have a value)."""
        return {name: self.columns.get(name) or usual(name, *shape) for name, shape in columns.items()}


def _when(make: dict[str, Any], lot: Random) -> None:
    """One of the three."""
    make |= {"cron": None, "on_calendar": None, "every_hours": None}
    way = lot.choice(("cron", "cron", "on_calendar", "every_hours"))
    values = {"cron": ("0 3 * * *", "*/5 1 * * 0"), "on_calendar": ("daily", "Mon 04:00"), "every_hours": (0.5, 24.0)}
    make[way] = lot.choice(values[way])


def _of_host(row: dict[str, Any], lot: Random) -> None:
    row["name_key"] = row["name"].casefold()
    if "enrolled_at" in row:  # no two at once: which of such came first nobody knows
        row["enrolled_at"] += 10 * NAMES.index(row["name"])


def _of_alert(row: dict[str, Any], lot: Random) -> None:
    row["resolved"] = int(row["resolved_at"] is not None)


def _of_delivery(row: dict[str, Any], lot: Random) -> None:
    """What is dead or delivered ended; the schema does not say so, but the server does."""
    row["finished_at"] = None if row["state"] == "queued" else lot.choice(TIMES) - row["seq"]


def _of_job(row: dict[str, Any], lot: Random) -> None:
    """No two end or begin at once: which of such was the newest nobody knows."""
    number = int(row["id"][1:])
    row["sort_at"] += number
    row["finished_at"] = (
        None if row["status"] in ("queued", "running") else row["sort_at"] + lot.choice((0, 5, 9)) * 1000
    )
    if lot.random() < 0.6:
        row["subject"] = row["schedule_id"] or (f"plan:{row['plan']}" if row["plan"] else "")


TABLES: Final = (
    Table(
        "users",
        len(USERS),
        lambda row, _lot: row.update(username_key=row["username"].casefold()),
        id=each(USERS),
        username=each(NAMES),
        totp_secret=any_of(None, b"\0\xff'"),
        theme=any_of(None, "dark"),
    ),
    Table("recovery_codes", 20, code_hash=numbered("r")),
    Table("passkeys", 10, id=numbered("K"), credential_id=numbered("c"), public_key=any_of(b"", b"\1\0\2")),
    Table("sessions", 20, id=numbered("W"), token_hash=numbered("hash of W")),
    Table(
        "api_tokens",
        len(TOKENS),
        id=each(TOKENS),
        token_hash=numbered("hash of T"),
        owner_id=any_of(None, *USERS),
        created_by=any_of(None, "anna"),
        parent_id=any_of(None),
    ),
    Table("code_tries", 10, kind=any_of("totp", "recovery")),
    Table(
        "audit",
        80,
        id=numbered("N"),
        n=number,
        actor=any_name,
        actor_kind=any_of("user", "token", "agent", "system"),
        action=any_of("alert.resolve", "login.refused"),
        target_kind=any_of("host", "schedule", "policy", "channel", "user", "token", "alert", "job", "delivery", "x"),
        target_id=any_of("", *HOSTS, *SCHEDULES[:5], *POLICIES, *CHANNELS, *USERS, *TOKENS, *ALERT_IDS[:5], *JOBS[:5]),
        result=any_of("ok", "denied"),
    ),
    Table("refusals", 20, audit_id=any_of(None, *(f"N{number:03}" for number in range(80)))),
    Table(
        "hosts",
        len(HOSTS),
        _of_host,
        id=each(HOSTS),
        name=each(NAMES),
        token_hash=numbered("hash of H"),
        deleted_at=any_of(None, None, None, None, *TIMES[-4:]),
        hostname=any_of("nas.lan", "NAS.LAN", "größe.lan"),
        plans=any_of(
            "[]",
            '[{"name": "home", "repository": "/srv/r"}]',
            '[{"name": "größe", "repository": "b"}, {"name": "etc"}]',
        ),
        clock_offset_seconds=any_of(None, 0.25, -90000.5, 7.0),
        tzdata_version=any_of(None, "2026f", "2025a"),
        allow=any_of(None, "[]", '["browse", "run"]', '["run"]'),
        repositories_problem=any_of(None, None, "refused"),
        last_backup_at=any_of(0, *TIMES[:5]),
        last_good_backup_at=any_of(0, *TIMES[:8]),
        paused_at=any_of(None, None, NOON),
        last_seen_at=any_of(None, 0, *TIMES[:8]),
        repositories_due_at=any_of(0, *TIMES),
        first_hello_at=any_of(None, *TIMES[3:9]),
    ),
    Table("host_notes", 60, id=numbered("O")),
    Table(
        "enrollment_tokens",
        12,
        id=numbered("E"),
        token_hash=numbered("hash of E"),
        uses=any_of(2, 5),
        used=any_of(0, 1, 2),
        for_host_id=any_of(None, *HOSTS),
        host_id=any_of(None, *HOSTS),
        tags=any_of("[]", '["prod"]'),
    ),
    Table(
        "policies",
        len(POLICIES),
        lambda row, lot: (_of_host(row, lot), _when(row, lot))[0],
        id=each(POLICIES),
        name=each(NAMES),
        max_age_hours=any_of(None, 30.0),
        deleted_at=any_of(None, None, NOON),
        params=any_of("{}", '{"plan": "home"}'),
        enabled=flag,
        spread_minutes=any_of(0, 30),
    ),
    Table(
        "schedules",
        len(SCHEDULES),
        _when,
        id=each(SCHEDULES),
        max_age_hours=any_of(None, None, 30.0),
        policy_id=any_of(None, None, *POLICIES),
        deleted_at=any_of(None, None, None, NOON),
        kind=any_of("backup", "backup", "backup", "check"),
        params=any_of(*(each_ for each_ in PARAMS if each_ != "broken")),
        paused=flag,
    ),
    Table(
        "jobs",
        len(JOBS),
        _of_job,
        id=each(JOBS),
        schedule_id=any_of(None, None, *SCHEDULES),
        status=status,
        reason=any_of(None, "ok", "error"),
        warning=maybe_text,
        deadline_at=any_of(None, NOON + clock.DAY),
        params=any_of("{}", '{"plan": "home"}'),
    ),
    Table(
        "job_logs",
        300,
        line=any_of(*range(12)),
        stream=any_of("stdout", "stderr"),
        text=any_of("", "Größe: 3", "x" * 1200),
        job_id=any_of(*JOBS[:40]),
    ),
    Table(
        "tracks",
        250,
        kind=failed,
        head=any_of(None, None, *(head(plan) for plan in PLANS)),
        good=any_of(None),
        usual=any_of(None),
        last_good_at=maybe_time,
    ),
    Table(
        "alerts",
        len(ALERT_IDS),
        _of_alert,
        id=each(ALERT_IDS),
        host_id=any_of("", *HOSTS),
        kind=alert_kind,
        severity=any_of("info", "warning", "critical"),
        host_name=any_name,
        message=any_of("Größe falsch", "GRÖSSE 50%", "disk_full", "Σίσυφος", "İ", "disk full", "ς"),
        job_id=any_of(None, *JOBS),
        resolved_at=any_of(None, *TIMES),
        resolved_by=any_of("rule", "anna"),
    ),
    Table(
        "alert_events",
        500,
        pos=any_of(*range(9)),
        event=any_of("raised", "resolved"),
        reason=any_of(None, "meant"),
        alert_id=any_of(*ALERT_IDS[:60]),
    ),
    Table(
        "silences",
        len(SILENCES),
        id=each(SILENCES),
        host_id=any_of(None, *HOSTS),
        kind=any_of(None, "backup_failed"),
        tag=any_of(None, "prod"),
        recurrence=any_of(None, "{}"),
        ends_at=maybe_time,
        deleted_at=any_of(None, None, *TIMES[-4:]),
    ),
    Table(
        "channels",
        len(CHANNELS),
        id=each(CHANNELS),
        kind=any_of("webhook", "ntfy", "webpush"),
        config=any_of(b"", b"\0\xff\x80"),
        min_severity=any_of("info", "critical"),
        events=any_of("[]", '["alert.raised"]'),
        group_by=any_of("host", "all"),
        quiet_hours=any_of(None, QUIET),
        digest=any_of(None, '{"cron": "0 7 * * *", "timezone": "UTC"}'),
        default_priority=any_of(None, "high"),
        enabled=any_of(0, 1, 1, 1),
        next_seq=any_of(1000),
    ),
    Table(
        "deliveries",
        len(DELIVERIES),
        _of_delivery,
        id=each(DELIVERIES),
        seq=number,
        state=any_of("queued", "delivered", "dead", "superseded"),
        body=any_of("{}"),
        last_error=any_of(None, "channel disabled", "500"),
        carried_by=any_of(None, *DELIVERIES),
        group_key=any_of("", "ended/repository", "repository", "all"),
        recipients_left=any_of(None, '["a"]'),
        host_id=any_of("", *HOSTS),
    ),
    Table("group_windows", 20),
    Table("shared_windows", 20, about=any_name, group_key=any_of("all")),
    Table("held", 60),
    Table("told", 60),
    Table(
        "notification_log",
        300,
        id=numbered("L"),
        n=number,
        delivery_id=any_of(*DELIVERIES, "D999"),
        status_code=any_of(None, 204, 500),
        error=maybe_text,
        latency_ms=any_of(0.1, 12.5, 1e-7),
    ),
    Table("facts", 1, name=any_of("pulse"), value=any_of(str(NOON))),
    Table(
        "good_ends",
        90,
        kind=any_of("backup", "backup", "restore_test", "check"),
        plan=any_of("", "home", "größe", "etc"),
    ),
    Table(
        "repositories",
        len(REPOSITORIES),
        id=each(REPOSITORIES),
        size_bytes=any_of(None, 0, 5, 1 << 50),
        growth_bytes=any_of(None, -7, 0, 5, 1 << 45),
        compression=any_of(None, 1.42, 0.1),
        measured_by=any_of(None, *HOSTS),
        shares=any_of("[]"),
        locks=any_of("[]"),
    ),
    Table(
        "repository_uses",
        70,
        name=any_of("nas-store", "Haupt", "größe", "main"),
        location=any_of("/srv/R", "rest:https://x/", "sftp:ü"),
        plans=any_of("[]", '["home"]'),
        repository_id=any_of(None, *REPOSITORIES),
    ),
    Table(
        "repository_sizes",
        150,
        lambda row, _lot: row.update(at=row["day"] * clock.DAY + 5),
        day=any_of(*range(20500, 20560)),
        bytes=any_of(5, 1 << 50),
    ),
    Table(
        "care_ends",
        80,
        kind=any_of("check", "prune", "restore_test"),
        plan=any_of("", "home"),
        repository=any_of("", "main", "größe"),
    ),
    Table(
        "status_pages",
        len(PAGES),
        id=each(PAGES),
        show=any_of("overview", "hosts"),
        token_hash=numbered("hash of page "),
    ),
)
