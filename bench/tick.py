"""What a tick of the rules costs when nothing is due: the real rules and store actors over a large fleet.

In this process, because a tick is too short to be seen from outside.
"""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from statistics import median

import trio

from bench.figures import Figure
from rmactors.common import clock, ids
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.actors.store import actor as store
from rmactors.server.config.settings import Settings
from rmactors.server.messages.requests import HostReturned, Request, Tick
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.offline import prepare
from rmactors.server.store.reader import Reader
from rmactors.server.store.writer import Writer

TICKS = 50


def _fleet(database: Path, hosts: int, schedules: int) -> list[str]:
    """Hosts that have said hello, and daily schedules spread over them."""
    now = clock.now()
    host_ids = [ids.new() for _ in range(hosts)]
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO hosts (id, name, name_key, hostname, os, arch, agent_version, enrolled_at, first_hello_at,"
            " last_seen_at) VALUES (?, ?, ?, '', '', '', '', ?, ?, ?)",
            [(host_id, f"h{n}", f"h{n}", now, now, now) for n, host_id in enumerate(host_ids)],
        )
        connection.executemany(
            "INSERT INTO schedules (id, host_id, name, kind, cron, timezone, enabled, mode, grace_seconds,"
            " max_runtime_seconds, on_partial, params, created_at, anchor_at)"
            " VALUES (?, ?, ?, 'backup', ?, 'Europe/Berlin', 1, 'agent', 0, 86400, 'alert', '{}', ?, ?)",
            [
                (ids.new(), host_ids[n % hosts], f"s{n}", f"{n % 60} {n // 60 % 24} * * *", now, now)
                for n in range(schedules)
            ],
        )
    return host_ids


async def measure(folder: Path, hosts: int, schedules: int, report: Callable[[Figure], None]) -> None:
    """Reports the median and the longest of the ticks, in milliseconds."""
    database = prepare(Settings(data_dir=str(folder / "tick")))
    host_ids = _fleet(database, hosts, schedules)
    inbox: Mailbox[Request | rules.Answered] = Mailbox("rules", hosts + 10)
    to_store: Mailbox[Commit] = Mailbox("store", 1024)
    timing = Timing(clock.now(), 0, 300.0)
    took: list[float] = []
    committed = store.StoreState()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, to_store, lambda: Writer(connect(database)), lambda _: None, committed)
        nursery.start_soon(rules.run, inbox, to_store, Reader(database), timing, rules.RulesState())
        for host_id in host_ids:
            inbox.offer(HostReturned(host_id, clock.now()))
        while len(inbox):
            await trio.lowlevel.checkpoint()
        for _ in range(TICKS):
            began, before = time.perf_counter(), committed.requests
            inbox.offer(Tick(clock.now()))
            while committed.requests == before:
                await trio.lowlevel.checkpoint()
            took.append((time.perf_counter() - began) * 1000)
        nursery.cancel_scope.cancel()
    note = f"{hosts:,} hosts, {schedules:,} schedules, {TICKS} ticks"
    report(Figure("a tick with nothing due, median", median(took), "ms", 10, 1, note=note))
    report(Figure("a tick with nothing due, longest", max(took), "ms", note=note))
