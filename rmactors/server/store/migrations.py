"""Forward-only migrations: `schema/NNNN_name.sql`, each in one transaction, never edited once released."""

import logging
import re
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from rmactors.common import clock
from rmactors.server.config import resources
from rmactors.server.store import cleaning
from rmactors.server.store.database import Connection, Database, DatabaseError, PostgresError, Session
from rmactors.server.store.engines import postgres_sql
from rmactors.server.store.transaction import atomic, end

_log = logging.getLogger(__name__)


class MigrationError(Exception):
    """The database cannot be brought to this version's schema. The message says what to do. Nothing was changed."""


_FUNCTIONS: Final = "postgresql.sql"


_TABLE: Final = (
    "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)"
)
_JUST_MADE: Final = {"23505", "42710", "42P07"}
"""What PostgreSQL answers the slower of two nodes that start at once: the faster one's row of the catalogue, the type
of its rows or the table itself is there, IF NOT EXISTS or not."""
_LOCK_NOT_AVAILABLE: Final = "55P03"
_PATIENCE_SECONDS: Final = 6 * 3600.0
"""A single statement of an upgrade may go through all of a large table."""


def migrate(connection: Connection, schema: Path | None = None, only: Iterable[int] | None = None) -> list[str]:
    """Apply what is missing, in order, or of that these numbers `only`; return the names of the files applied. Raises
    MigrationError."""
    try:
        connection.execute(_TABLE)
    except PostgresError as error:
        if error.sqlstate not in _JUST_MADE:
            raise
    waiting = to_apply(connection, schema)
    if only is not None:
        wanted = set(only)
        waiting = [path for path in waiting if _number(path) in wanted]
    if isinstance(connection, sqlite3.Connection):
        cleaning.register(connection)
        for path in waiting:
            with atomic(connection):
                _apply(connection, path, statements(path.read_text()))
    elif waiting:
        _all_at_once(connection, waiting)
    return [path.name for path in waiting]


def to_apply(connection: Database, schema: Path | None = None) -> list[Path]:
    """Files that the database lacks, in order. Raises MigrationError if a newer version wrote it."""
    waiting, unknown = missing(connection, schema)
    if unknown:
        raise MigrationError(written_by_newer(unknown))
    return waiting


def written_by_newer(unknown: list[int]) -> str:
    """What to say of a database that has these migrations, which this version does not know."""
    return (
        f"the database was written by a newer version (schema {unknown[-1]:04d}): install that version again, or"
        " restore a backup made before the upgrade"
    )


def migrate_within(connection: Session) -> None:
    """The same in the transaction that is open on a PostgreSQL. Raises MigrationError, DatabaseError."""
    connection.execute(_TABLE)
    connection.execute("LOCK TABLE migrations IN ACCESS EXCLUSIVE MODE")
    if waiting := to_apply(connection, None):
        _apply_all(connection, waiting)


def _all_at_once(connection: Session, waiting: list[Path]) -> None:
    """PostgreSQL takes all of them in one transaction, and only one node at a time."""
    _log.info("the schema of the database is brought up to %s; with large tables this takes a while", waiting[-1].stem)
    usual, connection.patience = connection.patience, _PATIENCE_SECONDS
    try:
        connection.begin_alone()
        try:
            _apply_all(connection, waiting)
            end(connection, "COMMIT")
        except BaseException:
            if connection.in_transaction:
                end(connection, "ROLLBACK")
            raise
        # Plans for empty tables are kept for long: what a table holds is looked at once it holds something.
        connection.execute("ANALYZE")
    except PostgresError as error:
        raise _held(error) or error from None
    finally:
        connection.patience = usual


def _apply_all(connection: Session, waiting: list[Path]) -> None:
    left, _ = missing(connection, waiting[0].parent)  # another node may have been faster
    for statement in postgres_sql.statements((waiting[0].parent / _FUNCTIONS).read_text()):
        connection.execute(statement)
    for path in left:
        _apply(connection, path, postgres_sql.statements(path.read_text()))
    connection.execute(
        "INSERT INTO leader (name, epoch, until_at) VALUES ('server', 0, 0) ON CONFLICT (name) DO NOTHING"
    )
    connection.execute("INSERT INTO turn (name, number) VALUES ('server', 0) ON CONFLICT (name) DO NOTHING")


def _apply(connection: Connection, path: Path, found: Iterable[str]) -> None:
    try:
        for statement in found:
            connection.execute(statement)
        connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (_number(path), path.name, clock.now()))
    except DatabaseError as error:
        raise _held(error) or MigrationError(f"{path.name}: {error}") from error


def _held(error: Exception) -> MigrationError | None:
    """What to do where another session kept a table to itself for too long."""
    if isinstance(error, PostgresError) and error.sqlstate == _LOCK_NOT_AVAILABLE:
        return MigrationError(
            "the schema cannot be brought up to date, as another session keeps a table of the database locked. End it"
            " (`SELECT pid, query FROM pg_stat_activity` shows it: another node at its upgrade, or a client in an open"
            " transaction), and start again"
        )
    return None


def missing(connection: Database, schema: Path | None = None) -> tuple[list[Path], list[int]]:
    """Files that the database lacks, in order, and numbers that it has and this version does not know."""
    known = {_number(path): path for path in scripts(schema)}
    done = {number for (number,) in connection.execute("SELECT number FROM migrations").fetchall()}
    return [path for number, path in known.items() if number not in done], sorted(done - known.keys())


def scripts(schema: Path | None = None) -> list[Path]:
    """Every migration of this version, in order."""
    return sorted((schema or resources.path("schema")).glob("[0-9][0-9][0-9][0-9]_*.sql"))


def _number(path: Path) -> int:
    return int(path.name[:4])


def statements(script: str) -> list[str]:
    """The script's statements, each on lines of its own. SQLite's tokenizer says where one ends."""
    found, pending = [], ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            found.append(pending.strip())
            pending = ""
    rest = re.sub(r"--[^\n]*", "", pending).strip()
    if rest:
        raise MigrationError(f"a statement has no end: {rest[:60]!r}")
    return found
