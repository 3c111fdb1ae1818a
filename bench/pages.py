"""What the largest pages take: 100 alerts out of very many, and 100 hosts with their strips of thirty days.

The page is timed from outside, as a browser gets it. Its data is what the same queries take in this process, on the
same database file while the server has it open: that part cannot be seen from outside.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import httpx

from bench.figures import Figure
from bench.measures import Report, Scale
from bench.process import cpu_seconds
from bench.seed import add_resolved_alerts
from harness.past_fleet import Scribe
from harness.processes import Server, away
from rmactors.common import clock
from rmactors.server.config.settings import Settings
from rmactors.server.store.queries import alerts as alert_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.alerts import AlertFilter
from rmactors.server.store.queries.pages import HostsWanted
from rmactors.server.store.reader import Reader
from rmactors.server.web.views import strips
from rmactors.server.web.views.times import Moment

_DAYS = 30


@dataclass(frozen=True, slots=True)
class Size:
    """How large the fleet and its past are."""

    hosts: int
    alerts: int
    times: int
    """How often each page is asked for."""


async def measure(server: Server, scale: Scale, report: Report) -> None:
    """Restarts the server with a fleet and its past."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # as the server does
    size = Size(min(500, scale.page_alerts // 100), scale.page_alerts, scale.pages)
    await away(server.stop)
    await away(partial(_write, server, size))
    await away(server.start)
    async with server.client() as client:
        await _alerts(server, client, size, report)
        await _hosts(server, client, size, report)


def _write(server: Server, size: Size) -> None:
    """Hosts with a nightly backup and a weekly check each, a run of each for every slot, and alerts."""
    scribe = Scribe(Settings(data_dir=str(server.data_dir)))
    host_ids = []
    for n in range(size.hosts):
        host_id = scribe.host(f"host-{n:04}", seen=5 * clock.SECOND, tags=["prod" if n % 3 else "home"])
        host_ids.append(host_id)
        nightly = scribe.schedule(host_id, "Nightly home", f"{n % 60} 2 * * *")
        weekly = scribe.schedule(host_id, "Weekly check", "0 4 * * 0", kind="check")
        for ago in range(_DAYS - 1, 0, -1):
            how = "failed" if (n + ago) % 50 == 0 else "partial" if (n + ago) % 45 == 0 else "succeeded"
            scribe.job(host_id, nightly, how, ago * clock.DAY - clock.HOUR)
            if ago % 7 == 0:
                scribe.job(host_id, weekly, "succeeded", ago * clock.DAY, kind="check")
        for k in range(size.alerts // 100 // size.hosts):
            scribe.alert(
                host_id, f"host-{n:04}", "backup_failed", "warning", f"home-Backup of {k} failed: wrong password",
                raised=k * clock.HOUR, seen=k * clock.MINUTE, subject=f"plan:home-{k}", occurrences=k + 1,
            )  # fmt: skip
    scribe.close()
    database = server.data_dir / "rm.db"
    each = size.alerts * 99 // 100 // size.hosts
    for n, host_id in enumerate(host_ids):
        add_resolved_alerts(database, each, host_id, f"host-{n:04}", _DAYS * 86400 / each)


async def _alerts(server: Server, client: httpx.AsyncClient, size: Size, report: Report) -> None:
    reader, wanted = Reader(server.data_dir / "rm.db"), AlertFilter(status="all")

    def data() -> None:
        reader.run_here(alert_queries.listed, wanted, clock.now(), 100, None)
        reader.run_here(queries.tags_in_use)
        reader.run_here(queries.open_alerts)

    what, note = f"100 of {size.alerts:,} alerts", f"p50 of {size.times}, of {size.hosts:,} hosts"
    report(Figure(f"data of a page of {what}", _median(data, size.times), "ms", 15, note=note))
    reader.close()
    await _page(server, client, f"HTML page of {what}", "/alerts?status=all", report, size.times, 60)
    await _page(server, client, "such a page, searched for a text", "/alerts?status=all&q=data-77", report, size.times)


async def _hosts(server: Server, client: httpx.AsyncClient, size: Size, report: Report) -> None:
    reader = Reader(server.data_dir / "rm.db")

    def data() -> None:
        now = clock.now()
        wanted = HostsWanted(now - clock.MINUTE, 100)
        found = reader.run_here(queries.fleet, strips.window(Moment(now)).spans(), now - clock.DAY, wanted)
        assert len(found.hosts) == min(100, size.hosts)

    what, runs = f"100 of {size.hosts} hosts", size.hosts * (_DAYS - 1 + 4)
    note = f"p50 of {size.times}, {size.hosts * 2:,} schedules, 30 days, {runs:,} runs"
    report(Figure(f"data of a page of {what}", _median(data, size.times), "ms", 15, note=note))
    reader.close()
    await _page(server, client, f"HTML page of {what}", "/hosts", report, size.times, 60)
    await _page(server, client, "the dashboard of that fleet", "/", report, size.times)


def _median(work: Callable[[], None], times: int) -> float:
    """Milliseconds, after a first time that does not count."""
    work()
    return median(_timed(work) for _ in range(times))


def _timed(work: Callable[[], None]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


async def _page(
    server: Server,
    client: httpx.AsyncClient,
    what: str,
    path: str,
    report: Report,
    times: int,
    must: float | None = None,
) -> None:
    """At the median, as the client waits for it, and the processor's time that it costs the server."""
    await client.get(path)
    took, spent = [], cpu_seconds(server.pid)
    for _ in range(times):
        began = time.perf_counter()
        answer = await client.get(path)
        took.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, answer.text
    spent = (cpu_seconds(server.pid) - spent) / times * 1000
    note = f"p50 of {times}, {len(answer.content) / 1024:.0f} KiB of HTML, {spent:.0f} ms of CPU"
    report(Figure(what, median(took), "ms", must, note=note))
