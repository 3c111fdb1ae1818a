"""What many ask at the same time is read in one go, and each gets what was true after they asked."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest
import trio
import trio.testing

from rmactors.server.state.host import PendingWork
from rmactors.server.store.database import Database, DatabaseError
from rmactors.server.store.load_hosts import load_pending_work
from rmactors.server.store.place import Place
from rmactors.server.store.read_together import AT_ONCE, ReadTogether
from rmactors.server.store.reader import Reader
from tests.store.ledger import Ledger


class Counted(Reader):
    """`reads` counts those that were begun."""

    reads = 0

    async def run(self, query: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.reads += 1
        return await super().run(query, *args, **kwargs)


class SlowQuery:
    """Tells that the first read has begun, and holds it until `go_on` is set."""

    def __init__(self) -> None:
        self.began, self.go_on = trio.Event(), threading.Event()

    def __call__(self, connection: Database, host_id: str) -> PendingWork:
        work = load_pending_work(connection, host_id)
        trio.from_thread.run_sync(self.began.set)
        assert self.go_on.wait(30)
        return work


@pytest.fixture
def reader(ledger: Ledger, place: Place) -> Iterator[Counted]:
    with closing(Counted(place)) as opened:
        yield opened


@asynccontextmanager
async def running(asked: ReadTogether[str, PendingWork]) -> AsyncIterator[trio.Nursery]:
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(asked.run)
            async with trio.open_nursery() as askers:
                yield askers
            nursery.cancel_scope.cancel()


async def test_all_who_ask_while_something_is_read_are_answered_by_the_next_reads(
    ledger: Ledger, reader: Counted
) -> None:
    hosts = [ledger.host(f"nas{number}") for number in range(5)]
    found: list[tuple[str, str | None]] = []
    query = SlowQuery()
    asked = ReadTogether(reader, query)

    async def ask(host: str) -> None:
        found.append((host, (await asked.read(host)).token_hash))

    async with running(asked) as askers:
        askers.start_soon(ask, hosts[0])
        await query.began.wait()
        for number in range(2 * AT_ONCE):
            askers.start_soon(ask, hosts[number % 5])
        await trio.testing.wait_all_tasks_blocked()
        query.go_on.set()
    assert reader.reads == 3
    assert len(found) == 1 + 2 * AT_ONCE
    assert set(found) == {(host, f"hash of {host}") for host in hosts}


async def test_who_asks_after_a_change_sees_it_though_an_older_read_goes_on(ledger: Ledger, reader: Counted) -> None:
    host, query = ledger.host(), SlowQuery()
    asked = ReadTogether(reader, query)
    found: dict[str, int] = {}

    async def ask(who: str) -> None:
        found[who] = (await asked.read(host)).schedules_rev

    async with running(asked) as askers:
        askers.start_soon(ask, "before")
        await query.began.wait()
        ledger.schedule(host)
        askers.start_soon(ask, "after")
        await trio.testing.wait_all_tasks_blocked()
        query.go_on.set()
    assert found["after"] == found["before"] + 1


async def test_a_key_that_cannot_be_read_is_no_trouble_of_those_who_ask_with_it(
    ledger: Ledger, reader: Counted
) -> None:
    good, bad = ledger.host("good"), ledger.host("bad")
    slow = SlowQuery()
    results: list[object] = []

    def query(connection: Database, host_id: str) -> PendingWork:
        if host_id == bad:
            raise ValueError("what is stored cannot be read")
        return slow(connection, host_id)

    asked = ReadTogether(reader, query)

    async def ask(host: str) -> None:
        try:
            results.append((await asked.read(host)).token_hash)
        except ValueError as error:
            results.append(str(error))

    async with running(asked) as askers:
        askers.start_soon(ask, good)
        await slow.began.wait()
        for host in (good, bad, good):
            askers.start_soon(ask, host)
        await trio.testing.wait_all_tasks_blocked()
        slow.go_on.set()
    assert sorted(map(str, results)) == sorted([*[f"hash of {good}"] * 3, "what is stored cannot be read"])


async def test_each_is_told_that_the_database_cannot_be_read(ledger: Ledger, reader: Counted) -> None:
    def query(connection: Database, host_id: str) -> PendingWork:
        connection.execute("SELECT 1 FROM no_such_table")
        raise AssertionError

    asked = ReadTogether(reader, query)
    told: list[str] = []

    async def ask() -> None:
        with pytest.raises(DatabaseError) as raised:
            await asked.read("a host")
        told.append(str(raised.value))

    async with running(asked) as askers:
        for _ in range(3):
            askers.start_soon(ask)
    assert len(told) == 3
    assert all("no_such_table" in said for said in told)


async def test_who_asks_and_leaves_keeps_nobody_else_waiting(ledger: Ledger, reader: Counted) -> None:
    host, query = ledger.host(), SlowQuery()
    asked = ReadTogether(reader, query)
    found: list[str | None] = []

    async def ask(scope: trio.CancelScope) -> None:
        with scope:
            found.append((await asked.read(host)).token_hash)

    async with running(asked) as askers:
        scopes = [trio.CancelScope() for _ in range(3)]
        askers.start_soon(ask, scopes[0])
        await query.began.wait()
        for scope in scopes[1:]:
            askers.start_soon(ask, scope)
        await trio.testing.wait_all_tasks_blocked()
        scopes[0].cancel()
        scopes[1].cancel()
        query.go_on.set()
    assert found == [f"hash of {host}"]
