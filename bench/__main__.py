"""`python -m bench`: measure a real server process on this machine, and print the table of what it must reach."""

import os
import platform
import resource
import sqlite3
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import click
import trio

from bench import (
    agent,
    commits,
    fleet,
    kinds,
    lists,
    looking,
    measures,
    memory,
    month,
    pages,
    peers,
    scrape,
    storm,
    tick,
    traffic,
)
from bench.figures import Figure, table
from bench.measures import FULL, QUICK, SHORT, Scale
from harness.processes import Server, away
from harness.sink import open_sink

PARTS = ("intake", "idle", "delivery", "fleet", "agent", "looking", "pages", "tick")
LONG = ("commits", "memory", "month", "lists", "peers", "scrape", "storm", "traffic", "unseen")
"""Only where they are asked for."""


async def _intake(server: Server, scale: Scale, report: Callable[[Figure], None]) -> None:
    credentials = await measures.intake(server, scale, report)
    await measures.page(server, scale, credentials[0], report)


async def _delivery(server: Server, scale: Scale, report: Callable[[Figure], None]) -> None:
    async with open_sink() as sink:
        credentials = await measures.latency(server, sink, scale, report)
        await measures.flow(server, sink, scale, credentials, report)
        await measures.outage(server, sink, scale, credentials, report)
        await kinds.slack(server, sink, scale, credentials, report)


async def _fleet(server: Server, scale: Scale, report: Callable[[Figure], None]) -> None:
    async with open_sink() as sink:
        await fleet.hold(server, sink, scale, report)


async def _unseen(server: Server, scale: Scale, report: Callable[[Figure], None]) -> None:
    """The same fleet without anybody who looks on: what the difference is, those cost the acks."""
    async with open_sink() as sink:
        await fleet.hold(server, sink, scale, report, onlookers=False)


async def measure(parts: tuple[str, ...], scale: Scale, folder: Path, before: str | None = None) -> list[Figure]:
    figures: list[Figure] = []

    def report(figure: Figure) -> None:
        figures.append(figure)
        click.echo(f"  {figure.measure}: {figure.value:.2f} {figure.unit}  {figure.verdict}", err=True)

    work: dict[str, Callable[[Server, Scale, Callable[[Figure], None]], Awaitable[None]]] = {
        "intake": _intake,
        "idle": measures.idle,
        "delivery": _delivery,
        "fleet": _fleet,
        "unseen": _unseen,
        "agent": agent.rest,
        "looking": looking.measure,
        "pages": pages.measure,
    }
    for part in parts:
        if part == "tick":
            hosts, schedules = (300, 1_000) if scale is QUICK else (30_000, 100_000)
            await tick.measure(folder, hosts, schedules, report)
            continue
        if part == "month":
            await month.measure(folder, 30 if scale is QUICK else 1_000, report)
            continue
        if part == "commits":
            commits.measure(folder, 300 if scale is QUICK else 8_000, 1 if scale is QUICK else 3, report)
            continue
        if part == "memory":
            some, rounds = (memory.QUICK, 1) if scale is QUICK else (memory.Amounts(), 3)
            await memory.measure(folder / part, before, rounds, some, report)
            continue
        if part == "peers":
            amounts, rounds = (peers.QUICK, 1) if scale is QUICK else (peers.Amounts(), 3)
            await peers.measure(folder / part, before, rounds, amounts, report)
            continue
        if part == "storm":
            hosts, spooled = (20, 5) if scale is QUICK else (10_000, 20)
            await storm.measure(folder / part, before, hosts, spooled, report)
            continue
        if part == "scrape":
            await scrape.measure(folder / part, 100 if scale is QUICK else 10_000, scale.pages, report)
            continue
        if part == "traffic":
            hosts, seconds = (20, 10) if scale is QUICK else (200, 120 if scale is FULL else 60)
            await traffic.measure(folder / part, hosts, seconds, report)
            continue
        if part == "lists":
            await lists.measure(folder, 300 if scale is QUICK else 10_000, 3 if scale is QUICK else 30, report)
            continue
        server = Server(folder / part, max_open_alerts_per_host=0)  # a few hosts raise what a large fleet would
        try:
            await away(server.start)
            await work[part](server, scale, report)
            server.must_live()
        finally:
            if server.running:
                server.kill()
    return figures


@click.command()
@click.option(
    "--part", "parts", type=click.Choice(PARTS + LONG), multiple=True, help="Only this part; may be repeated."
)
@click.option("--full", is_flag=True, help="Larger numbers; takes some ten minutes.")
@click.option("--quick", is_flag=True, help="Tiny numbers, only to see that the measurements work.")
@click.option(
    "--before",
    metavar="REV",
    help="For the parts memory, peers and storm: an earlier revision that is measured beside it.",
)
def main(parts: tuple[str, ...], full: bool, quick: bool, before: str | None) -> None:
    """Measure a real server on this machine, load and receiver beside it."""
    scale = FULL if full else QUICK if quick else SHORT
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # a socket for each agent, here and in the server
    with tempfile.TemporaryDirectory() as folder:
        figures = trio.run(measure, parts or PARTS, scale, Path(folder), before)
    click.echo(
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}, {platform.system()} {platform.release()}\n"
    )
    click.echo(table(figures))
    sys.exit(any(figure.verdict == "BELOW" for figure in figures) and not quick)


main()
