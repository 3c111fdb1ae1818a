"""The way back from a backup: checked, brought to this version's schema, and put in place whole or not at all; of a
PostgreSQL, into an empty database, in one transaction.

What it replaces is kept beside it under another name. The keys in the backup come before those that are there already:
the key file then opens the restored database and the one that was replaced.
"""

import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from rmactors.common import clock
from rmactors.common.disk import sync
from rmactors.server.config import secrets
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.messages.channels import DeleteChannel
from rmactors.server.messages.second_factors import SetSecondFactor
from rmactors.server.messages.writes import Write
from rmactors.server.store import backup, copying, secret_rows
from rmactors.server.store.backup import BackupError
from rmactors.server.store.engines.sqlite import connect_read_only
from rmactors.server.store.migrations import migrate
from rmactors.server.store.writer import Writer

_SIDE_FILES = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Restored:
    """What was done. `made_at` in microseconds, None for a plain copy of `rm.db`; `replaced` is where the old
    database is now; `forgotten` names the channels and users whose secrets were given up."""

    made_at: int | None
    with_keys: bool
    migrations: tuple[str, ...]
    replaced: Path | None
    forgotten: tuple[str, ...]
    queued: int


def restore(
    file: Path, settings: Settings, at: int, *, replace: bool = False, forget_secrets: bool = False
) -> Restored:
    """Put the backup in `file` in the place of the database, or into an empty PostgreSQL. The caller holds the data
    dir's lock.

    Until everything is checked, nothing in the data dir changes. Raises BackupError, CopyError, MigrationError,
    SecretError, DatabaseError, OSError.
    """
    place, database, key_file = settings.place, settings.database, settings.key_file
    if isinstance(place, Path) and place.exists() and not replace:
        raise BackupError(f"{place} is there already; say --replace to put it aside")
    if not file.is_file():
        raise BackupError(f"{file} is not a file")
    staged = database.with_name(f"{database.name}.restoring")
    staged_key = key_file.with_name(f"{key_file.name}.restoring")
    _remove(staged)  # left by a restore that was killed
    staged_key.unlink(missing_ok=True)
    try:
        _copy(file, staged)
        with closing(backup.open_copy(staged)) as db:
            facts = backup.facts(db)
            keys = list(facts.keys) if facts else []
            db.execute("DROP TABLE IF EXISTS backup_made")
            migrations = tuple(migrate(db))
            if keys:
                known = secrets.read_keys(key_file) if key_file.exists() else []
                secrets.write_keys(staged_key, [*keys, *(raw for raw in known if raw not in keys)])
            forgotten = _forget(db, at) if forget_secrets and not keys else ()
            _require_key(db, staged_key if keys else key_file)
            detail = f"from a backup of {clock.to_rfc3339(facts.made_at)}" if facts else "from a copy"
            _commit(db, AppendAudit(_audit(at, "database.restore", "database", "", detail)))
            (queued,) = db.execute("SELECT count(*) FROM deliveries WHERE state = 'queued'").fetchone()
            if not isinstance(place, Path):
                with copying.filled(place, db):
                    _put_keys(staged_key, key_file)
        replaced = _put_in_place(staged, place, staged_key, key_file, at) if isinstance(place, Path) else None
    finally:
        _remove(staged)
        staged_key.unlink(missing_ok=True)
    return Restored(facts.made_at if facts else None, bool(keys), migrations, replaced, forgotten, queued)


def _put_in_place(staged: Path, database: Path, staged_key: Path, key_file: Path, at: int) -> Path | None:
    sync(staged)
    replaced = _put_aside(database, at) if database.exists() else None
    _put_keys(staged_key, key_file)
    os.rename(staged, database)
    sync(database.absolute().parent)
    return replaced


def _put_keys(staged_key: Path, key_file: Path) -> None:
    """Before the database that needs them: both the old one and the new one then open."""
    if staged_key.exists():
        with secrets.locked(key_file):
            os.rename(staged_key, key_file)
        sync(key_file.absolute().parent)


def _copy(file: Path, staged: Path) -> None:
    """The backup as a file of our own (0600), every page of it read and found whole."""
    backup.make_private(staged)
    try:
        with closing(connect_read_only(file)) as source, closing(backup.open_copy(staged)) as copy:
            source.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")
            backup.require_integrity(copy, file)
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{file} cannot be read as a backup: {error}") from None
    if not {"migrations", "alerts", "deliveries"} <= tables:
        raise BackupError(f"{file} is an SQLite database, but none of restic-manager's")


def _require_key(db: sqlite3.Connection, key_file: Path) -> None:
    """Raises BackupError if the database holds secrets that the key file does not open."""
    if not secret_rows.holds_secrets(db):
        return
    try:
        secret_rows.check_rows(db, SecretBox(key_file))
    except secrets.SecretError as error:
        raise BackupError(
            f"the backup holds channel settings or second factors that cannot be opened: {error} Put the key file that"
            f" was in use when the backup was made at {key_file} (mode 0600) and try again. If it is lost, say"
            " --forget-secrets: the channels and second factors concerned are given up, all else is restored."
        ) from None


def _forget(db: sqlite3.Connection, at: int) -> tuple[str, ...]:
    """Give up every channel and every second factor: their key is lost."""
    forgotten = []
    for channel_id, name in db.execute("SELECT id, name FROM channels").fetchall():
        _commit(db, DeleteChannel(channel_id, at, _audit(at, "channel.delete", "channel", channel_id, "key lost")))
        forgotten.append(f"channel {name}")
    for user_id, name in db.execute("SELECT id, username FROM users WHERE length(totp_secret) > 0").fetchall():
        lost = _audit(at, "user.second_factor_off", "user", user_id, "key lost")
        _commit(db, SetSecondFactor(user_id, None, 0, (), lost))
        forgotten.append(f"second factor of {name}")
    return tuple(forgotten)


def _commit(db: sqlite3.Connection, write: Write) -> None:
    [answer], _ = Writer(db).apply([(write,)])
    if not isinstance(answer, Committed):
        raise BackupError(f"the restored copy could not be written: {answer}")


def _audit(at: int, action: str, kind: str, target_id: str, detail: str) -> Audit:
    return Audit(at, "rmactors restore", "system", action, kind, target_id, detail=detail)


def _put_aside(database: Path, at: int) -> Path:
    """A second name for the old database. It keeps its own until the new one takes it over: no kill leaves none.

    What its log holds is folded in first; if it is damaged and that fails, the log goes along.
    """
    stamp = clock.to_datetime(at).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = database.with_name(f"{database.name}.replaced-{stamp}")
    with suppress(sqlite3.Error), closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
    try:
        os.link(database, aside)
    except OSError:  # a file system without links: for an instant there is none, should it end just here
        os.rename(database, aside)
    for suffix in _SIDE_FILES:
        beside = database.with_name(database.name + suffix)
        if beside.exists():
            os.rename(beside, aside.with_name(aside.name + suffix))
    return aside


def _remove(database: Path) -> None:
    for suffix in ("", *_SIDE_FILES):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
