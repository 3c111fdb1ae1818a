"""A fleet, held for a while: whole simulated agents with heartbeats and backups, some of which fail, one webhook.

What is measured is whether anything gets lost or slow over time, and what holding them costs. The agents are those
of `rmactors simulate`, in this process; they cost it more than they cost the server.
"""

import math
import os
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial

import click
import trio

from bench import readers
from bench.figures import Figure
from bench.load import enrolled
from bench.measures import Scale, queue_empty, rest
from bench.process import cpu_seconds, own_memory_kib, percentile, seconds_short_of_cores
from harness.accounts import account_of
from harness.processes import Server, away
from harness.sink import Sink
from rmactors.server.runtime import garbage
from rmactors.simulate.fleet import Fleet, Workload

FAIL_RATE = 0.05
REPORTS_A_HOST = 1 / 200
"""Reports a second and host: a backup, two reports, every 400 s, much more often than anybody's."""
FEWEST_REPORTS = 20.0
"""A second: so that a small fleet says something too."""
CONNECTS_PER_SECOND = 200.0
LOOK_SECONDS = 5.0
CALM = 2
"""Reports that wait for their ack when the measurement begins, at most."""

Outcomes = dict[tuple[str, str], list[str]]
"""By host id and plan."""


async def hold(
    server: Server, sink: Sink, scale: Scale, report: Callable[[Figure], None], *, onlookers: bool = True
) -> None:
    """Enroll, connect, hold for `scale.fleet_seconds`, and settle accounts: reports against jobs against webhooks.

    `onlookers`: with five open tabs and a scrape every 15 s.
    """
    count = scale.fleet_agents
    await away(partial(server.webhook, sink.url("/fleet"), name="fleet"))
    credentials = await enrolled(server, count, "fleet")
    await rest(server)
    memory = own_memory_kib(server.pid)
    outcomes: Outcomes = defaultdict(list)
    seen = readers.Seen()
    workload = Workload(max(FEWEST_REPORTS, count * REPORTS_A_HOST), FAIL_RATE, CONNECTS_PER_SECOND)
    fleet = Fleet(
        server.agent_url,
        credentials,
        workload,
        on_outcome=lambda host_id, plan, outcome: outcomes[host_id, plan].append(outcome),
    )
    garbage.start()  # ten thousand agents are many objects of this process, too: its own stops are not the server's
    async with trio.open_nursery() as nursery:
        nursery.start_soon(fleet.run)
        nursery.start_soon(garbage.keep, lambda: fleet.connected)
        await _until_connected(fleet, count)
        await _until_calm(fleet)
        if onlookers:
            nursery.start_soon(readers.look_on, server, seen)
        before = fleet.take_window()
        cpu, own_cpu, began = cpu_seconds(server.pid), cpu_seconds(os.getpid()), time.monotonic()
        short = seconds_short_of_cores()
        fewest = await _look_on(fleet, scale.fleet_seconds)
        seconds = time.monotonic() - began
        short = seconds_short_of_cores() - short
        cpu, own_cpu = cpu_seconds(server.pid) - cpu, cpu_seconds(os.getpid()) - own_cpu
        grown = own_memory_kib(server.pid) - memory
        window = fleet.take_window()
        fleet.stop_reporting()
        await fleet.settled(60)
        online = await away(lambda: _online(server))
        nursery.cancel_scope.cancel()
    await queue_empty(server)

    note = f"of {count:,}, looked at every {LOOK_SECONDS:g} s for {seconds:.0f} s; 30 s heartbeats"
    report(Figure("agents connected, the fewest", fewest, "", count, count, "more", note))
    report(Figure("hosts that the server shows online at the end", online, "", count, count, "more"))
    report(Figure("connections lost and made again", fleet.reconnects, "", 0, 0))
    refused = sum(fleet.total.refused.values())
    note = f"of {fleet.total.sent:,}, {before.sent:,} of them while the fleet connected; {refused} refused"
    report(Figure("reports without an ack at the end", fleet.waiting + refused, "", 0, 0, note=note))
    report(Figure("reports taken in", window.acked / seconds, "/s", note=f"{FAIL_RATE:.0%} of the backups fail"))
    report(
        Figure("report → ack, p50", window.percentile(0.5), "ms", note="both reports of a run, the agents' own CPU in")
    )
    note = f"beside a scrape every 15 s and {len(readers.TABS)} open tabs" if onlookers else "nobody looks on"
    report(Figure("report → ack, p99", window.percentile(0.99), "ms", note=note))
    for what, took in (("a scrape of /metrics", seen.scrapes), ("what an open tab fetches", seen.fetches)):
        if took:
            note = f"p50 of {len(took)}, longest {max(took):.0f} ms"
            report(Figure(f"{what} meanwhile", percentile(took, 0.5), "ms", note=note))
    await _settle(server, outcomes, sink, report)
    report(Figure("CPU of the server", cpu / seconds * 100, "% of a core", note=f"{cpu:.1f} s in {seconds:.0f} s"))
    report(Figure("CPU of the fleet beside it", own_cpu / seconds * 100, "% of a core", note=f"{own_cpu:.1f} s"))
    note = "where much of it was others' work, the fleet is late by itself: see report → ack, and connections lost"
    report(Figure("time in which somebody waited for a core", short / seconds * 100, "%", note=note))
    note = f"{grown / 1024:.0f} MiB anonymous memory more than before they connected, jobs and alerts included"
    report(Figure("memory per held agent", grown / count, "KiB", 60, 35, note=note))


async def _until_connected(fleet: Fleet, count: int) -> None:
    with trio.fail_after(120 + 4 * count / CONNECTS_PER_SECOND):
        while fleet.connected < count:  # noqa: ASYNC110 - counted, not told
            await trio.sleep(0.1)


async def _until_calm(fleet: Fleet) -> None:
    """What was reported while the fleet connected is acked, or nearly all of it: it is not measured."""
    with trio.fail_after(120):
        while fleet.waiting > CALM:  # noqa: ASYNC110 - counted, not told
            await trio.sleep(0.1)


async def _look_on(fleet: Fleet, seconds: float) -> int:
    """Wait, and count the connected now and then; the fewest."""
    fewest, end = math.inf, trio.current_time() + seconds
    next_word = trio.current_time() + 60
    while (now := trio.current_time()) < end:
        await trio.sleep(min(LOOK_SECONDS, end - now))
        fewest = min(fewest, fleet.connected)
        if now >= next_word:
            next_word += 60
            click.echo(f"  {end - now:.0f} s to go, {fleet.connected:,} connected, {fleet.waiting} waiting", err=True)
    return int(min(fewest, fleet.connected))


def _online(server: Server) -> int:
    return sum(host["status"] == "online" for host in server.all_items("/api/hosts"))


async def _settle(server: Server, outcomes: Outcomes, sink: Sink, report: Callable[[Figure], None]) -> None:
    """The alerts are those that the outcomes make, and each of their raises and resolutions was told once.

    Restarts the server: its files are at rest while they are read.
    """
    [channel] = await away(lambda: server.all_items("/api/notifications"))
    await away(server.stop)
    told = sink.told("/fleet")
    account = await away(lambda: account_of(server.data_dir / "rm.db", outcomes, set(), {channel["id"]: told}))
    await away(server.start)
    runs = sum(map(len, outcomes.values()))
    failed = sum(ends.count("failed") for ends in outcomes.values())
    for problem in (account.wrong + account.lost)[:10]:
        click.echo(f"  {problem}", err=True)
    note = f"{runs:,} backups, {failed:,} failed; also an alert about a host or a schedule would be one"
    report(Figure("alerts that are not those of the outcomes", len(account.wrong), "", 0, 0, note=note))
    note = f"of {account.expected_deliveries:,} raises and resolutions"
    report(Figure("notifications lost or out of order", len(account.lost + account.out_of_order), "", 0, 0, note=note))
    report(Figure("notifications sent twice", account.duplicates, "", 0, 0))
