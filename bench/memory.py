"""What an idle agent and an open alert take of the server's memory, beside an earlier build.

Anonymous memory, which has what is needed once in it: buffers, and what the allocator keeps for later. So the alerts
are raised twice over, and the second lot says what more of them cost; they have a server of their own, because agents
that have left leave free memory behind. The builds take turns; figures are medians.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import trio

from bench.builds import BEFORE, HERE, builds_of, by_turns, ratios
from bench.figures import Figure
from bench.load import connected, enrolled, pump_all
from bench.measures import rest
from bench.process import own_memory_kib
from harness.processes import Server, away
from harness.rawsocket import RawSocket

HOSTS: Final = 50
AGENT: Final = "memory per idle agent"
FIRST: Final = "memory per 10,000 open alerts"
MORE: Final = "memory per 10,000 further open alerts"
_MOST: Final = 1.05
"""Times the memory of the build before."""


@dataclass(frozen=True, slots=True)
class Amounts:
    """How many agents have nothing to say, and how many alerts are raised in each lot."""

    agents: int = 500
    alerts: int = 10_000


QUICK: Final = Amounts(20, 200)


async def measure(
    folder: Path, before: str | None, rounds: int, amounts: Amounts, report: Callable[[Figure], None]
) -> None:
    """`before` is a revision of this repository."""
    with builds_of(before) as builds:
        found = await by_turns(folder, rounds, {name: partial(_one, root, amounts) for name, root in builds.items()})
    for name, each in found.items():
        for what in each[0]:
            values = [one[what] for one in each]
            note = f"{min(values):.1f} to {max(values):.1f}, anonymous memory"
            report(Figure(f"{name}: {what}", median(values), "KiB" if what == AGENT else "MiB", note=note))
    for what in found[HERE][0] if BEFORE in found else ():
        times, note = ratios((one[what] for one in found[HERE]), (one[what] for one in found[BEFORE]))
        report(Figure(f"{what}, beside the build before", median(times), "times", _MOST, _MOST, note=note))


async def _one(root: Path, amounts: Amounts, folder: Path) -> dict[str, float]:
    """What each of the figures is, KiB for an agent and MiB for alerts."""
    found: dict[str, float] = {}
    async with _warm(root, folder / "agents") as (server, _):
        credentials = await enrolled(server, amounts.agents, "idle")
        memory = await _at_rest(server)
        async with connected(server, credentials):
            found[AGENT] = (await _at_rest(server) - memory) / amounts.agents
    async with _warm(root, folder / "alerts") as (server, links):
        each = amounts.alerts // len(links)
        for what in (FIRST, MORE):
            memory = await _at_rest(server)
            await pump_all(links, [[link.report(f"{what}-{n}") for n in range(each)] for link in links], 40)
            found[what] = (await _at_rest(server) - memory) / 1024 * 10_000 / (each * len(links))
    return found


@asynccontextmanager
async def _warm(root: Path, folder: Path) -> AsyncIterator[tuple[Server, list[RawSocket]]]:
    """A server and the connections of some hosts, which have had a few alerts already."""
    await trio.Path(folder).mkdir()
    server = Server(folder, max_open_alerts_per_host=0)
    server.root = root
    await away(server.start)
    try:
        async with connected(server, await enrolled(server, HOSTS, "memory")) as links:
            await pump_all(links, [[link.report(f"warm-{n}") for n in range(10)] for link in links], 10)
            yield server, links
        server.must_live()
    finally:
        await away(server.kill)


async def _at_rest(server: Server) -> int:
    await rest(server)
    return await away(partial(own_memory_kib, server.pid))
