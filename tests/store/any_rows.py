"""Rows for every table, drawn by lot from few values: many are equal, many are NULL, names are of any script.

What the schema refuses is left out. The same seed gives the same rows.
"""

import json
import sqlite3
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, Final

from rmactors.common import clock
from rmactors.common.vocabulary import ALERTS, JOB_KINDS
from rmactors.server.store.database import Database

NOON: Final = clock.from_rfc3339("2026-11-23T12:00:00Z")
HOSTS: Final = tuple(f"H{number:02}" for number in range(24))
NAMES: Final = (
    "nas1", "NAS2", "Ärger", "ärmel", "Straße", "ΣΊΣΥΦΟΣ", "İzmir", "zebra", "Zulu", "a_b", "a%b", "back\\slash",
    "名前", "ﬀ", "🦀", "web-01", "web-02", "WEB-03", "_under", "~tilde", "db 1", "Db 2", "é", "É (2)",
)  # fmt: skip
TAGS: Final = ("[]", '["prod"]', '["Prod", "zfs"]', '["prod", "zürich"]', '["z\\u00fcrich"]', "no list", '["a b"]')
PLANS: Final = (None, "", "home", "Home", "größe", "etc")
STATS: Final = (
    "{}", '{"bytes_added": 12, "files_total": 3}', '{"data_added": 4096.5}', '{"bytes_added": null, "data_added": 7}',
    "broken", '{"bytes_added": "9 or so", "bytes_total": 5}', '{"bytes_added": true}', '{"bytes_added": [1]}', "[1]",
    '{"bytes_added": 1125899906842624}', '{"bytes_added": -3}', "3",
)  # fmt: skip
PARAMS: Final = (
    "{}", '{"plan": "home"}', '{"plan": ""}', '{"plan": null}', '{"plan": 3}', '{"plan": "größe"}', "broken",
    '{"plan": "gr\\u00f6\\u00dfe"}',
)  # fmt: skip
QUIET: Final = json.dumps({"timezone": "Europe/Berlin", "from": "11:00", "to": "14:00", "days": []})
TIMES: Final = tuple(NOON - ago for ago in (
    0, 1, clock.MINUTE, clock.HOUR, 5 * clock.HOUR, clock.DAY, clock.DAY + 1, 3 * clock.DAY, 9 * clock.DAY,
    20 * clock.DAY, 40 * clock.DAY, -clock.HOUR, -clock.DAY,
))  # fmt: skip
SCHEDULES: Final = tuple(f"S{number:02}" for number in range(60))
JOBS: Final = tuple(f"J{number:03}" for number in range(500))
ALERTS_: Final = tuple(f"A{number:03}" for number in range(300))
CHANNELS: Final = tuple(f"C{number}" for number in range(6))
REPOSITORIES: Final = tuple(f"{number:02x}" * 32 for number in range(16))
USERS: Final = tuple(f"U{number}" for number in range(8))
POLICIES: Final = tuple(f"P{number}" for number in range(5))
DELIVERIES: Final = tuple(f"D{number:03}" for number in range(300))
TOKENS: Final = tuple(f"T{number}" for number in range(9))
PAGES: Final = ("SP0", "SP1", "SP2", "SP3")
SILENCES: Final = tuple(f"Q{number:02}" for number in range(12))



def head(plan: str | None) -> str:
    return json.dumps(
        {"job_id": "J000", "verdict": "bad", "at": NOON, "spool_id": "s", "seq": 1, "plan": plan}, ensure_ascii=False
    )


Make = Callable[[Random, int], Any]


def any_of(*values: Any) -> Make:
    return lambda lot, _number: lot.choice(values)


def each(values: tuple[str, ...]) -> Make:
    return lambda _lot, number: values[number]


def numbered(prefix: str) -> Make:
    return lambda _lot, number: f"{prefix}{number:03}"


_number: Make = lambda _lot, number: number + 1  # noqa: E731
_time, _maybe_time = any_of(*TIMES), any_of(None, *TIMES)
_flag, _name = any_of(0, 1), any_of(*NAMES)
_host = any_of(*HOSTS)
_small = any_of(0, 1, 2, 7, (1 << 40) + 1)
_maybe_text = any_of(None, "", "why", "Größe")
_kind, _alert_kind = any_of(*JOB_KINDS, "backup", "backup", "backup"), any_of(*ALERTS)
_subject = any_of(*SCHEDULES[:20], "", "plan:home", "plan:größe", "plan:", "channel:C1", "channel:C9")
_failed = any_of("backup_failed", "backup_failed", "check_failed", "prune_failed", "agent_offline")
_status = any_of("queued", "running", "succeeded", "succeeded", "succeeded", "partial", "failed", "cancelled", "skipped")

_COMMON: Final[Mapping[str, Make]] = {
    "host_id": _host, "name": _name, "kind": _kind, "plan": any_of(*PLANS), "subject": _subject, "timezone": any_of("UTC", "Europe/Berlin"),
    "enabled": _flag, "params": any_of(*PARAMS), "stats": any_of(*STATS), "channel_id": any_of(*CHANNELS),
    "alert_id": any_of(*ALERTS_, "A999"), "job_id": any_of(*JOBS, "J999"), "user_id": any_of(*USERS),
    "repository_id": any_of(*REPOSITORIES), "host_tags": any_of("[]", '["prod"]', '["Prod"]'),
    "tags": any_of(*TAGS), "role": any_of("viewer", "operator", "admin"), "mode": any_of("agent", "external"),
    "on_partial": any_of("alert", "ok"), "address": any_of("192.0.2.1", "2001:db8::1"), "event": any_of("alert.raised", "alert.resolved", "alert.digest"),
} | dict.fromkeys((
    "disabled", "second_factor", "given_up", "grouped", "dismissed", "loud", "silenced", "quiet", "ok", "dead",
    "known_partial", "paused",
), _flag)  # fmt: skip
"""By the name of a column, in whichever table."""


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
    row["finished_at"] = None if row["status"] in ("queued", "running") else row["sort_at"] + lot.choice((0, 5, 9)) * 1000
    if lot.random() < 0.6:
        row["subject"] = row["schedule_id"] or (f"plan:{row['plan']}" if row["plan"] else "")


_TABLES: Final[tuple[tuple[str, int, Mapping[str, Make], Callable[[dict[str, Any], Random], None] | None], ...]] = (
    ("users", len(USERS), {
        "id": each(USERS), "username": each(NAMES), "totp_secret": any_of(None, b"\0\xff'"), "theme": any_of(None, "dark"),
    }, lambda row, _lot: row.update(username_key=row["username"].casefold())),
    ("recovery_codes", 20, {"code_hash": numbered("r")}, None),
    ("passkeys", 10, {"id": numbered("K"), "credential_id": numbered("c"), "public_key": any_of(b"", b"\1\0\2")}, None),
    ("sessions", 20, {"id": numbered("W"), "token_hash": numbered("hash of W")}, None),
    ("api_tokens", len(TOKENS), {
        "id": each(TOKENS), "token_hash": numbered("hash of T"), "owner_id": any_of(None, *USERS),
        "created_by": any_of(None, "anna"), "parent_id": any_of(None),
    }, None),
    ("code_tries", 10, {"kind": any_of("totp", "recovery")}, None),
    ("audit", 80, {
        "id": numbered("N"), "n": _number, "actor": _name, "actor_kind": any_of("user", "token", "agent", "system"),
        "action": any_of("alert.resolve", "login.refused"),
        "target_kind": any_of("host", "schedule", "policy", "channel", "user", "token", "alert", "job", "delivery", "x"),
        "target_id": any_of("", *HOSTS, *SCHEDULES[:5], *POLICIES, *CHANNELS, *USERS, *TOKENS, *ALERTS_[:5], *JOBS[:5]),
        "result": any_of("ok", "denied"),
    }, None),
    ("refusals", 20, {"audit_id": any_of(None, *(f"N{number:03}" for number in range(80)))}, None),
    ("hosts", len(HOSTS), {
        "id": each(HOSTS), "name": each(NAMES), "token_hash": numbered("hash of H"), "deleted_at": any_of(None, None, None, None, *TIMES[-4:]),
        "hostname": any_of("nas.lan", "NAS.LAN", "größe.lan"), "plans": any_of(
            "[]", '[{"name": "home", "repository": "/srv/r"}]', '[{"name": "größe", "repository": "b"}, {"name": "etc"}]'
        ),
        "clock_offset_seconds": any_of(None, 0.25, -90000.5, 7.0), "tzdata_version": any_of(None, "2026f", "2025a"),
        "allow": any_of(None, "[]", '["browse", "run"]', '["run"]'), "repositories_problem": any_of(None, None, "refused"),
        "last_backup_at": any_of(0, *TIMES[:5]), "last_good_backup_at": any_of(0, *TIMES[:8]),
        "paused_at": any_of(None, None, NOON), "last_seen_at": any_of(None, 0, *TIMES[:8]),
        "repositories_due_at": any_of(0, *TIMES), "first_hello_at": any_of(None, *TIMES[3:9]),
    }, _of_host),
    ("host_notes", 60, {"id": numbered("O")}, None),
    ("enrollment_tokens", 12, {
        "id": numbered("E"), "token_hash": numbered("hash of E"), "uses": any_of(2, 5), "used": any_of(0, 1, 2),
        "for_host_id": any_of(None, *HOSTS), "host_id": any_of(None, *HOSTS), "tags": any_of("[]", '["prod"]'),
    }, None),
    ("policies", len(POLICIES), {
        "id": each(POLICIES), "name": each(NAMES), "max_age_hours": any_of(None, 30.0), "deleted_at": any_of(None, None, NOON),
        "params": any_of("{}", '{"plan": "home"}'), "enabled": _flag, "spread_minutes": any_of(0, 30),
    }, lambda row, lot: (_of_host(row, lot), _when(row, lot))[0]),
    ("schedules", len(SCHEDULES), {
        "id": each(SCHEDULES), "max_age_hours": any_of(None, None, 30.0), "policy_id": any_of(None, None, *POLICIES),
        "deleted_at": any_of(None, None, None, NOON), "kind": any_of("backup", "backup", "backup", "check"),
        "params": any_of(*(each_ for each_ in PARAMS if each_ != "broken")), "paused": _flag,
    }, _when),
    ("jobs", len(JOBS), {
        "id": each(JOBS), "schedule_id": any_of(None, None, *SCHEDULES), "status": _status, "reason": any_of(None, "ok", "error"),
        "warning": _maybe_text, "deadline_at": any_of(None, NOON + clock.DAY), "params": any_of("{}", '{"plan": "home"}'),
    }, _of_job),
    ("job_logs", 300, {"line": any_of(*range(12)), "stream": any_of("stdout", "stderr"), "text": any_of("", "Größe: 3", "x" * 1200), "job_id": any_of(*JOBS[:40])}, None),
    ("tracks", 250, {
        "kind": _failed, "head": any_of(None, None, *(head(plan) for plan in PLANS)), "good": any_of(None),
        "usual": any_of(None), "last_good_at": _maybe_time,
    }, None),
    ("alerts", len(ALERTS_), {
        "id": each(ALERTS_), "host_id": any_of("", *HOSTS), "kind": _alert_kind, "severity": any_of("info", "warning", "critical"),
        "host_name": _name, "message": any_of("Größe falsch", "GRÖSSE 50%", "disk_full", "Σίσυφος", "İ", "disk full", "ς"),
        "job_id": any_of(None, *JOBS), "resolved_at": any_of(None, *TIMES), "resolved_by": any_of("rule", "anna"),
    }, _of_alert),
    ("alert_events", 500, {
        "pos": any_of(*range(9)), "event": any_of("raised", "resolved"), "reason": any_of(None, "meant"), "alert_id": any_of(*ALERTS_[:60])
    }, None),
    ("silences", len(SILENCES), {
        "id": each(SILENCES), "host_id": any_of(None, *HOSTS), "kind": any_of(None, "backup_failed"), "tag": any_of(None, "prod"),
        "recurrence": any_of(None, "{}"), "ends_at": _maybe_time, "deleted_at": any_of(None, None, *TIMES[-4:]),
    }, None),
    ("channels", len(CHANNELS), {
        "id": each(CHANNELS), "kind": any_of("webhook", "ntfy", "webpush"), "config": any_of(b"", b"\0\xff\x80"), "min_severity": any_of("info", "critical"),
        "events": any_of("[]", '["alert.raised"]'), "group_by": any_of("host", "all"), "quiet_hours": any_of(None, QUIET),
        "digest": any_of(None, '{"cron": "0 7 * * *", "timezone": "UTC"}'), "default_priority": any_of(None, "high"),
        "enabled": any_of(0, 1, 1, 1), "next_seq": any_of(1000),
    }, None),
    ("deliveries", len(DELIVERIES), {
        "id": each(DELIVERIES), "seq": _number, "state": any_of("queued", "delivered", "dead", "superseded"),
        "body": any_of("{}"), "last_error": any_of(None, "channel disabled", "500"), "carried_by": any_of(None, *DELIVERIES),
        "group_key": any_of("", "ended/repository", "repository", "all"), "recipients_left": any_of(None, '["a"]'), "host_id": any_of("", *HOSTS),
    }, _of_delivery),
    ("group_windows", 20, {}, None),
    ("shared_windows", 20, {"about": _name, "group_key": any_of("all")}, None),
    ("held", 60, {}, None),
    ("told", 60, {}, None),
    ("notification_log", 300, {
        "id": numbered("L"), "n": _number, "delivery_id": any_of(*DELIVERIES, "D999"), "status_code": any_of(None, 204, 500), "error": _maybe_text,
        "latency_ms": any_of(0.1, 12.5, 1e-7),
    }, None),
    ("facts", 1, {"name": any_of("pulse"), "value": any_of(str(NOON))}, None),
    ("good_ends", 90, {"kind": any_of("backup", "backup", "restore_test", "check"), "plan": any_of("", "home", "größe", "etc")}, None),
    ("repositories", len(REPOSITORIES), {
        "id": each(REPOSITORIES), "size_bytes": any_of(None, 0, 5, 1 << 50), "growth_bytes": any_of(None, -7, 0, 5, 1 << 45),
        "compression": any_of(None, 1.42, 0.1), "measured_by": any_of(None, *HOSTS), "shares": any_of("[]"), "locks": any_of("[]"),
    }, None),
    ("repository_uses", 70, {
        "name": any_of("nas-store", "Haupt", "größe", "main"), "location": any_of("/srv/R", "rest:https://x/", "sftp:ü"), "plans": any_of("[]", '["home"]'),
        "repository_id": any_of(None, *REPOSITORIES),
    }, None),
    ("repository_sizes", 150, {
        "day": any_of(*range(20500, 20560)), "bytes": any_of(5, 1 << 50),
    }, lambda row, _lot: row.update(at=row["day"] * clock.DAY + 5)),
    ("care_ends", 80, {"kind": any_of("check", "prune", "restore_test"), "plan": any_of("", "home"), "repository": any_of("", "main", "größe")}, None),
    ("status_pages", len(PAGES), {"id": each(PAGES), "show": any_of("overview", "hosts"), "token_hash": numbered("hash of page ")}, None),
)  # fmt: skip


def fill(db: Database, seed: int) -> dict[str, list[dict[str, Any]]]:
    """Rows that SQLite took, by table, in the order in which it took them."""
    lot, taken = Random(seed), dict[str, list[dict[str, Any]]]()
    for table, many, makers, mend in _TABLES:
        make = _row_maker(db, table, makers, mend)
        taken[table] = []
        rows = [make(lot, number) for number in range(many)]
        if table == "care_ends":  # of equally new ones the first counts: SQLite goes by when it was written first
            rows.sort(key=lambda row: (row["host_id"], row["kind"], row["plan"], row["repository"]))
        for row in rows:
            try:
                insert(db, table, row)
            except sqlite3.IntegrityError:
                continue
            taken[table].append(row)
    return taken


def insert(db: Database, table: str, row: Mapping[str, Any]) -> None:
    marks = ", ".join("?" for _ in row)
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def _row_maker(
    db: Database, table: str, makers: Mapping[str, Make], mend: Callable[[dict[str, Any], Random], None] | None
) -> Callable[[Random, int], dict[str, Any]]:
    columns = [tuple(column)[1:4] for column in db.execute(f"PRAGMA table_info({table})")]
    every = {name: makers.get(name) or _usual(name, kind, needed) for name, kind, needed in columns}

    def make(lot: Random, number: int) -> dict[str, Any]:
        row = {name: maker(lot, number) for name, maker in every.items()}
        if mend is not None:
            mend(row, lot)
        return row

    return make


def _usual(name: str, kind: str, needed: int) -> Make:
    """By the column's name, else by its type."""
    if name in _COMMON:
        return _COMMON[name]
    if name == "at" or name.endswith("_at") or name in ("failing_since", "held_until", "expires_at", "scheduled_for", "spool_problem_since"):
        return _time if needed else _maybe_time
    match kind:
        case "BIGINT":
            return _small if needed else any_of(None, 0, 5)
        case "DOUBLE PRECISION":
            return any_of(0.0, 0.1, 3600.0)
        case _:
            return any_of("", "text", "Größe") if needed else _maybe_text
