"""Writes from command lines, beside a server that may be running on the same data dir."""

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from rmactors.server.config.ownership import chown_like
from rmactors.server.config.settings import Settings
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.writes import Write
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate
from rmactors.server.store.writer import Writer

T = TypeVar("T")


def prepare(settings: Settings) -> Path:
    """Make the data dir (0700) and the database if they are missing, bring the schema up to date.

    Returns the database's path. Raises OSError, sqlite3.Error or MigrationError.
    """
    data_dir = Path(settings.data_dir)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    database = settings.database
    if not database.exists():
        descriptor = os.open(database, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            chown_like(data_dir, descriptor)
        finally:
            os.close(descriptor)
    connection = connect(database)
    try:
        migrate(connection)
    finally:
        connection.close()
    return database


def look_here(settings: Settings, query: Callable[[sqlite3.Connection], T]) -> T:
    """What a query finds. Raises as `commit_here`."""
    connection = connect(prepare(settings), busy_seconds=30)
    try:
        return query(connection)
    finally:
        connection.close()


def commit_here(settings: Settings, *writes: Write) -> Answer:
    """Commit the writes together from this process. A running server sees them at its next look.

    Raises OSError, sqlite3.Error or MigrationError if there is no database to be had.
    """
    writer = Writer(connect(prepare(settings), busy_seconds=30))
    try:
        answers, _ = writer.apply([writes])
    finally:
        writer.close()
    return answers[0]
