"""The store actor on a real database that cannot be written for a while: what /healthz is told, and for how long."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pytest
import trio

from rmactors.common import clock
from rmactors.server.actors.store import actor as store
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, ask_store
from rmactors.server.store.place import Place
from rmactors.server.store.transaction import Wakeups
from tests.actors.works import until
from tests.store.ledger import Ledger

Trouble = Callable[[Ledger], AbstractContextManager[None]]


@contextmanager
def read_only(ledger: Ledger) -> Iterator[None]:
    """Transactions begin and end, and nothing can be written in them: as on a full disk, or one that is read-only. A
    PostgreSQL that another one has replaced is so."""
    if isinstance(ledger.connection, sqlite3.Connection):
        writing = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
        ledger.connection.set_authorizer(
            lambda action, *_: sqlite3.SQLITE_DENY if action in writing else sqlite3.SQLITE_OK
        )
        yield
        ledger.connection.set_authorizer(None)
        return
    name = ledger.value("SELECT current_database()")
    ledger.connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    ledger.rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user"
        " AND datname = current_database() AND pid <> pg_backend_pid()"
    )
    try:
        yield
    finally:
        ledger.connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")


@contextmanager
def locked(ledger: Ledger) -> Iterator[None]:
    with ledger.locked():
        yield


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    with closing(Ledger(place, busy_seconds=0.01)) as opened:
        yield opened


@pytest.mark.parametrize("trouble", [read_only, locked])
async def test_the_store_is_failing_until_a_changed_row_is_on_disk(ledger: Ledger, trouble: Trouble) -> None:
    mailbox: Mailbox[Commit] = Mailbox("store", 10)
    state = store.StoreState()
    woken: list[Wakeups] = []

    async def commit(*writes: object) -> Answer:
        answer = await ask_store(mailbox, *writes)
        await trio.testing.wait_all_tasks_blocked(0.02)
        return answer

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, mailbox, lambda: ledger.writer, woken.append, state)
        assert isinstance(await commit(Pulse(clock.now())), Committed)
        assert state.failing is None
        with trouble(ledger):
            assert isinstance(await commit(Pulse(clock.now())), Failed)
            at = state.committed_at
            for _ in range(2):
                await commit()
                assert state.failing is not None, "a commit of nothing puts nothing on the disk"
            assert state.committed_at == at
        assert isinstance(await commit(), Committed)  # the disk takes writes again, and it looks for itself
        await until(lambda: state.failing is None)
        nursery.cancel_scope.cancel()
