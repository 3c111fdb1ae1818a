"""A fleet comes back after a restart, and each host has reports in its spool.

Raw sockets, each from an address of its own on loopback, as hosts have. They all try within five seconds, and again
after pauses as agents make them. Meanwhile one host reports a new failure every half second, and an operator opens the
dashboard as often.
"""

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Final

import httpx
import trio

from bench.builds import BEFORE, HERE, builds_of
from bench.figures import Figure
from bench.load import enrolled
from bench.process import cpu_seconds, percentile
from harness.processes import Server, away
from harness.rawsocket import RawSocket, Refused, report_frame
from rmactors.agent.connection import Timings
from rmactors.agent.pauses import Pauses
from rmactors.common.vocabulary import AlertKind
from rmactors.server.runtime import garbage
from rmactors.simulate.agent import SimCredential

SPREAD_SECONDS: Final = 5.0
PROBE_SECONDS: Final = 0.5
AT_ONCE: Final = 64
LONGEST: Final = 300.0
"""After so many seconds it is over: an earlier build may get nowhere."""
SILENT: Final[AlertKind] = "agent_offline"
_TIMINGS: Final = Timings()


@dataclass(slots=True)
class Storm:
    """What was seen. Times in seconds since the server was there again."""

    back: dict[str, float] = field(default_factory=dict)
    """When each host was welcomed first."""
    acked: list[float] = field(default_factory=list)
    """When the last spooled report of each host was."""
    failures: list[float] = field(default_factory=list)
    """Until a new failure of another host was acked."""
    pages: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    """Tries in vain, by what was said."""
    silent: int = 0
    not_online: int = 0
    """Hosts that are not shown as online when it is over."""
    cpu: float = 0.0
    late: int = 0
    """Hosts that still had something to report when it was over."""

    def all_acked(self) -> float:
        return math.inf if self.late else max(self.acked)


async def measure(folder: Path, before: str | None, hosts: int, spooled: int, report: Callable[[Figure], None]) -> None:
    """`before` is a revision of this repository."""
    garbage.start()  # so many connections are many objects of this process, too
    found: dict[str, Storm] = {}
    with builds_of(before) as builds:
        for name, root in builds.items():
            found[name] = await _one(folder / name.replace(" ", "-"), root, hosts, spooled)
            _report(name, found[name], hosts, spooled, report)
    if BEFORE in found:
        ratio = found[HERE].all_acked() / found[BEFORE].all_acked()
        report(Figure("until all is acked, beside the build before", ratio, "times", 0.5, 0.5))


def _report(name: str, storm: Storm, hosts: int, spooled: int, report: Callable[[Figure], None]) -> None:
    must = name == HERE
    came = [*storm.back.values(), *[math.inf] * (hosts - len(storm.back))]
    most = percentile(came, 0.99)
    note = f"{hosts:,} hosts, all within {SPREAD_SECONDS:g} s of the start; {_in_vain(storm)}"
    report(Figure(f"{name}: until 99 % are back", most, "s", note=note))
    late = f"{storm.late:,} hosts were not done after {LONGEST:g} s; " if storm.late else ""
    cpu = storm.cpu / (hosts * spooled) * 1e6
    note = f"{late}{spooled} reports of each; {cpu:,.0f} µs of CPU for each, hellos included"
    report(Figure(f"{name}: until all is acked", storm.all_acked(), "s", note=note))
    for what, took, share, bound in (
        ("a new failure meanwhile, longest until its ack", storm.failures, 1.0, 1_000.0),
        ("the dashboard meanwhile, p99", storm.pages, 0.99, 300.0),
    ):
        note = f"of {len(took)}, p50 {percentile(took, 0.5) * 1000:,.0f} ms"
        value = percentile(took, share) * 1000
        report(Figure(f"{name}: {what}", value, "ms", bound if must else None, note=note))
    for what, number in (("called silent", storm.silent), ("not online at the end", storm.not_online)):
        report(Figure(f"{name}: hosts {what}", number, "", 0 if must else None, 0 if must else None))


def _in_vain(storm: Storm) -> str:
    why = ", ".join(f"{number:,} {said}" for said, number in storm.refused.most_common(3))
    return f"{storm.refused.total():,} tries in vain" + (f" ({why})" if why else "")


async def _one(folder: Path, root: Path, hosts: int, spooled: int) -> Storm:
    await away(partial(folder.mkdir, parents=True))
    server = Server(folder, max_open_alerts_per_host=0)
    server.root = root
    storm, held = Storm(), list[RawSocket]()
    await away(server.start)
    try:
        credentials = await enrolled(server, hosts + 1, "storm")
        await away(server.stop)
        frames = [[report_frame(1 + n, "home", failed=False) for n in range(spooled)] for _ in range(hosts)]
        await away(server.start)
        cpu, began = cpu_seconds(server.pid), time.monotonic()
        with trio.move_on_after(LONGEST):
            async with trio.open_nursery() as probes:
                probes.start_soon(_fail_again_and_again, server, credentials[0], storm)
                probes.start_soon(_open_the_dashboard, server, storm)
                async with trio.open_nursery() as fleet:
                    for number, credential in enumerate(credentials[1:]):
                        come = partial(_come_back, server, credential, number, frames[number], began, storm, held)
                        fleet.start_soon(come, number / hosts * SPREAD_SECONDS)
                probes.cancel_scope.cancel()
        storm.late = hosts - len(storm.acked)
        storm.cpu = cpu_seconds(server.pid) - cpu
        alerts = await away(partial(server.all_items, "/api/alerts"))
        storm.silent = sum(alert["kind"] == SILENT for alert in alerts)
        found = await away(partial(server.all_items, "/api/hosts"))
        storm.not_online = sum(host["status"] != "online" for host in found)
        server.must_live()
    finally:
        for link in held:
            await link.aclose()
        if server.running:
            await away(server.kill)
    return storm


async def _come_back(
    server: Server, credential: SimCredential, number: int, frames: list[bytes], began: float, storm: Storm,
    held: list[RawSocket], wait: float,
) -> None:  # fmt: skip
    """Until its spool is empty; then it stays connected until all are done. It waits and gives up as agents do."""
    address = f"127.{1 + (number >> 16)}.{number >> 8 & 255}.{number & 255 or 255}"
    pauses = Pauses(_TIMINGS, random.uniform)
    await trio.sleep(wait)
    while True:
        welcomed = math.inf
        try:
            with trio.fail_after(_TIMINGS.connect + _TIMINGS.welcome):
                link = await RawSocket.connect(
                    server.agent_port, credential, spooled=len(frames), local_address=address
                )  # fmt: skip
            welcomed = time.monotonic()
            storm.back.setdefault(credential.name, welcomed - began)
            await link.pump(frames, AT_ONCE)
        except (OSError, trio.BrokenResourceError, trio.TooSlowError, Refused) as error:
            storm.refused[str(error).replace(credential.name, "a host") or type(error).__name__] += 1
            await trio.sleep(pauses.after(max(0.0, time.monotonic() - welcomed)))
        else:
            storm.acked.append(time.monotonic() - began)
            held.append(link)
            return


async def _fail_again_and_again(server: Server, credential: SimCredential, storm: Storm) -> None:
    """One that is not acked, as the connection was closed, counts as one that never was."""
    numbers = count()
    while True:
        try:
            link = await RawSocket.connect(server.agent_port, credential)
            while True:
                frame = link.report(f"new-{next(numbers)}")
                began = time.monotonic()
                await link.pump([frame], 1)
                storm.failures.append(time.monotonic() - began)
                await trio.sleep(PROBE_SECONDS)
        except (OSError, trio.BrokenResourceError, Refused):
            storm.failures.append(math.inf)
            await trio.sleep(PROBE_SECONDS)


async def _open_the_dashboard(server: Server, storm: Storm) -> None:
    """An error counts as a page that never came."""
    async with server.client() as client:
        while True:
            began = time.monotonic()
            try:
                (await client.get("/")).raise_for_status()
                storm.pages.append(time.monotonic() - began)
            except httpx.HTTPError:
                storm.pages.append(math.inf)
            await trio.sleep(PROBE_SECONDS)
