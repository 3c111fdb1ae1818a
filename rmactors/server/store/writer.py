"""The one connection that writes, and the transaction around a batch of commits.

Synchronous and without a clock of its own: the store actor runs it in a thread, command lines run it as it is.
"""

import logging
import sqlite3
from collections.abc import Sequence
from typing import Any

from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
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
from rmactors.server.store.transaction import (
    HANDLERS,
    PROOF,
    SAVE_NUMBER,
    DuplicateWrite,
    RefusedWrite,
    StaleWrite,
    Transaction,
    Wakeups,
)

_log = logging.getLogger(__name__)


class Writer:
    """Applies batches of commits, each batch in one transaction, each commit in a savepoint of its own."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._cache: dict[str, Any] = {}

    def apply(self, batch: Sequence[tuple[Write, ...]]) -> tuple[list[Answer], Wakeups]:
        """One answer for each commit, in order, and whom to wake. Where the transaction fails, all are Failed.

        Never raises sqlite3.Error: a full disk or a lock is an answer.
        """
        wakeups = Wakeups()
        execute = self._connection.execute
        numbers: dict[str, int] = {}
        try:
            execute("BEGIN IMMEDIATE")
            answers = [self._one(writes, wakeups, numbers) for writes in batch]
            for channel_id, number in numbers.items():
                execute(SAVE_NUMBER, (number, channel_id))
            execute("COMMIT")
        except sqlite3.Error as error:
            self._cache.clear()
            self._roll_back()
            _log.debug("commit of %d requests failed: %s", len(batch), error)
            return [Failed(str(error))] * len(batch), Wakeups()
        return answers, wakeups

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

    def _one(self, writes: tuple[Write, ...], wakeups: Wakeups, numbers: dict[str, int]) -> Answer:
        transaction = Transaction(self._connection, self._cache, numbers)
        execute = self._connection.execute
        execute("SAVEPOINT one")
        try:
            answered = [HANDLERS[type(write)](transaction, write) for write in writes]
            execute("RELEASE one")
        except RefusedWrite as refused:
            answer: Answer = Refused(refused.code, str(refused))
        except StaleWrite as stale:
            answer = Stale(str(stale))
        except DuplicateWrite:
            answer = Duplicate()
        except sqlite3.IntegrityError as error:
            # The schema said no to something that the code above it should have caught.
            _log.exception("the database refused %s", ", ".join(type(write).__name__ for write in writes))
            answer = Refused("invalid", str(error))
        else:
            wakeups.merge(transaction.wake)
            return Committed(tuple([result for result in answered if result is not None]))
        self._cache.clear()
        execute("ROLLBACK TO one")
        execute("RELEASE one")
        return answer

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error as error:  # SQLite has rolled back on its own, as it does when the disk is full
                _log.debug("rollback: %s", error)

    def close(self) -> None:
        """Close the connection; SQLite folds the WAL into the database."""
        self._connection.close()
