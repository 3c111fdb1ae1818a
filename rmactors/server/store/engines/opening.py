"""A connection, or a writer, of whichever engine has the database."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from rmactors.server.messages.answers import Answer
from rmactors.server.messages.writes import Write
from rmactors.server.store.database import Connection, PostgresError
from rmactors.server.store.engines import sqlite
from rmactors.server.store.place import Place, PostgresUrl
from rmactors.server.store.transaction import Wakeups
from rmactors.server.store.writer import Writer

if TYPE_CHECKING:
    from rmactors.server.store.engines.postgres import Session


class BatchWriter(Protocol):
    """What the store actor holds."""

    def apply(self, batch: Sequence[tuple[Write, ...]]) -> tuple[list[Answer], Wakeups]: ...
    def prove(self) -> str | None: ...
    def close(self) -> None: ...


def open_writer(
    place: Place, *, busy_seconds: float = 5.0, turn: int | None = None, require_sync: bool = False
) -> BatchWriter:
    """The writer of a database. `turn`: of the node that leads; another than the database's is refused.
    `require_sync`: so is what waits for no standby. Raises DatabaseError."""
    if isinstance(place, Path):
        return Writer(sqlite.connect(place, busy_seconds=busy_seconds))
    from rmactors.server.store.engines.postgres_writer import PostgresWriter

    return PostgresWriter(_opener(place, busy_seconds), turn, require_sync=require_sync)


def connect(place: Place, *, busy_seconds: float = 5.0, patience: float | None = None) -> Connection:
    """A connection for command lines and starts, which read and write. `patience`: seconds that a PostgreSQL may take
    to answer. Raises DatabaseError."""
    if isinstance(place, Path):
        return sqlite.connect(place, busy_seconds=busy_seconds)
    return _opener(place, busy_seconds, patience)()


def connect_read_only(place: Place) -> Connection:
    """A connection that reads. Raises DatabaseError."""
    return sqlite.connect_read_only(place) if isinstance(place, Path) else _opener(place)()


def _opener(place: PostgresUrl, busy_seconds: float = 5.0, patience: float | None = None) -> Callable[[], "Session"]:
    try:
        from rmactors.server.store.engines.postgres import PATIENCE, Session
    except ImportError:
        raise PostgresError(
            "what speaks to PostgreSQL is not installed here: pip install 'rmactors[postgresql]'"
        ) from None
    return lambda: Session(place.url, busy_seconds=busy_seconds, patience=patience or PATIENCE)
