"""How a spool's database comes to be open: on disk, as a copy in memory, or in memory from the start.

Owns the tables. Every function raises sqlite3.Error and OSError as they come.
"""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import quote

from rmactors.common import clock

log = logging.getLogger(__name__)

_BUSY_SECONDS: Final = 15.0

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reports (
  seq INTEGER PRIMARY KEY AUTOINCREMENT,
  job_id TEXT NOT NULL,
  event TEXT NOT NULL CHECK (event IN ('job_started', 'job_finished')),
  frame TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS reports_by_job ON reports (job_id, event);
CREATE TABLE IF NOT EXISTS jobs (n INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS unfinished (
  job_id TEXT PRIMARY KEY, owner TEXT NOT NULL, started TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS marks (
  schedule_id TEXT PRIMARY KEY, definition TEXT NOT NULL, slot INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS logs (n INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL, frame TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS logs_by_job ON logs (job_id);
CREATE TABLE IF NOT EXISTS aside (
  n INTEGER PRIMARY KEY AUTOINCREMENT, host_id TEXT NOT NULL, is_log INTEGER NOT NULL CHECK (is_log IN (0, 1)),
  job_id TEXT NOT NULL, frame TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS jobs_of_others (job_id TEXT PRIMARY KEY, host_id TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""


def open_or_create(file: Path) -> sqlite3.Connection:
    """The database, to be written. One that is none is put aside."""
    try:
        return _open(file)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise
        log.error("%s is damaged (%s): it is put aside, and a new one begun", file, error)
        put_aside(file)
        return _open(file)


def put_aside(file: Path) -> None:
    """Out of the way, and kept: something in it may still be read by somebody."""
    aside = file.with_name(f"{file.name}.broken-{clock.now()}")
    os.replace(file, aside)
    log.error("%s is %s now", file, aside)
    for rest in ("-wal", "-shm"):
        file.with_name(file.name + rest).unlink(missing_ok=True)


def is_sound(file: Path) -> bool:
    """Whether SQLite finds nothing wrong in it: somebody else may have put the damaged one aside already."""
    try:
        with closing(sqlite3.connect(_address(file, "rw"), uri=True, timeout=_BUSY_SECONDS)) as db:
            (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
            return bool(found == "ok")
    except sqlite3.DatabaseError as error:
        return isinstance(error, sqlite3.OperationalError)


def open_in_memory() -> sqlite3.Connection:
    """With empty tables."""
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA cache_size=-256")
    _make_tables(db)
    return db


def copy_into_memory(file: Path) -> sqlite3.Connection:
    """What is in a file that cannot be written.

    SQLite wants to write beside the file even where it only reads. If that fails, and nothing waits in the
    write-ahead log, the file alone is read: nobody else has it open, or SQLite would find what it needs.
    """
    db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    try:
        _copy(file, db)
        _make_tables(db)  # an older agent's may lack some
    except BaseException:
        db.close()
        raise
    return db


def _copy(file: Path, to: sqlite3.Connection) -> None:
    address = _address(file, "ro")
    try:
        with closing(sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS)) as source:
            source.backup(to)
    except sqlite3.OperationalError:
        log_file = file.with_name(file.name + "-wal")
        if log_file.exists() and log_file.stat().st_size:
            raise
        with closing(sqlite3.connect(f"{address}&immutable=1", uri=True)) as source:
            source.backup(to)


def _address(file: Path, mode: str) -> str:
    return f"file:{quote(os.fsencode(os.path.abspath(file)))}?mode={mode}"


def _open(file: Path) -> sqlite3.Connection:
    os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite's own default is 0644
    db = sqlite3.connect(file, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA cache_size=-256")
        _make_tables(db)
    except BaseException:
        db.close()
        raise
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    # executescript would commit a transaction that another process waits for half-way: one by one instead
    for statement in filter(str.strip, _TABLES.split(";")):
        db.execute(statement)
