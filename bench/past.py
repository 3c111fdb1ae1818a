"""Thirty days of a large fleet, written straight into a database that no server has open: rows as it leaves them."""

import json
import random
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from rmactors.common import clock, ids
from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.config.secrets import SecretBox

FAILS = 0.02
CHANNELS = 2
HOURLY = 10
"""Every so many hosts one is backed up every hour."""
_STATS = json.dumps({
    "files_new": 41, "files_changed": 133, "files_unmodified": 184_220, "dirs_new": 3, "dirs_changed": 88,
    "dirs_unmodified": 22_105, "data_blobs": 214, "tree_blobs": 91, "bytes_added": 81_220_331,
    "files_total": 184_394, "bytes_total": 91_233_102_334, "duration_seconds": 74.31,
    "snapshot_id": "5f1c90ab3d27e481",
})  # fmt: skip
_ERROR = "Fatal: unable to open config file: dial tcp 192.0.2.17:8000: connect: connection refused"
_LINES = {"backup": 24, "forget": 12, "check": 30, "prune": 40}


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a schedule. `at` is its start, microseconds."""

    job_id: str
    host: int
    schedule: int
    kind: str
    at: int
    failed: bool


def write(database: Path, box: SecretBox, hosts: int, days: int) -> dict[str, int]:
    """Fill the database, and say how many rows of each kind there are.

    Each host is backed up every night, every tenth of them every hour; a forget a day, a check and a prune a week. One
    run of fifty fails; its alert is told to two channels and resolved a day later.
    """
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("PRAGMA foreign_keys = 1")
        past = _Past(db, box, hosts, days)
        past.fleet()
        past.runs()
        tables = ("hosts", "schedules", "jobs", "job_logs", "alerts", "deliveries", "notification_log", "audit")
        return {name: db.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in tables}


def row(**columns: object) -> dict[str, object]:
    """A row by the names of its columns."""
    return columns


class _Past:
    def __init__(self, db: sqlite3.Connection, box: SecretBox, hosts: int, days: int) -> None:
        self._db, self._box, self._days, self._now = db, box, days, clock.now()
        self._began = self._now - (days + 5) * DAY
        self._dice = random.Random(1)
        self._hosts = [ids.new() for _ in range(hosts)]
        self._schedules: list[tuple[str, int, str, str]] = []  # id, host, kind, cron
        self._channels = [ids.new() for _ in range(CHANNELS)]
        self._seq = 0

    def _rows(self, table: str, rows: Iterable[dict[str, object]]) -> None:
        """Insert them; all have the same columns."""
        rows = iter(rows)
        first = next(rows, None)
        if first is not None:
            names = ", ".join(first)
            marks = ", ".join(f":{name}" for name in first)
            self._db.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", chain([first], rows))

    def fleet(self) -> None:
        """Hosts that are here now, their schedules, and channels that are disabled, so that nothing is sent."""
        self._rows("hosts", map(self._host, range(len(self._hosts))))
        for n in range(len(self._hosts)):
            minute, hour = n % 60, n // 60 % 6
            crons = {
                "backup": f"{minute} * * * *" if n % HOURLY == 0 else f"{minute} {hour} * * *",
                "forget": f"{minute} {hour + 6} * * *",
                "check": f"{minute} {hour + 12} * * 0",
                "prune": f"{minute} {hour + 12} * * 6",
            }
            self._schedules += [(ids.new(), n, kind, cron) for kind, cron in crons.items()]
        self._rows("schedules", (self._schedule(*found) for found in self._schedules))
        self._rows("channels", map(self._channel, self._channels))

    def _host(self, n: int) -> dict[str, object]:
        name, began = f"host-{n:05}", self._began
        plans = [{"name": "home", "repository": "rest:https://backup.example.org/x", "sources": ["/home"]}]
        return row(
            id=self._hosts[n], name=name, name_key=name, hostname=f"{name}.example.org", os="linux", arch="x86_64",
            tags='["prod"]', agent_version="0.1.0", restic_version="0.16.4", timezone="UTC", plans=json.dumps(plans),
            enrolled_at=began, first_hello_at=began, last_hello_at=self._now - DAY, last_seen_at=self._now,
        )  # fmt: skip

    def _schedule(self, schedule: str, host: int, kind: str, cron: str) -> dict[str, object]:
        return row(
            id=schedule, host_id=self._hosts[host], name=f"{kind} home", kind=kind, cron=cron, timezone="UTC",
            enabled=1, mode="agent", grace_seconds=0, max_runtime_seconds=86_400, on_partial="alert", params="{}",
            created_at=self._began, anchor_at=self._began, last_slot_at=self._now - HOUR,
        )  # fmt: skip

    def _channel(self, channel: str) -> dict[str, object]:
        config = self._box.seal(b'{"url": "https://hooks.example.org/x"}', f"notification-channel:{channel}")
        return row(
            id=channel, kind="webhook", name="ops", enabled=0, config=config, min_severity="info", events="[]",
            next_seq=10**9, host_tags="[]", group_seconds=0, remind_hours=0, created_at=self._began,
            updated_at=self._began,
        )  # fmt: skip

    def runs(self) -> None:
        """Day by day, so that rows lie in the order in which they came."""
        for day in range(self._days, 0, -1):
            found = sorted(self._of_day(day), key=lambda run: run.at)
            self._rows("jobs", map(self._job, found))
            lines = ((run, line) for run in found for line in range(_LINES[run.kind]))
            self._rows("job_logs", (_line(run, line) for run, line in lines))
            for run in found:
                if run.failed:
                    self._alert(run)
        for schedule, host, kind, _ in self._schedules:
            track = row(host_id=self._hosts[host], kind=f"{kind}_failed", subject=schedule, version=30)
            self._rows("tracks", [{**track, "last_good_at": self._now - HOUR}])

    def _of_day(self, day: int) -> Iterator[Run]:
        start = self._now - day * DAY
        for number, (_, host, kind, _) in enumerate(self._schedules):
            if kind in ("check", "prune") and (day + host) % 7:
                continue
            times = 24 if kind == "backup" and host % HOURLY == 0 else 1
            for n in range(times):
                at = start + n * (DAY // times) + host * 37 % 3600 * SECOND
                yield Run(ids.new(), host, number, kind, at, self._dice.random() < FAILS)

    def _job(self, run: Run) -> dict[str, object]:
        schedule = self._schedules[run.schedule][0]
        return row(
            id=run.job_id, host_id=self._hosts[run.host], kind=run.kind, schedule_id=schedule, scheduled_for=run.at,
            subject=schedule, status="failed" if run.failed else "succeeded", reason="error" if run.failed else "ok",
            error=_ERROR if run.failed else None, exit_code=int(run.failed), started_at=run.at, sort_at=run.at,
            stats=_STATS if run.kind == "backup" and not run.failed else "{}", finished_at=run.at + 2 * MINUTE,
        )  # fmt: skip

    def _alert(self, run: Run) -> None:
        alert, host, at, end = ids.new(), self._hosts[run.host], run.at + 2 * MINUTE, run.at + DAY
        name, kind, resolved = f"host-{run.host:05}", f"{run.kind}_failed", end <= self._now
        # Of those that are open, each has a subject of its own, whatever its schedule's next run did.
        subject = f"{self._schedules[run.schedule][0]} {run.job_id}"
        message, severity = f"{run.kind} home failed: {_ERROR}", "critical" if run.kind == "check" else "warning"
        self._rows("alerts", [row(
            id=alert, host_id=host, host_name=name, kind=kind, subject=subject, severity=severity, message=message,
            job_id=run.job_id, pos=2, created_at=at, last_seen_at=at, resolved_at=end if resolved else None,
            resolved_by="rule" if resolved else None, resolved=int(resolved),
        )])  # fmt: skip
        body = json.dumps({
            "severity": severity, "kind": kind, "subject": subject, "host_name": name, "message": message,
            "raised_at": at, "occurred_at": at, "actor": None, "note": None,
        })  # fmt: skip
        for pos, event, when in ((1, "raised", at), (2, "resolved", end))[: 1 + resolved]:
            self._rows(
                "alert_events", [row(alert_id=alert, pos=pos, at=when, event=event, by_whom="rule", message=message)]
            )
            for channel in self._channels:
                self._seq += 1
                delivery = row(id=ids.new(), channel_id=channel, alert_id=alert, event=f"alert.{event}")
                self._rows("deliveries", [row(
                    **delivery, host_id=host, seq=self._seq, pos=pos, body=body, state="delivered", attempts=1,
                    created_at=when, due_at=when, finished_at=when,
                )])  # fmt: skip
                self._rows("notification_log", [row(
                    id=ids.new(), n=self._seq, channel_id=channel, alert_id=alert, delivery_id=delivery["id"],
                    event=delivery["event"], attempt=1, ok=1, status_code=200, latency_ms=12.3, fired_at=when,
                )])  # fmt: skip
        self._rows("audit", [row(
            id=ids.new(), n=self._seq, at=at + HOUR, actor="anna", actor_kind="user", action="alert.acknowledge",
            target_kind="alert", target_id=alert, result="ok", address="192.0.2.1", detail="",
        )])  # fmt: skip


def _line(run: Run, line: int) -> dict[str, object]:
    text = (
        f"[{line // 2:02}:{line * 7 % 60:02}] {line * 4}% {line * 7700} files {line * 3.6:.3f} GiB, total 184394 files"
        f" 84.967 GiB, 0 errors ETA 0:{59 - line:02}"
    )
    return row(job_id=run.job_id, line=line, stream="stdout", text=text)
