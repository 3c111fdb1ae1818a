"""Every row of one database in another, whichever engines they are: what backups, restores and moves share.

The tables, their columns and the order in which rows find the ones that they point to are those of SQLite at the same
schema: both engines are made by the same scripts. The rows of `leader` and `nodes` are not copied: they are about the
place, not about what is kept there.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from rmactors.common import clock
from rmactors.server.store.database import Connection, Database, PostgresError, Sent, Session
from rmactors.server.store.engines import postgres_facts
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import (
    MigrationError,
    migrate,
    migrate_within,
    missing,
    to_apply,
    written_by_newer,
)
from rmactors.server.store.place import PostgresUrl

_log = logging.getLogger(__name__)

OF_THE_PLACE: Final = ("leader", "turn", "nodes")
LEFT_BY_A_START: Final = ("migrations", "facts", "setup_tokens", *OF_THE_PLACE)
"""Tables in which a server that was started once, and used by nobody, leaves rows. They do not count as something."""

_LOCK_SECONDS: Final = 10.0
_READ_ROWS: Final = 500
_WRITTEN_VALUES: Final = 1_000
"""Of one INSERT: more rows in one are hardly faster, and longer texts."""
_AHEAD: Final = 32
"""INSERTs sent before their answers are read."""


class CopyError(Exception):
    """Rows cannot be copied, or must not be. The message says why and what to do; the target is as it was."""


class UnknownEnd(Exception):
    """The connection broke while all was being committed: the target is as it was, or whole."""


@dataclass(frozen=True, slots=True)
class Table:
    """`columns` in the order of the schema."""

    name: str
    columns: tuple[str, ...]

    @property
    def named(self) -> str:
        return ", ".join(self.columns)


@dataclass(frozen=True, slots=True)
class Copied:
    tables: int
    rows: int


def tables(numbers: Iterable[int] | None = None) -> list[Table]:
    """What is copied, in an order in which the rows that others point to come first. `numbers`: of the migrations that
    the schema is made of; else this version's."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as db:
        migrate(db, only=numbers)
        names = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        points_to = {
            name: {row[2] for row in db.execute(f"PRAGMA foreign_key_list({name})")} - {name} for name in names
        }
        columns = {name: tuple(row[1] for row in db.execute(f"PRAGMA table_info({name})")) for name in names}
    found: list[str] = []
    while waiting := [name for name in names if name not in found]:
        ready = [name for name in waiting if points_to[name] <= set(found)]
        assert ready, f"rows of {', '.join(waiting)} point at each other"
        found += ready
    return [Table(name, columns[name]) for name in found if name not in OF_THE_PLACE]


def copy(source: Database, target: Connection, what: Iterable[Table]) -> Copied:
    """All rows, into tables that are empty but for what a start leaves. The caller has a transaction open on both.

    Raises CopyError, DatabaseError.
    """
    what = list(what)
    for table in reversed(what):
        if table.name in LEFT_BY_A_START:
            target.execute(f"DELETE FROM {table.name}")  # noqa: S608 - the schema's own names, here and below
    count = 0
    for table in what:
        found = _read(source, table)
        write = _to_sqlite if isinstance(target, sqlite3.Connection) else _to_postgres
        count += write(found, target, table)
    return Copied(len(what), count)


# ---- reading


def _read(db: Database, table: Table) -> Iterator[tuple[Any, ...]]:
    query = f"SELECT {table.named} FROM {table.name}"  # noqa: S608
    if isinstance(db, sqlite3.Connection):
        cursor = db.cursor()
        cursor.row_factory = None
        yield from cursor.execute(query)
        return
    db.execute(f"DECLARE rows_of_{table.name} NO SCROLL CURSOR FOR {query}")
    while rows := db.execute(f"FETCH {_READ_ROWS} FROM rows_of_{table.name}").fetchall():
        yield from rows
    db.execute(f"CLOSE rows_of_{table.name}")


# ---- writing


def _to_sqlite(rows: Iterator[tuple[Any, ...]], db: Any, table: Table) -> int:
    count = 0
    while found := list(islice(rows, _READ_ROWS)):
        db.executemany(_insert(table, 1), found)
        count += len(found)
    (arrived,) = db.execute(f"SELECT count(*) FROM {table.name}").fetchone()  # noqa: S608
    return _all_arrived(table, count, arrived)


def _to_postgres(rows: Iterator[tuple[Any, ...]], db: Any, table: Table) -> int:
    """Many rows in one INSERT, many INSERTs in one flight."""
    each = max(1, _WRITTEN_VALUES // len(table.columns))
    count = arrived = 0
    sent: list[Sent] = []
    try:
        while found := list(islice(rows, each)):
            if len(found) == each:
                sent.append(db.send(_insert(table, each), [value for row in found for value in row]))
            else:
                sent += [db.send(_insert(table, 1), row) for row in found]
            count += len(found)
            if len(sent) >= _AHEAD:
                arrived += _answered(db, sent)
        arrived += _answered(db, sent)
    except PostgresError as error:
        raise CopyError(f"PostgreSQL does not take a row of {table.name}: {error}") from None
    return _all_arrived(table, count, arrived)


def _answered(db: Session, sent: list[Sent]) -> int:
    """How many rows they have put there."""
    db.sync()
    arrived = sum(result.rowcount for result in sent)
    sent.clear()
    return arrived


def _all_arrived(table: Table, count: int, arrived: int) -> int:
    if arrived != count:
        raise CopyError(f"{count} rows of {table.name} were copied, and {arrived} arrived")
    return count


def _insert(table: Table, rows: int) -> str:
    marks = f"({', '.join('?' * len(table.columns))})"
    return f"INSERT INTO {table.name} ({table.named}) VALUES {', '.join([marks] * rows)}"  # noqa: S608


# ---- a PostgreSQL as source and as target


def require_tables(db: Session) -> None:
    """Raises CopyError, DatabaseError."""
    if not postgres_facts.read(db, clock.now).has_tables:
        raise CopyError("there is no database of restic-manager's in it yet")


def numbers(db: Session) -> list[int]:
    """Of the migrations that the database has, in the transaction in which it is to be read. Raises CopyError,
    DatabaseError."""
    db.execute("SET LOCAL synchronize_seqscans = off")  # rows in the order in which they lie
    db.take_time(_LOCK_SECONDS)
    _, unknown = missing(db)
    if unknown:
        raise CopyError(written_by_newer(unknown))
    return [number for (number,) in db.execute("SELECT number FROM migrations").fetchall()]


def begin_alone(db: Session) -> None:
    """A transaction that sees one moment, on a database where no node leads, and none begins to until its end.

    Raises CopyError, DatabaseError.
    """
    require_tables(db)
    db.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    db.take_time(_LOCK_SECONDS)
    _require_no_leader(db)


@contextmanager
def filled(place: PostgresUrl, source: Database) -> Iterator[tuple[Session, Copied]]:
    """An empty database with the rows of the source, which has this version's schema, and the connection on which that
    is not committed yet: it is at the end of the block, or nothing has happened.

    Raises CopyError, UnknownEnd, MigrationError, DatabaseError.
    """
    with closing(connect(place)) as db:
        assert not isinstance(db, sqlite3.Connection)
        if wrong := list(postgres_facts.unfit(postgres_facts.read(db, clock.now))):
            raise CopyError("; ".join(wrong))
        db.execute("BEGIN")
        db.take_time(_LOCK_SECONDS)
        migrate_within(db)
        _require_no_leader(db)
        what = tables()
        _require_empty(db, place, what)
        copied = copy(source, db, what)
        yield db, copied
        _commit(db)


def _commit(db: Session) -> None:
    try:
        db.end("COMMIT")
    except PostgresError as error:
        if error.sqlstate is not None:  # it said no
            raise
        raise UnknownEnd(str(error)) from None
    try:
        db.execute("ANALYZE")  # plans for empty tables are kept for long
    except PostgresError as error:
        _log.warning("the tables were not analyzed, which PostgreSQL does by itself later: %s", error)


def _require_no_leader(db: Session) -> None:
    db.execute("SELECT number FROM turn WHERE name = 'server' FOR UPDATE")
    found = postgres_facts.leader(db)
    if found.leads:
        raise CopyError(f"the node {found.node} leads on that database: stop every node first")


def _require_empty(db: Session, place: PostgresUrl, what: Iterable[Table]) -> None:
    for table in what:
        if table.name in LEFT_BY_A_START:
            continue
        if db.execute(f"SELECT 1 FROM {table.name} LIMIT 1").fetchone() is not None:  # noqa: S608
            raise CopyError(
                f"{place} holds rows already (in {table.name}): make an empty database, and name that one; none is"
                " emptied here"
            )


def require_this_version(db: Database) -> None:
    """Raises MigrationError where the schema is another than this version's."""
    if waiting := to_apply(db):
        raise MigrationError(
            f"the database is of an older version (without {waiting[0].stem}): start this version's server on it once"
        )
