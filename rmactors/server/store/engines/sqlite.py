"""SQLite: one file, one writer, readers beside it."""

import sqlite3
from pathlib import Path
from typing import Final

LOG_BYTES: Final = 64 << 20
"""What the write-ahead log keeps of the disk after a reader has held it back: four times what it takes as a rule."""


def connect(database: Path, *, busy_seconds: float = 5.0) -> sqlite3.Connection:
    """A connection for writing: WAL, and a commit is on disk when it returns."""
    connection = sqlite3.connect(
        database, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=busy_seconds
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = 1")
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute(f"PRAGMA journal_size_limit = {LOG_BYTES}")
    return connection


def connect_read_only(database: Path) -> sqlite3.Connection:
    """A connection that cannot write. Rows come as sqlite3.Row."""
    connection = sqlite3.connect(
        f"{database.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA query_only = 1")
    connection.execute("PRAGMA busy_timeout = 5000")
    connection.execute("PRAGMA mmap_size = 268435456")
    connection.create_function("unicode_lower", 1, str.lower, deterministic=True)  # its own knows A to Z only
    return connection
