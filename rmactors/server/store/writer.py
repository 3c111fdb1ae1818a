"""The one connection that writes, and the transaction around a batch of commits.

Synchronous and without a clock of its own: the store actor runs it in a thread, command lines run it as it is.
"""

import logging
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

from rmactors.server.messages.answers import Answer, Committed, Failed, Refused
from rmactors.server.messages.writes import Write
from rmactors.server.store import (  # noqa: F401 - for their handlers
    accounts,
    alerts,
    audit,
    channel_trouble,
    channels,
    digests,
    enrollment,
    facts,
    hosts,
    jobs,
    made_tokens,
    outbox,
    passkeys,
    policies,
    provided_users,
    repositories,
    retention,
    schedules,
    second_factors,
    silences,
    status_pages,
)
from rmactors.server.store.ahead import LEAVES
from rmactors.server.store.batch_end import BatchEnd
from rmactors.server.store.transaction import (
    HANDLERS,
    PROOF,
    DuplicateWrite,
    RefusedWrite,
    StaleWrite,
    Transaction,
    Wakeups,
    answer_to,
)

_log = logging.getLogger(__name__)

_One = Callable[[tuple[Write, ...], Wakeups, BatchEnd], Answer]
_REFUSALS: Final = (RefusedWrite, StaleWrite, DuplicateWrite, sqlite3.IntegrityError)


class _HalfDone(Exception):
    """A commit was refused after it had changed something."""


class Writer:
    """Applies batches of commits, each batch in one transaction, each commit all or not at all.

    A savepoint for each costs more than all else, because SQLite keeps a copy of every page that is changed after it.
    So there are none at first. A commit that is refused before it changed anything needs none; where one had, which is
    rare, the batch is done again with them.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cache: dict[str, Any] = {}

    def apply(self, batch: Sequence[tuple[Write, ...]]) -> tuple[list[Answer], Wakeups]:
        """One answer for each commit, in order, and whom to wake. Where the transaction fails, all are Failed.

        Never raises sqlite3.Error: a full disk or a lock is an answer.
        """
        try:
            try:
                return self._transact(batch, self._one)
            except _HalfDone:
                self._cache.clear()
                self._roll_back()
                return self._transact(batch, self._one_saved)
        except sqlite3.Error as error:
            self._cache.clear()
            self._roll_back()
            _log.debug("commit of %d requests failed: %s", len(batch), error)
            return [Failed(str(error))] * len(batch), Wakeups()

    def prove(self) -> str | None:
        """Put one changed row on the disk, and nothing else. None if it is there, else what the database said.

        That a transaction ended well says little: one that changes no page writes nothing, and so ends well on a full
        disk and on a file system that takes no writes.
        """
        try:
            self._connection.execute(PROOF)
        except sqlite3.Error as error:
            self._roll_back()
            return str(error)
        return None

    def _transact(self, batch: Sequence[tuple[Write, ...]], one: _One) -> tuple[list[Answer], Wakeups]:
        wakeups = Wakeups()
        execute = self._connection.execute
        end = BatchEnd()
        execute("BEGIN IMMEDIATE")
        answers = [one(writes, wakeups, end) for writes in batch]
        for sql, parameters in end.statements():
            execute(sql, parameters)
        execute("COMMIT")
        return answers, wakeups

    def _one(self, writes: tuple[Write, ...], wakeups: Wakeups, end: BatchEnd) -> Answer:
        """Raises _HalfDone."""
        before = self._connection.total_changes
        try:
            return self._committed(writes, wakeups, end)
        except _REFUSALS as error:
            if self._connection.total_changes != before:
                raise _HalfDone from None
            self._cache.clear()
            return _answer(writes, error)

    def _one_saved(self, writes: tuple[Write, ...], wakeups: Wakeups, end: BatchEnd) -> Answer:
        execute = self._connection.execute
        execute("SAVEPOINT one")
        try:
            answer: Answer = self._committed(writes, wakeups, end)
        except _REFUSALS as error:
            self._cache.clear()
            execute("ROLLBACK TO one")
            answer = _answer(writes, error)
        execute("RELEASE one")
        return answer

    def _committed(self, writes: tuple[Write, ...], wakeups: Wakeups, end: BatchEnd) -> Committed:
        if not (leaves := LEAVES.issuperset(map(type, writes))):
            end.looked.clear()
        transaction = Transaction(self._connection, self._cache, end)
        try:
            answered = [HANDLERS[type(write)](transaction, write) for write in writes]
        finally:
            if not leaves:  # also where it is undone
                end.looked.clear()
        wakeups.merge(transaction.wake)
        return Committed(tuple([result for result in answered if result is not None]))

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:  # SQLite has rolled back on its own, as it does when the disk is full
                _log.debug("rollback: %s", error)

    def close(self) -> None:
        """Close the connection; SQLite folds the WAL into the database."""
        self._connection.close()


def _answer(writes: tuple[Write, ...], error: Exception) -> Answer:
    match error:
        case RefusedWrite() | StaleWrite() | DuplicateWrite():
            return answer_to(error)
        case _:  # the schema said no to something that the code above it should have caught
            names = ", ".join(type(write).__name__ for write in writes)
            _log.error("the database refused %s", names, exc_info=error)
            return Refused("invalid", str(error))
