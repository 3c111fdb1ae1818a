"""What the code of the store asks of a database, whichever engine it is, and the errors that it may get.

The SQL is written once, for both engines: see `engines`.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

Value = str | bytes | int | float | None
Parameters = Sequence[Any] | Mapping[str, Any]


class Row(Protocol):
    """One row: its values by place and by name."""

    def __getitem__(self, key: Any, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...


class Rows(Protocol):
    """What a statement gave back. `rowcount` is how many rows a change touched."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> list[Any]: ...
    def __iter__(self) -> Iterator[Any]: ...


class Database(Protocol):
    """A connection, or a transaction of the writer: both are asked the same way."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Rows: ...
    def executemany(self, sql: str, parameters: Any, /) -> object: ...


class Sent(Rows, Protocol):
    """A statement that was sent ahead."""

    def wait(self) -> object: ...


class Session(Database, Protocol):
    """A connection to PostgreSQL, as the store knows it; `engines.postgres` has it."""

    patience: float

    def send(self, sql: str, parameters: Any = ..., /) -> Sent: ...
    def sync(self) -> None: ...

    @property
    def in_transaction(self) -> bool: ...
    def begin_writing(self) -> None: ...
    def begin_alone(self) -> None: ...
    def take_time(self, lock_seconds: float) -> None: ...
    def begin_reading(self) -> None: ...
    def end(self, how: Literal["COMMIT", "ROLLBACK"]) -> None: ...
    def close(self) -> None: ...


Connection = sqlite3.Connection | Session


class PostgresError(Exception):
    """PostgreSQL said no, or could not be asked. `sqlstate` is None where it was the connection."""

    def __init__(self, message: str, sqlstate: str | None = None) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


NO_ANSWER: Final = "no answer for"
"""Begins what is said, with the seconds, where PostgreSQL was waited for in vain."""


class PostgresIntegrityError(PostgresError):
    """The schema said no: a CHECK, a key, a NULL."""


DatabaseError: Final = (sqlite3.Error, PostgresError)
"""For `except`: whatever an engine raises."""
IntegrityError: Final = (sqlite3.IntegrityError, PostgresIntegrityError)
