"""The way of a whole database from one engine to another: `rmactors move`.

Nobody writes to either meanwhile: the caller holds the locks of data dirs, the leases of PostgreSQLs are seen to here.
The source stays as it is. The target is whole or as it was, whenever the command ends.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from rmactors.common.disk import sync
from rmactors.server.config import secrets
from rmactors.server.config.secrets import SecretBox
from rmactors.server.messages.audit import Audit
from rmactors.server.store import audit, backup, copying, secret_rows
from rmactors.server.store.copying import Copied, CopyError
from rmactors.server.store.database import Connection
from rmactors.server.store.engines.opening import connect, connect_read_only
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place
from rmactors.server.store.transaction import Transaction, atomic, begin_reading


def move(source: Place, target: Place, key_file: Path, target_key_file: Path, at: int) -> Copied:
    """Copy everything. Where the target has no key file, it gets a copy of the source's.

    Raises CopyError, BackupError, MigrationError, SecretError, DatabaseError, OSError.
    """
    if isinstance(source, Path) and not source.exists():
        raise CopyError(f"there is no database at {source}; set RM_DATA_DIR or --data-dir to the server's data dir")
    if isinstance(target, Path) and target.exists():
        raise CopyError(f"{target} is there already: name a data dir without a database")
    with _source(source) as db:
        copying.require_this_version(db)
        _require_key(db, target_key_file if target_key_file.exists() else key_file)
        row = Audit(at, "rmactors move", "system", "database.move", "database", "", detail=f"from {source}")
        if not isinstance(target, Path):
            with copying.filled(target, db) as (filled, copied):
                audit.append(Transaction(filled, {}), row)
                _copy_key(key_file, target_key_file)
            return copied
        staged = target.with_name(f"{target.name}.moving")
        _remove(staged)  # left by a move that was killed
        try:
            copied = _into_file(db, staged, row)
            _copy_key(key_file, target_key_file)
            os.rename(staged, target)
        finally:
            _remove(staged)
        sync(target.absolute().parent)
    return copied


@contextmanager
def _source(place: Place) -> Iterator[Connection]:
    """With a transaction that sees one moment, and while which no server of a PostgreSQL leads."""
    if isinstance(place, Path):
        with closing(connect_read_only(place)) as db:
            begin_reading(db)
            yield db
        return
    with closing(connect(place)) as session:
        assert not isinstance(session, sqlite3.Connection)
        copying.begin_alone(session)
        copying.numbers(session)
        yield session


def _into_file(source: Connection, staged: Path, row: Audit) -> Copied:
    backup.make_private(staged)
    with closing(backup.open_copy(staged)) as db:
        migrate(db)
        with atomic(db):
            copied = copying.copy(source, db, copying.tables())
            audit.append(Transaction(db, {}), row)
        backup.require_integrity(db, staged)
    sync(staged)
    return copied


def _require_key(db: Connection, key_file: Path) -> None:
    """The key that the target will have opens what is stored. Raises SecretError."""
    if secret_rows.holds_secrets(db):
        secret_rows.check_rows(db, SecretBox(key_file))


def _copy_key(key_file: Path, target: Path) -> None:
    if key_file.exists() and not target.exists():
        with secrets.locked(target):
            secrets.write_keys(target, secrets.read_keys(key_file))


def _remove(database: Path) -> None:
    for suffix in ("", "-journal", "-wal", "-shm"):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
