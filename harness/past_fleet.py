"""A small fleet with a past, written into a data dir before the server starts: hosts, schedules, thirty days of jobs,
alerts in every state with their timelines. Rows as the server itself leaves them; the schema's own checks apply."""

import json
import math
import sqlite3
from dataclasses import dataclass, field
from typing import Any

from rmactors.common import clock, cron, ids
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.state.repositories import Size, growth_a_month
from rmactors.server.store.offline import prepare

JobState = str


@dataclass
class Past:
    """Ids of what was written, by name."""

    hosts: dict[str, str] = field(default_factory=dict)
    schedules: dict[str, str] = field(default_factory=dict)
    jobs: dict[str, str] = field(default_factory=dict)
    alerts: dict[str, str] = field(default_factory=dict)
    repositories: dict[str, str] = field(default_factory=dict)
    spare: list[str] = field(default_factory=list)
    doubted: list[str] = field(default_factory=list)


class Scribe:
    """Writes rows by column name."""

    def __init__(self, settings: Settings) -> None:
        self._db = sqlite3.connect(prepare(settings))
        self._db.execute("PRAGMA foreign_keys = 1")
        self.now = clock.now()

    def close(self) -> None:
        self._db.commit()
        self._db.close()

    def execute(self, sql: str, values: tuple[Any, ...]) -> None:
        self._db.execute(sql, values)

    def row(self, table: str, **values: Any) -> None:
        marks = ", ".join("?" for _ in values)
        self._db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", list(values.values()))

    def host(self, name: str, *, seen: int | None, tags: list[str], hello: bool = True) -> str:
        """`seen` is microseconds ago."""
        host_id, at = ids.new(), self.now
        self.row(
            "hosts", id=host_id, name=name, name_key=name.casefold(), hostname=f"{name}.lan", os="linux", arch="x86_64",
            tags=json.dumps(tags), token_hash=tokens.digest(host_id), agent_version="0.1.0", restic_version="0.14.0",
            timezone="Europe/Berlin", enrolled_at=at - 60 * clock.DAY,
            plans=json.dumps([{"name": "home", "repository": "/srv/restic", "sources": ["/home", "/etc"]}]),
            first_hello_at=at - 60 * clock.DAY if hello else None, last_hello_at=at - clock.DAY if hello else None,
            last_seen_at=at - seen if seen is not None else None,
        )  # fmt: skip
        return host_id

    def schedule(self, host_id: str, name: str, cron: str, kind: str = "backup") -> str:
        schedule_id = ids.new()
        made = self.now - 40 * clock.DAY
        self.row(
            "schedules", id=schedule_id, host_id=host_id, name=name, kind=kind, cron=cron, timezone="UTC", enabled=1,
            mode="agent", grace_seconds=0.0, max_runtime_seconds=86400.0, on_partial="alert",
            params='{"plan": "home"}', created_at=made, anchor_at=made, last_slot_at=None, last_run_at=self.now,
        )  # fmt: skip
        return schedule_id

    def job(
        self, host_id: str, schedule_id: str | None, status: JobState, ago: int, *, kind: str = "backup",
        reason: str | None = None, error: str | None = None, took: int = 41 * clock.SECOND, size: int = 18_200_000_000,
    ) -> str:  # fmt: skip
        """A run that began `ago` microseconds ago."""
        job_id, began = ids.new(), self.now - ago
        ended = None if status in {"running", "queued"} else began + took
        numbers = {
            "bytes_total": size, "files_total": 48_210, "files_new": 3, "files_changed": 1, "bytes_added": size // 900,
            "snapshot_id": job_id[:8].lower(),
        }  # fmt: skip
        stats = numbers if status in {"succeeded", "partial"} else {}
        self.row(
            "jobs", id=job_id, host_id=host_id, kind=kind, plan="home", schedule_id=schedule_id,
            subject=schedule_id or "plan:home", status=status, error=error,
            reason=reason or {"succeeded": "ok", "partial": "partial", "failed": "error"}.get(status),
            exit_code={"succeeded": 0, "partial": 3, "failed": 1}.get(status), stats=json.dumps(stats),
            queued_at=None, started_at=began, finished_at=ended, sort_at=began,
            deadline_at=self.now + clock.DAY if status == "running" else None,
        )  # fmt: skip
        if kind == "backup" and ended is not None:
            self._db.execute(
                "UPDATE hosts SET last_backup_at = max(last_backup_at, ?), last_good_backup_at ="
                " max(last_good_backup_at, ?) WHERE id = ?",
                (ended, ended if status in {"succeeded", "partial"} else 0, host_id),
            )
        if status == "succeeded":
            self._good(host_id, schedule_id, kind, job_id, began + took)
        return job_id

    def _good(self, host_id: str, schedule_id: str | None, kind: str, job_id: str, at: int) -> None:
        """What the server notes of a good end."""
        self._db.execute(
            "INSERT INTO good_ends (host_id, kind, plan, job_id, at, stats) SELECT host_id, kind, plan, id, ?, stats"
            " FROM jobs WHERE id = ? ON CONFLICT (host_id, kind, plan) DO UPDATE SET job_id = excluded.job_id,"
            " at = excluded.at, stats = excluded.stats WHERE good_ends.at <= excluded.at",
            (at, job_id),
        )
        self._db.execute(
            "UPDATE schedules SET last_good_at = max(coalesce(last_good_at, 0), ?) WHERE kind = ? AND"
            " (id = ? OR host_id = ?)",
            (at, kind, schedule_id, host_id),
        )

    def grown(self, repository_id: str, sizes: list[Size]) -> None:
        """What the server notes of its sizes, oldest first."""
        self._db.execute(
            "UPDATE repositories SET growth_bytes = ? WHERE id = ?", (growth_a_month(sizes), repository_id)
        )

    def alert(
        self, host_id: str, host_name: str, kind: str, severity: str, message: str, *, raised: int, seen: int,
        subject: str = "", occurrences: int = 1, job_id: str | None = None, acknowledged: str | None = None,
        resolved: str | None = None,
    ) -> str:  # fmt: skip
        """`raised` and `seen` are microseconds ago; `acknowledged` is a note, `resolved` who."""
        alert_id, at = ids.new(), self.now - raised
        done = self.now - seen if resolved else None
        told = self.now - raised // 2 if acknowledged else None
        self.row(
            "alerts", id=alert_id, host_id=host_id, host_name=host_name, kind=kind, subject=subject, severity=severity,
            message=message, occurrences=occurrences, job_id=job_id, pos=3, created_at=at,
            last_seen_at=self.now - seen, acknowledged_at=told, acknowledged_by="dana" if acknowledged else None,
            acknowledged_note=acknowledged, resolved_at=done, resolved_by=resolved, resolved=int(done is not None),
        )  # fmt: skip
        events: list[tuple[int, str, str | None, str | None]] = [(at, "raised", None, None)]
        if told is not None:
            events.append((told, "acknowledged", "dana", acknowledged))
        if done is not None:
            events.append((done, "resolved", resolved, None))
        for pos, (when, event, who, note) in enumerate(events, start=1):
            self.row(
                "alert_events", alert_id=alert_id, pos=pos, at=when, event=event, by_whom=who, note=note,
                message=message if event == "raised" else None,
            )  # fmt: skip
        return alert_id


def write(settings: Settings, spare_alerts: int = 0, doubted: int = 0) -> Past:
    """The fleet of the drawings and of the tests. Spare alerts, open and about nas1, are there to be used up; so are
    the `doubted` ones, about backups that look wrong."""
    past, scribe = Past(), Scribe(settings)
    try:
        _hosts(scribe, past)
        _alerts(scribe, past)
        _repositories(scribe, past)
        for _ in range(spare_alerts):
            alert_id = scribe.alert(
                past.hosts["nas1"], "nas1", "prune_failed", "warning", f"Prune {ids.new()} failed",
                raised=clock.HOUR, seen=5 * clock.MINUTE, subject=f"plan:{ids.new()}",
            )  # fmt: skip
            past.spare.append(alert_id)
        for number in range(doubted):
            alert_id = scribe.alert(
                past.hosts["nas1"], "nas1", "backup_suspicious", "warning",
                f"photos-{number} was backed up, but with 12 files (usually about 48,200) and 3.4 MiB (usually about"
                " 120.0 GiB): is the source mounted and complete? If this is meant, answer so: later backups are then"
                " compared with this one.",
                raised=clock.HOUR, seen=clock.HOUR, subject=f"plan:photos-{number}",
            )  # fmt: skip
            past.doubted.append(alert_id)
    finally:
        scribe.close()
    return past


def add_hosts(settings: Settings, count: int) -> None:
    """More hosts, tagged `many`, that are there and stay so, with a nightly backup and a weekly check: `more-00` …"""
    scribe = Scribe(settings)
    for number in range(count):
        host_id = scribe.host(f"more-{number:02}", seen=-clock.HOUR, tags=["many", f"room-{number % 4}"])
        nightly = scribe.schedule(host_id, "Nightly home", f"{number % 60} 3 * * *")
        scribe.schedule(host_id, "Weekly check", "0 5 * * 0", kind="check")
        scribe.job(host_id, nightly, "succeeded", 9 * clock.HOUR)
    scribe.close()


def stay_online(settings: Settings) -> None:
    """The hosts that are there stay so, however long somebody looks at them."""
    scribe = Scribe(settings)
    scribe.execute(
        "UPDATE hosts SET last_seen_at = ? WHERE last_seen_at > ?",
        (scribe.now + clock.HOUR, scribe.now - clock.MINUTE),
    )
    scribe.close()


def _repositories(scribe: Scribe, past: Past) -> None:
    """One that nas1 and db-primary share, which grew for a year, and one that mail could not open yet."""
    day, now = clock.DAY, scribe.now
    past.repositories = {"shared": "5a" * 32, "lonely": "10" * 32}
    shared, lonely = past.repositories.values()
    shares = [{"host": "nas1", "snapshots": 120, "bytes": 412 * 10**9, "unique_bytes": 230 * 10**9},
              {"host": "db-primary", "snapshots": 60, "bytes": 270 * 10**9, "unique_bytes": 18 * 10**9},
              {"host": "old-laptop", "snapshots": 3, "bytes": 10**9, "unique_bytes": 10**8}]  # fmt: skip
    locks = [{"host": "nas1", "user": "root", "pid": 4711, "at": clock.to_rfc3339(now - 5 * day), "exclusive": True}]
    scribe.row(
        "repositories", id=shared, version=2, size_bytes=430 * 10**9, uncompressed_bytes=612 * 10**9, compression=1.42,
        snapshots=183, shares=json.dumps(shares), locks=json.dumps(locks), measured_at=now - 3 * clock.HOUR,
        measured_by=past.hosts["nas1"], first_seen_at=now - 370 * day,
    )  # fmt: skip
    scribe.row("repositories", id=lonely, version=2, first_seen_at=now - day)
    for host, name, repository, location, error in (
        ("nas1", "nas-store", shared, "/srv/restic", None),
        ("db-primary", "main", shared, "rest:https://backup:***@nas1.lan:8000/", None),
        ("mail", "mail-store", lonely, "sftp:backup@elsewhere:/srv/mail", "a job of this repository is running"),
    ):
        scribe.row(
            "repository_uses", host_id=past.hosts[host], name=name, repository_id=repository, location=location,
            plans='["home"]', filed_as=host, error=error, error_at=now if error else None, seen_at=now,
        )  # fmt: skip
    sizes = []
    for ago in range(0, 366, 5):
        at = now - 3 * clock.HOUR - ago * day
        held = 430 * 10**9 - ago * 9 * 10**8 + round(6 * 10**9 * math.sin(ago))
        sizes.insert(0, Size(at, held))
        scribe.row("repository_sizes", repository_id=shared, day=at // day, at=at, bytes=held, snapshots=183 - ago // 5)
    scribe.grown(shared, sizes)
    scribe.row(
        "care_ends", host_id=past.hosts["nas1"], kind="check", plan="home", repository="", job_id=past.jobs["check"],
        at=now - 94 * day,
    )  # fmt: skip


def _hosts(scribe: Scribe, past: Past) -> None:
    second, hour, day, gigabyte = clock.SECOND, clock.HOUR, clock.DAY, 1_000_000_000
    shapes: dict[str, tuple[int, list[str], int, dict[int, str]]] = {
        # name: seen, tags, size, {nights ago: how it went} where it was not good; 0 is the last one
        "nas1": (5 * second, ["home", "zfs"], 412 * gigabyte, {}),
        "db-primary": (
            9 * second, ["prod"], 18 * gigabyte, {5: "partial", 2: "failed", 1: "failed", 0: "failed"},
        ),
        "web-01": (3 * second, ["prod"], 2 * gigabyte, {19: "failed"}),
        "laptop-sam": (6 * hour, ["roaming"], 96 * gigabyte, dict.fromkeys((26, 25, 22, 8, 3, 0), "missed")),
        "mail": (7 * second, ["prod"], 51 * gigabyte, {2: "partial", 1: "partial", 0: "partial"}),
    }  # fmt: skip
    last_night = cron.previous_fire("0 2 * * *", "UTC", scribe.now, not_before=scribe.now - day) or scribe.now
    for name, (seen, tags, held, odd) in shapes.items():
        host_id = past.hosts[name] = scribe.host(name, seen=seen, tags=tags)
        nightly = past.schedules[name] = scribe.schedule(host_id, "Nightly home", "0 2 * * *")
        for nights in range(29, -1, -1):
            status = odd.get(nights, "succeeded")
            if status == "missed":
                continue
            error = "Fatal: wrong password or no key found" if status == "failed" else None
            grown = 1 + (30 - nights) / 150 + math.sin(nights * 1.7) / 50
            ago = scribe.now - last_night + nights * day
            took = 2 * second if status == "failed" else int((40 + held / gigabyte) * grown * second)
            past.jobs[name] = scribe.job(
                host_id, nightly, status, ago, error=error, reason="wrong_password" if status == "failed" else None,
                size=int(held * grown), took=min(took, ago),  # it has ended, shortly after two o'clock too
            )  # fmt: skip
        good = min(nights for nights in range(30) if odd.get(nights, "succeeded") == "succeeded")
        scribe.row(
            "tracks", host_id=host_id, kind="backup_failed", subject=nightly, version=1,
            last_good_at=last_night - good * day,
        )  # fmt: skip
    for name, days in (("nas1", 2), ("db-primary", 9)):
        tested = json.dumps({"files_tested": 20, "bytes_tested": 312_000_000, "compared_with_source": 18})
        scribe.row(
            "good_ends", host_id=past.hosts[name], kind="restore_test", plan="home", job_id=ids.new(),
            at=scribe.now - days * day, stats=tested,
        )  # fmt: skip
        if name == "db-primary":
            weekly = past.schedules["check"] = scribe.schedule(host_id, "Weekly check", "0 4 * * 0", kind="check")
            sunday = cron.previous_fire("0 4 * * 0", "UTC", scribe.now, not_before=scribe.now - 7 * day) or scribe.now
            for weeks in range(4, -1, -1):
                scribe.job(host_id, weekly, "succeeded", scribe.now - sunday + weeks * 7 * day, kind="check")
            past.jobs["check"] = scribe.job(
                host_id, weekly, "failed", 2 * hour, kind="check", reason="corrupt",
                error="Fatal: repository contains errors",
            )  # fmt: skip
            for line, text in enumerate(["pack 5f1c: not found in backend", "pack 90ab: not found in backend"]):
                scribe.row("job_logs", job_id=past.jobs["check"], line=line, stream="stderr", text=text)
    past.hosts["new-box"] = scribe.host("new-box", seen=None, tags=[], hello=False)


def _alerts(scribe: Scribe, past: Past) -> None:
    minute, hour, day, second = clock.MINUTE, clock.HOUR, clock.DAY, clock.SECOND
    database, mail, sam, web = (past.hosts[name] for name in ("db-primary", "mail", "laptop-sam", "web-01"))
    past.alerts["check"] = scribe.alert(
        database, "db-primary", "check_failed", "critical", "Weekly check: the repository is damaged",
        raised=6 * hour, seen=22 * second, subject=past.schedules["check"], occurrences=4, job_id=past.jobs["check"],
    )  # fmt: skip
    past.alerts["backup"] = scribe.alert(
        database, "db-primary", "backup_failed", "warning", "Backup of Nightly home failed: wrong password",
        raised=2 * day, seen=6 * hour, subject=past.schedules["db-primary"], occurrences=3,
        job_id=past.jobs["db-primary"],
    )  # fmt: skip
    past.alerts["partial"] = scribe.alert(
        mail, "mail", "backup_failed", "warning", "Nightly home: 3 files could not be read", raised=3 * day,
        seen=5 * hour, subject=past.schedules["mail"], occurrences=3, acknowledged="Permissions get fixed on Friday.",
    )  # fmt: skip
    past.alerts["offline"] = scribe.alert(
        sam, "laptop-sam", "agent_offline", "warning", "laptop-sam has been silent for 6 hours", raised=6 * hour,
        seen=51 * second,
    )  # fmt: skip
    past.alerts["resolved"] = scribe.alert(
        web, "web-01", "backup_failed", "warning", "Backup of Nightly home failed: the repository was locked",
        raised=20 * hour, seen=19 * hour, subject=past.schedules["web-01"], resolved="rule",
    )  # fmt: skip
    past.alerts["old"] = scribe.alert(
        web, "web-01", "prune_failed", "warning", "Prune of home failed: no space left on device", raised=9 * day,
        seen=9 * day - 30 * minute, subject="plan:home", resolved="dana",
    )  # fmt: skip
