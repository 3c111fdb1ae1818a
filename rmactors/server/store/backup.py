"""A copy of the database in one file, made beside a running server, whole or not at all, from whichever engine.

The copy is a plain SQLite database of one moment, with one table more, `backup_made`, which says when it was made and
holds the keys of the stored secrets if that was asked for. `store.restoring` is the way back.
"""

import base64
import json
import os
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rmactors import __version__
from rmactors.common.disk import sync
from rmactors.server.config import secrets
from rmactors.server.config.ownership import chown_like
from rmactors.server.messages.audit import Audit
from rmactors.server.store import audit, copying, secret_rows
from rmactors.server.store.database import Connection, DatabaseError
from rmactors.server.store.engines.opening import connect, connect_read_only
from rmactors.server.store.integrity import damage
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place
from rmactors.server.store.transaction import Transaction, atomic, begin_reading


class BackupError(Exception):
    """A backup cannot be made or is not usable. The message says why and what to do; nothing was changed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a backup says of itself. `made_at` in microseconds; `keys` as in the key file, newest first, or none."""

    made_at: int
    version: str
    keys: tuple[bytes, ...]


def make(place: Place, target: Path, key_file: Path | None, at: int) -> int:
    """Copy the database to `target`, with the keys of `key_file` if one is given. Returns the size in bytes.

    What was at `target` is replaced only once the copy is whole, checked and on disk. That keys leave is in the audit
    trail before there is such a file: if it cannot be written down, there is none. Raises BackupError,
    SecretError, DatabaseError, OSError.
    """
    if isinstance(place, Path) and not place.exists():
        raise BackupError(f"there is no database at {place}; set RM_DATA_DIR or --data-dir to the server's data dir")
    if target.is_dir():
        raise BackupError(f"{target} is a folder; name a file in it")
    if isinstance(place, Path) and target.exists() and target.samefile(place):
        raise BackupError(f"{target} is the database itself; name another file")
    descriptor, name = tempfile.mkstemp(prefix=f"{target.name}.", suffix=".part", dir=target.absolute().parent)  # 0600
    os.close(descriptor)
    part = Path(name)
    try:
        with closing(connect_read_only(place)) as source, closing(open_copy(part)) as copy:
            keys = _snapshot(source, key_file)
            _copy(source, copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, which can be read where nothing may be written
            _sign(copy, at, keys)
            require_integrity(copy, part, full=False)
            if keys and key_file is not None:
                secret_rows.check_rows(copy, secrets.SecretBox(key_file))
        sync(part)
        size = part.stat().st_size
        if keys:
            _record(place, target, at)
        os.rename(part, target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    sync(target.absolute().parent)
    return size


def _copy(source: Connection, copy: sqlite3.Connection) -> None:
    """All of it on the snapshot: writers go on, and the copy never starts again."""
    if isinstance(source, sqlite3.Connection):
        source.backup(copy)
        return
    numbers = copying.numbers(source)  # it may be of an older version, and stays so: a restore brings it up
    migrate(copy, only=numbers)
    with atomic(copy):
        copying.copy(source, copy, copying.tables(numbers))


def _record(place: Place, target: Path, at: int) -> None:
    detail = f"with the key, into {str(target.absolute())[:500]}"
    row = Audit(at, "rmactors backup", "system", "database.backup", "database", "", detail=detail)
    try:
        with closing(connect(place, busy_seconds=30)) as db, atomic(db):
            audit.append(Transaction(db, {}), row)
    except DatabaseError as error:
        raise BackupError(
            f"that the key leaves cannot be written into the audit trail ({error}); one without the key can"
        ) from None


def _snapshot(source: Connection, key_file: Path | None) -> list[bytes]:
    """Begin the reading transaction, and read the keys of the same moment: no rotation comes between."""
    if key_file is None:
        _begin(source)
        return []
    if not key_file.exists() and not secret_rows.holds_secrets(source):
        _begin(source)
        return []  # a server that never started: there is no key yet, and nothing that would need one
    with secrets.locked(key_file):
        _begin(source)
        return secrets.read_keys(key_file)


def _begin(source: Connection) -> None:
    if not isinstance(source, sqlite3.Connection):
        copying.require_tables(source)
    begin_reading(source)
    source.execute("SELECT count(*) FROM migrations").fetchone()  # the snapshot is taken at the first read


def _sign(copy: sqlite3.Connection, at: int, keys: list[bytes]) -> None:
    copy.execute("CREATE TABLE backup_made (made_at BIGINT NOT NULL, version TEXT NOT NULL, secret_keys TEXT NOT NULL)")
    encoded = json.dumps([base64.b64encode(raw).decode() for raw in keys])
    copy.execute("INSERT INTO backup_made VALUES (?, ?, ?)", (at, __version__, encoded))


def facts(db: sqlite3.Connection) -> Facts | None:
    """What the copy says of itself; None for a database that `make` did not make, a copied `rm.db` say."""
    if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'backup_made'").fetchone():
        return None
    made_at, version, encoded = db.execute("SELECT made_at, version, secret_keys FROM backup_made").fetchone()
    return Facts(made_at, version, tuple(base64.b64decode(text) for text in json.loads(encoded)))


def require_integrity(db: sqlite3.Connection, file: Path, *, full: bool = True) -> None:
    """Read every page and reference, with `full` compare every index. Raises BackupError with what is wrong first."""
    if (found := damage(db, full=full)) is not None:
        raise BackupError(f"{file} is damaged: {found}")


def make_private(file: Path) -> None:
    """An empty file, 0600, that belongs to whom its folder belongs to. Raises OSError."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        chown_like(file.parent, descriptor)
    finally:
        os.close(descriptor)


def open_copy(file: Path) -> sqlite3.Connection:
    """A connection to a copy that nothing else uses. It syncs nothing by itself; what is dropped is overwritten."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA secure_delete = 1")
    connection.execute("PRAGMA foreign_keys = 1")
    return connection
