"""The measurements, each a function that takes a server under some load and gives its figures.

What they must reach is written beside them. Each says in `note` what exactly was done.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import httpx
import trio

from bench.figures import Figure
from bench.load import Clockwork, connected, enrolled, pump_all
from bench.process import cpu_seconds, own_memory_kib, percentile
from bench.seed import add_resolved_alerts
from harness.processes import Server, away, eventually
from harness.rawsocket import RawSocket
from harness.sink import Sink
from rmactors.simulate.agent import SimCredential


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of everything. `SHORT` takes about a minute."""

    alerts: int
    touches: int
    latency_seconds: float
    idle_agents: int
    heartbeat_agents: int
    heartbeat_seconds: float
    outage_seconds: float
    drain: int
    page_alerts: int
    fleet_agents: int
    fleet_seconds: float
    agent_seconds: float
    intake_hosts: int = 50
    pages: int = 30
    """How often each page is asked for."""
    schedules: int = 100
    """Of the agent that has nothing to do."""
    large_folder: int = 200_000
    """Entries of the largest folder that is looked at."""


SHORT = Scale(10_000, 10_000, 8, 500, 30_000, 6, 20, 2_000, 100_000, 1_000, 20, 20)
QUICK = Scale(
    200, 200, 0.3, 10, 1_000, 0.3, 1, 100, 1_000, 20, 2, 0.5, intake_hosts=5, pages=3, schedules=10, large_folder=2_000
)
"""To see that the measurements themselves work; its figures mean little."""
FULL = Scale(50_000, 50_000, 30, 5_000, 30_000, 20, 20, 10_000, 200_000, 10_000, 600, 120)

Report = Callable[[Figure], None]


async def intake(server: Server, scale: Scale, report: Report) -> list[SimCredential]:
    """Reports at full speed: new alerts, then recurrences of them. No channel is enabled."""
    credentials = await enrolled(server, scale.intake_hosts, "intake")
    async with connected(server, credentials) as links:
        warm = [[link.report(f"warm-{n}") for n in range(10)] for link in links]
        await pump_all(links, warm, 10)
        each = scale.alerts // len(links)
        frames = [[link.report(f"p{n}") for n in range(each)] for link in links]
        memory, cpu = own_memory_kib(server.pid), cpu_seconds(server.pid)
        seconds = await pump_all(links, frames, 40)
        cpu, count = cpu_seconds(server.pid) - cpu, each * len(links)
        grown = (own_memory_kib(server.pid) - memory) / 1024 * 10_000 / count
        note = f"{count:,} reports of {len(links)} hosts, one a frame, 40 unacked each, no channel"
        report(Figure("new alerts, committed and acked", count / seconds, "/s", 1500, 6000, "more", note))
        report(Figure("CPU per new alert, without webhook", cpu / count * 1000, "ms", note="the server's, all threads"))
        report(Figure("memory per 10,000 open alerts", grown, "MiB", 40, 15, note="anonymous memory, before and after"))

        each = scale.touches // len(links)
        frames = [[link.report(f"p{n % 100}") for n in range(each)] for link in links]
        cpu = cpu_seconds(server.pid)
        seconds = await pump_all(links, frames, 40)
        cpu, count = cpu_seconds(server.pid) - cpu, each * len(links)
        report(
            Figure("recurrences, committed and acked", count / seconds, "/s", 2000, 8000, "more", f"{count:,} reports")
        )
        report(Figure("CPU per recurrence", cpu / count * 1000, "ms"))
    return credentials


async def page(server: Server, scale: Scale, host: SimCredential, report: Report) -> None:
    """A page of alerts out of very many. Restarts the server with a longer past."""
    await away(server.stop)
    database = server.data_dir / "rm.db"
    await away(partial(add_resolved_alerts, database, scale.page_alerts - scale.alerts, host.host_id, host.name))
    await away(server.start)
    async with server.client() as client:
        name = f"page of 200 of {scale.page_alerts:,} alerts"
        for query, what in (
            ("status=all", name),
            ("status=resolved&severity=warning", "such a page, filtered by status and severity"),
            ("status=all&q=data-77", "such a page, searched for a text"),
        ):
            took = []
            cursor = ""
            for _ in range(scale.pages):
                began = time.monotonic()
                answer = await client.get(f"/api/alerts?{query}&limit=200{cursor}")
                took.append((time.monotonic() - began) * 1000)
                assert answer.status_code == 200, answer.text
                found = answer.json()
                cursor = f"&cursor={found['next_cursor']}" if found["next_cursor"] else ""
            must, aim = (100, 15) if query == "status=all" else (None, None)
            note = f"p50 of {scale.pages} pages, one after the other by the cursor" if query == "status=all" else ""
            report(Figure(what, percentile(took, 0.5), "ms", must, aim, note=note))
        began_cpu, answer = cpu_seconds(server.pid), await client.get("/api/alerts?status=all&limit=200")
        for _ in range(scale.pages):
            answer = await client.get("/api/alerts?status=all&limit=200")
        spent = (cpu_seconds(server.pid) - began_cpu) / (scale.pages + 1) * 1000
        report(Figure("CPU of such a page", spent, "ms", note=f"{len(answer.content) / 1024:.0f} KiB of JSON"))


async def idle(server: Server, scale: Scale, report: Report) -> None:
    """Connected agents that have nothing to say, then the heartbeats of many more."""
    first = min(50, scale.idle_agents)
    credentials = await enrolled(server, scale.idle_agents + first, "idle")
    async with connected(server, credentials[:first]):  # whatever the first ones cost once is no agent's memory
        await rest(server)
        before = own_memory_kib(server.pid)
        async with connected(server, credentials[first:]) as links:
            await rest(server)
            each = (own_memory_kib(server.pid) - before) / len(links)
            note = f"anonymous memory, {len(links):,} agents after hello"
            report(Figure("memory per idle agent", each, "KiB", 60, 35, note=note))
            per_second = scale.heartbeat_agents / 30
            cpu, began = cpu_seconds(server.pid), time.monotonic()
            await _heartbeats(links, per_second, scale.heartbeat_seconds)
            share = (cpu_seconds(server.pid) - cpu) / (time.monotonic() - began) * 100
            note = f"{per_second:.0f} heartbeats/s from {len(links):,} connections"
            name = f"CPU for {scale.heartbeat_agents:,} agents' heartbeats"
            report(Figure(name, share, "% of a core", 25 * 3, 25, note=note))


async def rest(server: Server) -> None:
    """Wait until the server has done what it had to do: no CPU worth mentioning in half a second."""
    for _ in range(20):
        cpu = cpu_seconds(server.pid)
        await trio.sleep(0.5)
        if cpu_seconds(server.pid) - cpu < 0.03:
            return


async def _heartbeats(links: list[RawSocket], per_second: float, seconds: float) -> None:
    began = trio.current_time()
    for number in range(int(per_second * seconds)):
        await trio.sleep_until(began + number / per_second)
        await links[number % len(links)].heartbeat()


async def latency(server: Server, sink: Sink, scale: Scale, report: Report) -> list[SimCredential]:
    """From the report's bytes to the webhook's: one channel at 100/s, then again beside one that hangs."""
    await away(partial(server.webhook, sink.url("/ops"), name="ops"))
    credentials = await enrolled(server, 20, "steady")
    async with connected(server, credentials) as links:
        await Clockwork(sink, "/ops").run(links, 50, 1, "warm")
        cpu = cpu_seconds(server.pid)
        steady = Clockwork(sink, "/ops")
        await steady.run(links, 100, scale.latency_seconds, "steady")
        cpu = (cpu_seconds(server.pid) - cpu) / len(steady.milliseconds) * 1000
        note = f"{len(steady.milliseconds):,} new alerts at 100/s, one channel"
        report(Figure("raise → webhook, p50", steady.p(0.5), "ms", 20, 3, note=note))
        report(Figure("raise → webhook, p99", steady.p(0.99), "ms", 100, 20))
        report(Figure("CPU per alert at 100/s, its webhook included", cpu, "ms", note="batches are small at this pace"))

        sink.feel("hang", path="/hanging")
        await away(partial(server.webhook, sink.url("/hanging"), name="hanging"))
        beside = Clockwork(sink, "/ops")
        await beside.run(links, 100, scale.latency_seconds, "beside")
        note = f"it was {steady.p(0.99):.1f} ms without"
        report(
            Figure(
                "p99 of the others while one channel hangs", beside.p(0.99), "ms", 100, steady.p(0.99) * 1.25, note=note
            )
        )
        sink.feel("up", path="/hanging")
    return credentials


async def flow(server: Server, sink: Sink, scale: Scale, credentials: list[SimCredential], report: Report) -> None:
    """As many new alerts as are taken, with their webhooks, until the last outcome is committed. One channel."""
    await only_channel(server, "ops")
    async with connected(server, credentials) as links:
        each = scale.drain // len(links)
        frames = [[link.report(f"flow-{n}") for n in range(each)] for link in links]
        cpu = cpu_seconds(server.pid)
        seconds = await _until_committed(server, partial(pump_all, links, frames, 20))
        count = each * len(links)
        cpu = (cpu_seconds(server.pid) - cpu) / count * 1000
        note = f"{count:,} alerts at full speed, {count / seconds:,.0f}/s, all outcomes committed"
        report(Figure("CPU per alert, its webhook included", cpu, "ms", 1.2, 0.7, note=note))


async def outage(server: Server, sink: Sink, scale: Scale, credentials: list[SimCredential], report: Report) -> None:
    """The receiver says 503 for a while with a thousand alerts waiting, then is well again."""
    queued = min(1000, scale.drain)
    sink.feel("error", path="/ops", status=503)
    before = len(sink.requests)
    async with connected(server, credentials) as links:

        async def raise_alerts(count: int, label: str) -> None:
            each = count // len(links)
            await pump_all(links, [[link.report(f"{label}-{n}") for n in range(each)] for link in links], 20)

        began = trio.current_time()
        await raise_alerts(queued, "outage")
        await trio.sleep_until(began + scale.outage_seconds)
        tries = len(sink.requests) - before
        note = f"{queued:,} alerts waiting, HTTP 503"
        report(Figure(f"tries in an outage of {scale.outage_seconds:.0f} s", tries, "", 1000, 100, note=note))
        await raise_alerts(scale.drain - queued, "more")
        told = len(sink.told("/ops"))
        sink.feel("up", path="/ops")
        back = time.monotonic()
        await sink.until(lambda s: len(s.told("/ops")) > told, 60)
        first = sink.told("/ops")[told].at
        report(Figure("first delivery after the outage", first - back, "s", 30, 5))
        cpu = cpu_seconds(server.pid)
        await queue_empty(server)
        last = sink.told("/ops")[-1].at
        count = len(sink.told("/ops")) - told
        cpu = (cpu_seconds(server.pid) - cpu) / count * 1000
        note = f"{count:,} from the first to the last, and the queue seen empty"
        report(Figure("webhooks drained to one endpoint", (count - 1) / (last - first), "/s", 400, 1200, "more", note))
        report(Figure("CPU per drained webhook", cpu, "ms"))


async def _until_committed(server: Server, work: Callable[[], Awaitable[object]]) -> float:
    began = time.monotonic()
    await work()
    await queue_empty(server)
    return time.monotonic() - began


async def queue_empty(server: Server) -> None:
    def is_empty() -> bool:
        channels = server.ask("GET", "/api/notifications")["items"]
        return all(item["health"]["queued"] == 0 for item in channels)

    await away(lambda: eventually(is_empty, 120, lambda: "the queue does not drain", 0.1))


async def only_channel(server: Server, name: str) -> None:
    """Delete every other channel."""
    async with httpx.AsyncClient(
        base_url=server.url, headers={"Authorization": f"Bearer {server.token}"}, trust_env=False
    ) as client:
        for item in (await client.get("/api/notifications")).json()["items"]:
            if item["name"] != name:
                await client.delete(f"/api/notifications/{item['id']}")
