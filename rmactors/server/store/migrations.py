"""Forward-only migrations: `schema/NNNN_name.sql`, each in one transaction, never edited once released."""

import re
import sqlite3
from pathlib import Path

from rmactors.common import clock
from rmactors.server.config import resources
from rmactors.server.store import cleaning
from rmactors.server.store.transaction import atomic


class MigrationError(Exception):
    """The database cannot be brought to this version's schema. The message says what to do. Nothing was changed."""


def migrate(connection: sqlite3.Connection, schema: Path | None = None) -> list[str]:
    """Apply what is missing, in order; return the names of the files applied. Raises MigrationError."""
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migrations (number BIGINT PRIMARY KEY, name TEXT NOT NULL,"
        " applied_at BIGINT NOT NULL)"
    )
    waiting, unknown = missing(connection, schema)
    if unknown:
        raise MigrationError(
            f"the database has migration {unknown[-1]:04d}, which this version does not know: it was written by a newer"
            " version. Install that version again, or restore a backup made before the upgrade."
        )
    cleaning.register(connection)
    applied = []
    for path in waiting:
        number = int(path.name[:4])
        found = statements(path.read_text())
        with atomic(connection):
            try:
                for statement in found:
                    connection.execute(statement)
                connection.execute("INSERT INTO migrations VALUES (?, ?, ?)", (number, path.name, clock.now()))
            except sqlite3.Error as error:
                raise MigrationError(f"{path.name}: {error}") from error
        applied.append(path.name)
    return applied


def missing(connection: sqlite3.Connection, schema: Path | None = None) -> tuple[list[Path], list[int]]:
    """Files that the database lacks, in order, and numbers that it has and this version does not know."""
    scripts = {
        int(path.name[:4]): path
        for path in sorted((schema or resources.path("schema")).glob("[0-9][0-9][0-9][0-9]_*.sql"))
    }
    done = {number for (number,) in connection.execute("SELECT number FROM migrations").fetchall()}
    return [path for number, path in scripts.items() if number not in done], sorted(done - scripts.keys())


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
