"""Thirty days of a large fleet: how large the database is, what pages cost on it, what retention and a backup cost.

The past is written by bulk load (`bench.past`); what is measured is a real server on it, the real commands, and, for
retention, the real janitor over the real store with reports coming in beside it.
"""

import sqlite3
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import trio

from bench import past
from bench.figures import Figure
from bench.process import percentile
from harness.processes import COMMAND, ROOT, Server, away
from rmactors.common import clock, ids
from rmactors.common.clock import DAY
from rmactors.server.actors import janitor
from rmactors.server.actors.store import actor as store
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.jobs import SaveStart
from rmactors.server.messages.reports import StartReport
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, ask_store
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.offline import prepare
from rmactors.server.store.reader import Reader
from rmactors.server.store.writer import Writer

Report = Callable[[Figure], None]

DAYS = 31
"""One more than the output of jobs is kept: what retention removes is what it removes each day."""
REPORTS = 50
"""A second, beside retention. A thousand hosts send one or two."""
PAGES = (
    "/", "/hosts", "/hosts/{host}", "/jobs", "/jobs/{job}", "/alerts", "/alerts?status=all&q=host-00017",
    "/alerts/{alert}", "/settings/notifications", "/audit", "/api/hosts?limit=200", "/api/jobs?limit=200",
    "/api/alerts?status=all&limit=200", "/metrics",
)  # fmt: skip
WARM, TIMES = 2, 15


async def measure(folder: Path, hosts: int, report: Report) -> None:
    """`hosts` with a month behind them."""
    server = Server(folder / "month")
    database = await away(lambda: prepare(Settings(data_dir=str(server.data_dir))))
    began = time.monotonic()
    box = SecretBox.load_or_create(server.data_dir / "secret.key")
    rows = await away(lambda: past.write(database, box, hosts, DAYS))
    note = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in rows.items())
    await away(lambda: _size(database, hosts, f"{note}; loaded in {time.monotonic() - began:.0f} s", report))
    await _commands(server, folder, report)
    try:
        began = time.monotonic()
        await away(server.start)
        report(Figure("start, until /healthz is 200", time.monotonic() - began, "s"))
        await _pages(server, report)
        server.must_live()
        await away(server.stop)
    finally:
        if server.running:
            server.kill()
    await _retention(database, report)


def _size(database: Path, hosts: int, note: str, report: Report) -> None:
    name = f"database of {hosts:,} hosts after {DAYS} days"
    report(Figure(name, database.stat().st_size / 1e6, "MB", note=note))
    with closing(sqlite3.connect(database)) as db:
        sizes = db.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_master ON sqlite_master.name = dbstat.name"
            " GROUP BY tbl_name ORDER BY 2 DESC LIMIT 4"
        ).fetchall()
    for table, size in sizes:
        report(Figure(f"of it {table}, with indexes", size / 1e6, "MB"))


async def _commands(server: Server, folder: Path, report: Report) -> None:
    for name, words in (("rmactors backup", ("backup", str(folder / "copy"))), ("rmactors doctor", ("doctor",))):
        began = time.monotonic()
        done = await away(
            lambda words=words: subprocess.run(
                [*COMMAND, *words], cwd=ROOT, env=server.environment, capture_output=True, text=True
            )
        )
        report(Figure(name, time.monotonic() - began, "s", note="the whole command, every page of the database read"))
        assert done.returncode == 0, done.stdout + done.stderr


async def _pages(server: Server, report: Report) -> None:
    found = {}
    for name, path in (("host", "hosts?"), ("job", "jobs?"), ("alert", "alerts?status=all&")):
        listed = await away(lambda path=path: server.ask("GET", f"/api/{path}limit=1"))
        found[name] = listed["items"][0]["id"]
    async with server.client() as client:
        for path in PAGES:
            took, size = [], 0
            for turn in range(WARM + TIMES):
                began = time.monotonic()
                answer = await client.get(path.format(**found))
                assert answer.status_code == 200, f"{path}: {answer.status_code}"
                if turn >= WARM:
                    took.append((time.monotonic() - began) * 1000)
                size = len(answer.content)
            shown = path.replace("{", "<").replace("}", ">")
            note = f"p50 of {TIMES}, longest {max(took):.0f} ms, {size / 1024:.0f} KiB"
            report(Figure(f"page {shown}", percentile(took, 0.5), "ms", note=note))


@dataclass(slots=True)
class _Stream:
    """Starts of jobs, evenly spaced, each committed before it is acked."""

    to_store: Mailbox[Commit]
    host_id: str
    milliseconds: list[float]

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            began, number = trio.current_time(), 0
            while True:
                await trio.sleep_until(began + number / REPORTS)
                nursery.start_soon(self._one)
                number += 1

    async def _one(self) -> None:
        at = clock.now()
        start = StartReport(self.host_id, ids.new(), "backup", None, None, None, at, at)
        began = time.monotonic()
        answer = await ask_store(self.to_store, SaveStart(start, None, "", at + DAY, None))
        assert isinstance(answer, Committed), answer
        self.milliseconds.append((time.monotonic() - began) * 1000)


async def _retention(database: Path, report: Report) -> None:
    """A day's worth goes, while reports come in; the same stream of reports alone, for comparison."""
    with closing(sqlite3.connect(database)) as db:
        (host_id,) = db.execute("SELECT id FROM hosts LIMIT 1").fetchone()
        (before,) = db.execute("SELECT count(*) FROM job_logs").fetchone()
    to_store: Mailbox[Commit] = Mailbox("store", 1024)
    state = store.StoreState()
    reader = Reader(database)
    periods = janitor.Periods(job_logs=30, jobs=400, alerts=400, notification_log=90, audit=400)
    alone, beside = _Stream(to_store, host_id, []), _Stream(to_store, host_id, [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, to_store, lambda: Writer(connect(database)), lambda _: None, state)
        with trio.move_on_after(3):
            await alone.run()
        async with trio.open_nursery() as streaming:
            streaming.start_soon(beside.run)
            began, cpu = time.monotonic(), time.process_time()
            assert await janitor.clear_up(to_store, reader, periods, clock.now())
            seconds, cpu = time.monotonic() - began, time.process_time() - cpu
            await trio.sleep(0.2)
            streaming.cancel_scope.cancel()
        nursery.cancel_scope.cancel()
    reader.close()
    with closing(sqlite3.connect(database)) as db:
        gone = before - db.execute("SELECT count(*) FROM job_logs").fetchone()[0]
    assert gone > 0
    note = f"{gone:,} lines of output, what a day brings; {cpu:.1f} s of CPU, {REPORTS} reports/s beside it included"
    report(Figure("retention of one day", seconds, "s", note=note))
    for name, stream in (("alone", alone), ("beside retention", beside)):
        took = stream.milliseconds
        note = (
            f"p99 of {len(took):,} commits at {REPORTS}/s; p50 {percentile(took, 0.5):.1f}, longest {max(took):.0f} ms"
        )
        report(Figure(f"a report on disk, {name}", percentile(took, 0.99), "ms", note=note))
