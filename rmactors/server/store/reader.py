"""Reads, on connections of their own, beside the writer: both engines let both go on at once."""

import logging
import queue
from collections.abc import Awaitable, Callable
from typing import Concatenate, ParamSpec, TypeVar

import trio

from rmactors.server.store.database import Connection, Database, DatabaseError, PostgresError
from rmactors.server.store.engines.opening import connect_read_only
from rmactors.server.store.place import Place
from rmactors.server.store.transaction import begin_reading, end

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class Reader:
    """A small pool of read-only connections, each used by one thread at a time."""

    def __init__(self, database: Place, connections: int = 4) -> None:
        self.database = database
        self._idle: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self._limiter = trio.CapacityLimiter(connections)
        self._closed = False

    async def run(self, query: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`query(connection, …)` in a thread, all of it on one snapshot of the database.

        Raises DatabaseError if the database cannot be read.
        """
        return await trio.to_thread.run_sync(lambda: self.run_here(query, *args, **kwargs), limiter=self._limiter)

    async def run_if_readable(
        self, query: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R | None:
        """None, and a line in the log, where the database cannot be read."""
        return await if_readable(self.run(query, *args, **kwargs))

    def run_here(self, query: Callable[Concatenate[Database, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same in the calling thread, for start-up and command lines."""
        connection = self._begun()
        try:
            result = query(connection, *args, **kwargs)
            end(connection, "ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        if self._closed:
            self.close()
        return result

    def _begun(self) -> Connection:
        """A connection of the pool with its transaction open. One of PostgreSQL's may have broken while nobody used it:
        then all have, and a new one is opened."""
        while True:
            try:
                connection = self._idle.get_nowait()
                pooled = True
            except queue.Empty:
                connection = connect_read_only(self.database)
                pooled = False
            try:
                begin_reading(connection)
            except PostgresError:
                connection.close()
                if not pooled:
                    raise
                continue
            except BaseException:
                connection.close()
                raise
            return connection

    def close(self) -> None:
        """Close the connections: idle ones now, others when their query is done."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return


async def if_readable(reading: Awaitable[R]) -> R | None:
    """None, and a line in the log, where the database cannot be read."""
    try:
        return await reading
    except DatabaseError as error:
        _log.warning("the database cannot be read: %s", error)
        return None
