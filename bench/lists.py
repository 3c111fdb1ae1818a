"""What the lists of a very large fleet take: its pages, a search as one types, and how large they are when compressed.

The past is written by bulk load; what is measured is a real server on it, asked over HTTP by a browser's session. The
agents of this fleet are not there: by what is written they were heard from lately, and all that they run is noted.
"""

import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median

import httpx

from bench.figures import Figure
from bench.measures import Report
from bench.process import cpu_seconds
from harness.processes import Server, away
from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.store.offline import prepare

_PAGES = ("/", "/hosts", "/jobs", "/alerts", "/repositories")
_MORE = (
    "/hosts?sort=-last_backup", "/hosts?sort=status", "/hosts?sort=-alerts", "/hosts?status=offline",
    "/hosts?group=tag", "/hosts?page=90", "/hosts?tag=site-017", "/jobs?status=failed", "/jobs?kind=check",
    "/jobs?sort=-took", "/jobs?tag=site-017", "/jobs?host=host-04321", "/alerts?status=all", "/alerts?tag=site-017",
    "/repositories?sort=name", "/repositories?sort=growth", "/repositories?sort=last_check", "/calendar",
    "/calendar?range=7d", "/api/hosts?sort=-last_backup&limit=200",
)  # fmt: skip
_SEARCHES = (
    ("/hosts?q=host-043", "host-list"), ("/hosts?q=offline", "host-list"), ("/hosts?q=site-017", "host-list"),
    ("/hosts?q=nothing+like+it", "host-list"), ("/?q=043", "host-list"), ("/jobs?q=host-0432", "job-list"),
    ("/jobs?q=check", "job-list"), ("/alerts?q=host-04", "alert-list"), ("/repositories?q=host-043", "repository-list"),
)  # fmt: skip
_PASSWORD = "a long enough phrase"


async def measure(folder: Path, hosts: int, times: int, report: Report) -> None:
    """`hosts` with four schedules each, and a month behind them."""
    server = Server(folder / "lists", max_open_alerts_per_host=0)
    database = await away(lambda: prepare(Settings(data_dir=str(server.data_dir))))
    began = time.monotonic()
    rows = await away(partial(write, database, hosts))
    note = ", ".join(f"{count:,} {name}" for name, count in rows.items())
    report(Figure("bulk load of that fleet", time.monotonic() - began, "s", note=note))
    try:
        await away(server.start)
        await away(partial(_measure, server, hosts, times, report))
        server.must_live()
    finally:
        if server.running:
            server.kill()


def _measure(server: Server, hosts: int, times: int, report: Report) -> None:
    secret = server.folder / "password"
    secret.write_text(_PASSWORD)
    server.admin("create-user", "--username", "anna", "--role", "operator", "--password-file", str(secret))
    with httpx.Client(base_url=server.url, trust_env=False, timeout=60) as client:
        answer = client.post("/login", data={"username": "anna", "password": _PASSWORD, "next": "/"})
        assert answer.status_code == 303, answer.text
        for path in _PAGES:
            _page(server, client, path, {}, times, report, must=60)
        for path, part in _SEARCHES:
            headers = {"HX-Request": "true", "HX-Target": part, "HX-Trigger-Name": "q"}
            _page(server, client, path, headers, times, report, must=40)
        for path in _MORE:
            _page(server, client, path, {}, max(3, times // 3), report)


def _page(
    server: Server, client: httpx.Client, path: str, headers: dict[str, str], times: int, report: Report,
    must: float | None = None,
) -> None:  # fmt: skip
    """At the median, as the client waits for it; how large it is, and what it costs the server's processor."""
    for _ in range(2):
        client.get(path, headers=headers)
    took, spent = [], cpu_seconds(server.pid)
    for _ in range(times):
        began = time.perf_counter()
        answer = client.get(path, headers=headers)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    spent = (cpu_seconds(server.pid) - spent) / times * 1000
    packed = answer.num_bytes_downloaded / 1024
    sizes = f"{len(answer.content) / 1024:.0f} KiB, {packed:.0f} KiB compressed"
    note = f"p50 of {times}, the fastest {min(took):.0f} ms; {sizes}; {spent:.0f} ms of CPU"
    report(Figure(f"{'search ' if headers else ''}{path}", median(took), "ms", must, note=note))
    if must == 60:
        report(Figure(f"… compressed: {path}", packed, "KiB", 150))


# ---- the fleet


def write(database: Path, hosts: int) -> dict[str, int]:
    """How many rows of what."""
    fleet = _Fleet(hosts, clock.now())
    with closing(sqlite3.connect(database)) as db, db:
        db.execute("PRAGMA synchronous = 0")
        counts = {}
        for table, columns, rows in fleet.tables():
            marks = ", ".join("?" for _ in columns.split(","))
            counts[table] = db.executemany(f"INSERT INTO {table} ({columns}) VALUES ({marks})", rows).rowcount
        db.execute("ANALYZE")
    return counts


class _Fleet:
    """Hosts `host-00000` and on, in five hundred places. One of fifty nightly backups fails, one host of forty is away,
    one of thirty has an open alert, and each had its share of alerts that are over."""

    def __init__(self, hosts: int, now: int) -> None:
        self.now = now
        self.hosts = [(ids.new(), f"host-{n:05}") for n in range(hosts)]
        self.schedules = [[ids.new() for _ in range(4)] for _ in self.hosts]

    def tables(self) -> Iterator[tuple[str, str, Iterator[tuple[object, ...]]]]:
        yield (
            "hosts",
            "id, name, name_key, hostname, os, arch, tags, token_hash, agent_version, restic_version, timezone, plans,"
            " enrolled_at, first_hello_at, last_hello_at, last_seen_at, last_backup_at, last_good_backup_at,"
            " repositories_due_at",
            self._hosts(),
        )
        yield (
            "schedules",
            "id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds, max_runtime_seconds, on_partial,"
            " params, created_at, anchor_at, last_slot_at, last_run_at, last_good_at, max_age_hours",
            self._schedules(),
        )
        yield (
            "jobs",
            "id, host_id, kind, plan, schedule_id, subject, status, reason, stats, started_at, finished_at, sort_at",
            self._jobs(),
        )
        yield "good_ends", "host_id, kind, plan, job_id, at, stats", self._good_ends()
        yield (
            "alerts",
            "id, host_id, host_name, kind, subject, severity, message, pos, created_at, last_seen_at, resolved_at,"
            " resolved_by, resolved",
            self._alerts(),
        )
        yield (
            "repositories",
            "id, version, size_bytes, snapshots, measured_at, first_seen_at, growth_bytes",
            self._repositories(),
        )
        yield "repository_uses", "host_id, name, repository_id, location, plans, filed_as, seen_at", self._uses()
        yield "repository_sizes", "repository_id, day, at, bytes, snapshots", self._sizes()
        yield "care_ends", "host_id, kind, plan, repository, job_id, at", self._cares()

    def _ended(self, n: int, days: int) -> int:
        """When the nightly backup of so many nights ago ended."""
        return self.now - days * clock.DAY - 4 * clock.HOUR - n * clock.SECOND

    def _hosts(self) -> Iterator[tuple[object, ...]]:
        for n, (host_id, name) in enumerate(self.hosts):
            tags = json.dumps(["prod" if n % 3 else "test", f"site-{n % 500:03}"])
            plans = json.dumps([{"name": "data", "repository": f"/srv/{name}", "sources": ["/etc", "/home", "/srv"]}])
            seen = self.now - 6 * clock.HOUR if n % 40 == 0 else self.now + 12 * clock.HOUR
            yield (
                host_id, name, name, f"{name}.example.net", "linux", "x86_64", tags, tokens.digest(host_id), "0.1.0",
                "0.18.0", "Europe/Berlin", plans, self.now - 90 * clock.DAY, self.now - 90 * clock.DAY, seen, seen,
                self._ended(n, 0), self._ended(n, 1 if n % 50 == 0 else 0), self.now + clock.DAY,
            )  # fmt: skip

    def _schedules(self) -> Iterator[tuple[object, ...]]:
        """Spread over the night; the checks and prunes over the week."""
        for n, ((host_id, _name), own) in enumerate(zip(self.hosts, self.schedules, strict=True)):
            minute, hour = n % 60, 1 + n // 60 % 5
            for schedule_id, kind, cron, limit in zip(
                own, ("backup", "forget", "check", "prune"),
                (f"{minute} {hour} * * *", f"{minute} 7 * * *", f"{minute} 9 * * {n % 7}", f"{minute} 12 * * {n % 7}"),
                (26.0 if n % 2 else None, None, None, None), strict=True,
            ):  # fmt: skip
                last = self._ended(n, 0)
                yield (
                    schedule_id, host_id, f"Nightly {kind}" if kind != "check" else "Weekly check", kind, cron, "UTC",
                    1, "agent", 86_400.0, 86_400.0, "alert", '{"plan": "data"}', self.now - 80 * clock.DAY,
                    self.now - 80 * clock.DAY, self.now + clock.DAY, self.now + clock.DAY, last, limit,
                )  # fmt: skip

    def _jobs(self) -> Iterator[tuple[object, ...]]:
        """Night after night, all hosts of each."""
        held = {"bytes_total": 18_200_000_000, "files_total": 48_210, "files_new": 3, "bytes_added": 20_000_000}
        good, nothing = json.dumps(held), "{}"
        for days in range(29, -1, -1):
            for n, ((host_id, _name), own) in enumerate(zip(self.hosts, self.schedules, strict=True)):
                ended = self._ended(n, days)
                for k, kind in enumerate(("backup", "forget", "check", "prune")):
                    if k > 1 and (n + days) % 7:
                        continue
                    bad = k == 0 and (n + days) % 50 == 0
                    at = ended + k * clock.HOUR
                    yield (
                        ids.new(), host_id, kind, "data", own[k], own[k], "failed" if bad else "succeeded",
                        "locked" if bad else "ok", nothing if bad or k else good, at - (40 + n % 90) * clock.SECOND, at,
                        at - (40 + n % 90) * clock.SECOND,
                    )  # fmt: skip

    def _good_ends(self) -> Iterator[tuple[object, ...]]:
        for n, (host_id, _name) in enumerate(self.hosts):
            for kind in ("backup", "forget", "check", "prune"):
                yield host_id, kind, "data", ids.new(), self._ended(n, 1 if n % 50 == 0 else 0), "{}"

    def _alerts(self) -> Iterator[tuple[object, ...]]:
        for n, ((host_id, name), own) in enumerate(zip(self.hosts, self.schedules, strict=True)):
            for k in range(6):
                is_open = k == 0 and n % 30 == 0
                critical = n % 150 == 0
                at = self.now - (k * 5 + 1) * clock.DAY + n * clock.SECOND
                end = None if is_open else at + clock.HOUR
                yield (
                    ids.new(), host_id, name, "check_failed" if critical else "backup_failed",
                    own[2 if critical else 0] if is_open else f"plan:data-{k}", "critical" if critical else "warning",
                    f"Backup of data on {name} failed: the repository is locked by another restic process", 1, at,
                    at, end, None if is_open else "rule", 0 if is_open else 1,
                )  # fmt: skip

    def _repository(self, n: int) -> str:
        return f"{n:064x}"

    def _repositories(self) -> Iterator[tuple[object, ...]]:
        for n in range(len(self.hosts)):
            held = (n * 7919 % 10_000 + 1) * 1_000_000_000
            yield self._repository(n), 2, held, 30, self.now - clock.HOUR, self.now - 80 * clock.DAY, n

    def _uses(self) -> Iterator[tuple[object, ...]]:
        for n, (host_id, name) in enumerate(self.hosts):
            yield host_id, f"store-{name}", self._repository(n), f"/srv/{name}", '["data"]', name, self.now

    def _sizes(self) -> Iterator[tuple[object, ...]]:
        for n in range(len(self.hosts)):
            for week in range(8):
                at = self.now - week * 7 * clock.DAY
                yield self._repository(n), at // clock.DAY, at, (n % 1000 + 60 - week) * 1_000_000_000, 30

    def _cares(self) -> Iterator[tuple[object, ...]]:
        for n, (host_id, _name) in enumerate(self.hosts):
            for kind in ("check", "prune"):
                yield host_id, kind, "data", "", ids.new(), self._ended(n, n % 7)
