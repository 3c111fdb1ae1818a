"""The store actor on a real file that cannot be written for a while: what /healthz is told, and for how long."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
import trio

from rmactors.common import clock
from rmactors.server.actors.store import actor as store
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, ask_store
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate
from rmactors.server.store.transaction import Wakeups
from rmactors.server.store.writer import Writer
from tests.actors.works import until

Trouble = Callable[[Path, sqlite3.Connection], AbstractContextManager[None]]


@contextmanager
def read_only(_: Path, mine: sqlite3.Connection) -> Iterator[None]:
    """Transactions begin and end, and nothing can be written in them: as on a full disk, or one that is read-only."""
    writing = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
    mine.set_authorizer(lambda action, *_: sqlite3.SQLITE_DENY if action in writing else sqlite3.SQLITE_OK)
    yield
    mine.set_authorizer(None)


@contextmanager
def locked(path: Path, _: sqlite3.Connection) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("trouble", [read_only, locked])
async def test_the_store_is_failing_until_a_changed_row_is_on_disk(tmp_path: Path, trouble: Trouble) -> None:
    path = tmp_path / "rm.db"
    with closing(connect(path)) as first:
        migrate(first)
    mine = connect(path, busy_seconds=0.01)
    mailbox: Mailbox[Commit] = Mailbox("store", 10)
    state = store.StoreState()
    woken: list[Wakeups] = []

    async def commit(*writes: object) -> Answer:
        answer = await ask_store(mailbox, *writes)
        await trio.testing.wait_all_tasks_blocked(0.02)
        return answer

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.run, mailbox, lambda: Writer(mine), woken.append, state)
        assert isinstance(await commit(Pulse(clock.now())), Committed)
        assert state.failing is None
        with trouble(path, mine):
            assert isinstance(await commit(Pulse(clock.now())), Failed)
            at = state.committed_at
            for _ in range(2):
                await commit()
                assert state.failing is not None, "a commit of nothing puts nothing on the disk"
            assert state.committed_at == at
        assert isinstance(await commit(), Committed)  # the disk takes writes again, and it looks for itself
        await until(lambda: state.failing is None)
        nursery.cancel_scope.cancel()
