"""Reads, on connections of their own, beside the writer: SQLite's WAL lets both go on at once."""

import queue
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import trio

P = ParamSpec("P")
R = TypeVar("R")


class Reader:
    """A small pool of read-only connections, each used by one thread at a time."""

    def __init__(self, database: Path, connections: int = 4) -> None:
        self.database = database
        self._idle: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        self._limiter = trio.CapacityLimiter(connections)
        self._closed = False

    async def run(self, query: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """`query(connection, …)` in a thread, all of it on one snapshot of the database.

        Raises sqlite3.Error if the database cannot be read.
        """
        return await trio.to_thread.run_sync(lambda: self.run_here(query, *args, **kwargs), limiter=self._limiter)

    def run_here(self, query: Callable[Concatenate[sqlite3.Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """The same in the calling thread, for start-up and command lines."""
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = connect_read_only(self.database)
        try:
            connection.execute("BEGIN")
            result = query(connection, *args, **kwargs)
            connection.execute("ROLLBACK")
        except BaseException:
            connection.close()
            raise
        self._idle.put(connection)
        if self._closed:
            self.close()
        return result

    def close(self) -> None:
        """Close the connections: idle ones now, others when their query is done."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return


def connect_read_only(database: Path) -> sqlite3.Connection:
    """A connection that cannot write. Rows come as sqlite3.Row."""
    connection = sqlite3.connect(
        f"{database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA mmap_size = 268435456")
    return connection
