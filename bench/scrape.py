"""What `/metrics` takes in a large fleet, 10,000 hosts with 40,000 schedules, each with a good end, and what it costs
those who report meanwhile.

The past is written straight into the database of a stopped server; the answer is timed as Prometheus gets it. How long
a scrape holds up a commit is measured in this process, by the processor's clocks: what other programs of the machine
take does not count.
"""

import gzip
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from statistics import median

from bench.figures import Figure
from bench.process import cpu_seconds, percentile
from harness.processes import Server, away
from rmactors.common import clock, ids
from rmactors.server.config.settings import Settings
from rmactors.server.store.engines.sqlite import connect_read_only
from rmactors.server.store.offline import prepare
from rmactors.server.store.queries.figures import figures
from rmactors.server.web.good_runs import GoodRunLines

MUST_MS = 100.0
MUST_HELD_MS = 20.0
_HELD_SECONDS = 3.0
_STATEMENTS = 8
"""Of an alert's commit."""
SCHEDULES_OF_A_HOST = 4


def write(database: Path, hosts: int) -> None:
    """Hosts with a few daily schedules each, and when each of them ended well last."""
    now = clock.now()
    host_ids = [ids.new() for _ in range(hosts)]
    schedules = [(ids.new(), host_id, n) for host_id in host_ids for n in range(SCHEDULES_OF_A_HOST)]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO hosts (id, name, name_key, hostname, os, arch, agent_version, enrolled_at, first_hello_at,"
            " last_seen_at) VALUES (?, ?, ?, '', '', '', '', ?, ?, ?)",
            [(host_id, f"host-{n:05}", f"host-{n:05}", now, now, now) for n, host_id in enumerate(host_ids)],
        )
        connection.executemany(
            "INSERT INTO schedules (id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds,"
            " max_runtime_seconds, on_partial, params, created_at, anchor_at)"
            " VALUES (?, ?, ?, 'backup', '0 2 * * *', 'UTC', 1, 'agent', 0, 86400, 'alert', '{}', ?, ?)",
            [(schedule_id, host_id, f"nightly {n}", now, now) for schedule_id, host_id, n in schedules],
        )
        connection.executemany(
            "INSERT INTO tracks (host_id, kind, subject, version, last_good_at) VALUES (?, 'backup_failed', ?, 1, ?)",
            [(host_id, schedule_id, now - n * clock.SECOND) for schedule_id, host_id, n in schedules],
        )


async def measure(folder: Path, hosts: int, times: int, report: Callable[[Figure], None]) -> None:
    server = Server(folder)
    database = prepare(Settings(data_dir=str(server.data_dir)))
    await away(partial(write, database, hosts))
    await away(partial(_held, database, folder, report))
    try:
        await away(server.start)
        async with server.client() as client:
            for encoding in ("gzip", "identity"):
                took, cpu, size = [], cpu_seconds(server.pid), 0
                for _ in range(times):
                    began = time.perf_counter()
                    answer = await client.get("/metrics", headers={"Accept-Encoding": encoding})
                    took.append((time.perf_counter() - began) * 1000)
                    answer.raise_for_status()
                    size = int(answer.headers["Content-Length"])
                cpu = (cpu_seconds(server.pid) - cpu) / times * 1000
                note = (
                    f"{hosts:,} hosts, {hosts * SCHEDULES_OF_A_HOST:,} schedules; p50 of {times}, longest"
                    f" {max(took):.0f} ms, {size / 1024:.0f} KiB, {cpu:.0f} ms of CPU each"
                )
                report(Figure(f"/metrics, {encoding}", median(took), "ms", MUST_MS, MUST_MS / 2, note=note))
    finally:
        if server.running:
            server.kill()


def _held(database: Path, folder: Path, report: Callable[[Figure], None]) -> None:
    """Commits, as the store makes them for an alert, beside one scrape after the other in another thread.

    What a commit waits is what the processor did for others between its beginning and its end.
    """
    over = threading.Event()
    lines, scrapes = GoodRunLines(), 0

    def scrape() -> None:
        nonlocal scrapes
        with closing(connect_read_only(database)) as reader:
            while not over.is_set():
                gzip.compress(lines.text(figures(reader, 0).good_runs, 0), 5)
                scrapes += 1

    held: list[float] = []
    with closing(sqlite3.connect(folder / "commits.db", isolation_level=None)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("CREATE TABLE done (at INTEGER, what TEXT)")
        thread = threading.Thread(target=scrape)
        thread.start()
        began = time.process_time()
        while time.process_time() - began < _HELD_SECONDS:
            everybody, own = time.process_time(), time.thread_time()
            writer.execute("BEGIN")
            for _ in range(_STATEMENTS):
                writer.execute("INSERT INTO done VALUES (?, ?)", (0, "report"))
            writer.execute("COMMIT")
            held.append(((time.process_time() - everybody) - (time.thread_time() - own)) * 1000)
        over.set()
        thread.join()
    note = f"of {len(held):,} commits beside {scrapes} scrapes without a pause, longest {max(held):.1f} ms"
    report(Figure("a scrape holds up a commit, p99", percentile(held, 0.99), "ms", MUST_HELD_MS, note=note))
