"""The same work side by side, in one run: this build, an earlier one, and Debian's Alertmanager.

Eight connections. Alerts come one at a time on each, or 64 at once: with us 64 reports without an ack, with
Alertmanager 64 alerts a request. A webhook receiver and the load share the machine with what is measured. What is
measured changes places with every round; figures are medians. Ours are on the disk when they are acked; Alertmanager
keeps alerts in memory.
"""

import json
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import httpx
import trio

from bench.builds import BEFORE, HERE, builds_of, by_turns, ratios
from bench.figures import Figure
from bench.load import Clockwork, connected, enrolled, pump_all
from bench.process import cpu_seconds
from harness.alertmanager import usable_program
from harness.ports import free_port
from harness.processes import Server, away, environment, eventually
from harness.sink import Sink, open_sink

CONNECTIONS: Final = 8
AT_ONCE: Final = 64
ALERTMANAGER: Final = "Alertmanager"
HOOK: Final = "/peer"

NEW: Final = "new alerts"
AGAIN: Final = "recurrences"
NOTIFIED: Final = "alerts with their webhook"
TAKEN: Final = "… as fast as they are taken"
"""The same alerts, until the last is acked: their webhooks go meanwhile, and after."""
ONE_BY_ONE: Final = "one at a time, with webhook"
LONE: Final = "raise → webhook at 100/s"
_MUST: Final = {NEW: 3.0, AGAIN: 3.5, NOTIFIED: 1.7, ONE_BY_ONE: 1.3}
"""Times the rate of the earlier build."""
_MUST_CPU: Final = {NOTIFIED: 0.6, LONE: 0.75}
_MUST_BESIDE: Final = {TAKEN: 1.0, NOTIFIED: 0.5}
"""Times the rate of Alertmanager."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many alerts of each round; `lone_seconds` at 100 a second."""

    new: int = 16_000
    notified: int = 6_400
    one_by_one: int = 1_600
    lone_seconds: float = 10


QUICK: Final = Amounts(512, 512, 64, 0.5)


@dataclass(slots=True)
class Round:
    """What one of those measured did once: a second, and CPU of each in microseconds; milliseconds of lone ones."""

    rate: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    lone: tuple[float, float] | None = None

    async def time(self, what: str, count: int, pid: int, work: Callable[[], Awaitable[object]]) -> None:
        cpu, began = cpu_seconds(pid), time.monotonic()
        await work()
        self.rate[what] = count / (time.monotonic() - began)
        self.cpu[what] = (cpu_seconds(pid) - cpu) / count * 1_000_000

    async def time_told(
        self, what: str, count: int, pid: int, sink: Sink, work: Callable[[], Awaitable[object]]
    ) -> None:
        """The same, until each webhook has come."""
        told, cpu, began = len(sink.told(HOOK)), cpu_seconds(pid), time.monotonic()
        await work()
        if what == NOTIFIED:
            self.rate[TAKEN] = count / (time.monotonic() - began)
        await sink.until(lambda there: len(there.told(HOOK)) >= told + count, 120)
        self.rate[what] = count / (time.monotonic() - began)
        self.cpu[what] = (cpu_seconds(pid) - cpu) / count * 1_000_000


async def measure(
    folder: Path, before: str | None, rounds: int, amounts: Amounts, report: Callable[[Figure], None]
) -> None:
    """`before` is a revision of this repository."""
    with builds_of(before) as builds:
        ours = {name: partial(_ours, root, amounts) for name, root in builds.items()}
        all_of_them = {**ours, ALERTMANAGER: partial(_alertmanager, amounts)}
        found = await by_turns(folder, rounds, all_of_them)
    for name, of in found.items():
        _report_one(name, of, report)
    _report_ratios(found, report)


def _report_one(name: str, found: list[Round], report: Callable[[Figure], None]) -> None:
    for what in found[0].rate:
        rates = [each.rate[what] for each in found]
        note = f"{min(rates):,.0f} to {max(rates):,.0f}"
        if what in found[0].cpu:
            note += f"; CPU of each {median(each.cpu[what] for each in found):,.0f} µs"
        report(Figure(f"{name}: {what}", median(rates), "/s", note=note))
    if found[0].lone is not None:
        p50, p99 = (median(each.lone[place] for each in found if each.lone is not None) for place in (0, 1))
        note = f"p99 {p99:.2f} ms; CPU of each {median(each.cpu[LONE] for each in found):,.0f} µs"
        report(Figure(f"{name}: {LONE}, p50", p50, "ms", note=note))


def _report_ratios(found: dict[str, list[Round]], report: Callable[[Figure], None]) -> None:
    def say(measure: str, of: Callable[[Round], dict[str, float]], what: str, other: str, must: float | None) -> None:
        times, note = ratios((of(one)[what] for one in found[HERE]), (of(one)[what] for one in found[other]))
        better = "less" if measure.startswith("CPU") else "more"
        report(Figure(f"{measure}, beside {other}", median(times), "times", must, must, better, note))

    if BEFORE in found:
        for what, must in _MUST.items():
            say(what, lambda one: one.rate, what, BEFORE, must)
        for what, must in _MUST_CPU.items():
            say(f"CPU of {what}", lambda one: one.cpu, what, BEFORE, must)
    for what in (NEW, AGAIN, TAKEN, NOTIFIED, ONE_BY_ONE):
        say(what, lambda one: one.rate, what, ALERTMANAGER, _MUST_BESIDE.get(what))


# ---- ours


async def _ours(root: Path, amounts: Amounts, folder: Path) -> Round:
    found = Round()
    server = Server(folder, max_open_alerts_per_host=0)
    server.root = root
    await away(server.start)
    try:
        async with open_sink() as sink:
            credentials = await enrolled(server, CONNECTIONS, "peer")
            async with connected(server, credentials) as links:
                await pump_all(links, [[link.report(f"warm-{n}") for n in range(20)] for link in links], 10)
                each = amounts.new // len(links)
                frames = [[link.report(f"new-{n}") for n in range(each)] for link in links]
                await found.time(NEW, each * len(links), server.pid, partial(pump_all, links, frames, AT_ONCE))
                frames = [[link.report(f"new-{n % 100}") for n in range(each)] for link in links]
                await found.time(AGAIN, each * len(links), server.pid, partial(pump_all, links, frames, AT_ONCE))

                await away(partial(server.webhook, sink.url(HOOK), name="peer"))
                for what, count, window in (
                    (NOTIFIED, amounts.notified, AT_ONCE), (ONE_BY_ONE, amounts.one_by_one, 1),
                ):  # fmt: skip
                    each = count // len(links)
                    frames = [[link.report(f"{window}-{n}") for n in range(each)] for link in links]
                    work = partial(pump_all, links, frames, window)
                    await found.time_told(what, each * len(links), server.pid, sink, work)
                lone = Clockwork(sink, HOOK)
                await Clockwork(sink, HOOK).run(links, 50, 0.2, "warmlone")
                cpu = cpu_seconds(server.pid)
                await lone.run(links, 100, amounts.lone_seconds, "lone")
                found.cpu[LONE] = (cpu_seconds(server.pid) - cpu) / len(lone.milliseconds) * 1_000_000
                found.lone = (lone.p(0.5), lone.p(0.99))
        server.must_live()
    finally:
        await away(server.kill)
    return found


# ---- Alertmanager


async def _alertmanager(amounts: Amounts, folder: Path) -> Round:
    found = Round()
    async with open_sink() as sink:
        with _running(folder / "quiet", None) as (port, pid):
            each = amounts.new // CONNECTIONS
            alerts = [[f"new-{link}-{n}" for n in range(each)] for link in range(CONNECTIONS)]
            await found.time(NEW, each * CONNECTIONS, pid, partial(_post_all, port, alerts, AT_ONCE))
            alerts = [[f"new-{link}-{n % 100}" for n in range(each)] for link in range(CONNECTIONS)]
            await found.time(AGAIN, each * CONNECTIONS, pid, partial(_post_all, port, alerts, AT_ONCE))
        with _running(folder / "loud", sink.url(HOOK)) as (port, pid):
            for what, count, at_once in (
                (NOTIFIED, amounts.notified, AT_ONCE), (ONE_BY_ONE, amounts.one_by_one, 1),
            ):  # fmt: skip
                each = count // CONNECTIONS
                alerts = [[f"{at_once}-{link}-{n}" for n in range(each)] for link in range(CONNECTIONS)]
                work = partial(_post_all, port, alerts, at_once)
                await found.time_told(what, each * CONNECTIONS, pid, sink, work)
    return found


@contextmanager
def _running(folder: Path, webhook: str | None) -> Iterator[tuple[int, int]]:
    """An Alertmanager that tells each alert by itself, or nobody; its port and its process. Waits until it is ready."""
    folder.mkdir(parents=True)
    port = free_port()
    told = {"webhook_configs": [{"url": webhook, "send_resolved": True}]} if webhook else {}
    route = {"group_by": ["..."], "group_wait": "0s", "group_interval": "1s", "repeat_interval": "1h"}
    config = {"route": {"receiver": "one", **route}, "receivers": [{"name": "one", **told}]}
    (folder / "alertmanager.yml").write_text(json.dumps(config))  # JSON is YAML
    command = [
        str(usable_program(folder)), "--config.file=alertmanager.yml",
        f"--storage.path={folder}", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        "--log.level=error",
    ]  # fmt: skip
    with (folder / "output").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment({}), stdout=log, stderr=log)

    def is_ready() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/-/ready", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    try:
        eventually(is_ready, 60, lambda: (folder / "output").read_text()[-2000:])
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


async def _post_all(port: int, alerts: list[list[str]], at_once: int) -> None:
    """Each list on a connection of its own, so many a request, one request after the other."""
    now = datetime.now(UTC)
    times = {"startsAt": now.isoformat(), "endsAt": (now + timedelta(hours=1)).isoformat()}

    def request(names: list[str]) -> bytes:
        said = {"summary": "Fatal: unable to open config file: connection refused"}
        body = json.dumps(
            [{"labels": {"alertname": "backup_failed", "plan": name}, "annotations": said, **times} for name in names]
        ).encode()
        head = f"POST /api/v2/alerts HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def post(requests: list[bytes]) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            for each in requests:
                await stream.send_all(each)
                answer = bytes(await stream.receive_some(4096))
                assert answer.startswith(b"HTTP/1.1 200"), answer

    made = [[request(names[at : at + at_once]) for at in range(0, len(names), at_once)] for names in alerts]
    async with trio.open_nursery() as nursery:
        for requests in made:
            nursery.start_soon(post, requests)
