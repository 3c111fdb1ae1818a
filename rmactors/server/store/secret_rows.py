"""Every sealed value in the database: which rows hold one, whether it opens, and its move to a new key.

Synchronous; used at start-up and by `rmactors keys rotate`, on a connection of its own beside a running server.
Sealing and opening belong to `rmactors.server.config.secrets`; this module knows the tables.
"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rmactors.common.clock import MINUTE
from rmactors.server.config import secrets
from rmactors.server.config.secrets import SecretBox, SecretError, key_id_of
from rmactors.server.messages.audit import Audit
from rmactors.server.store import audit, leadership
from rmactors.server.store.database import Connection, Database
from rmactors.server.store.transaction import StaleWrite, Transaction, atomic

RETIRED: Final = "retired_secret_keys"
"""Name of the fact that lists, as JSON, the ids of keys under which nothing may be written any more."""

_BATCH: Final = 50
"""Rows re-encrypted in one transaction: a few milliseconds, so that a running server hardly waits."""
_ALL: Final = 1 << 62
"""As a LIMIT: none. PostgreSQL takes no negative one."""


@dataclass(frozen=True, slots=True)
class _Column:
    """A column of sealed values. `page` takes (id, limit), `update` (sealed, id)."""

    what: str
    associated: str
    some: str
    page: str
    update: str


_COLUMNS: Final = (
    _Column(
        what="channel",
        associated="notification-channel:",
        some="SELECT 1 FROM channels WHERE length(config) > 0 LIMIT 1",
        page="SELECT id, config FROM channels WHERE id > ? AND length(config) > 0 ORDER BY id LIMIT ?",
        update="UPDATE channels SET config = ? WHERE id = ?",
    ),
    _Column(
        what="second factor of user",
        associated="totp:",
        some="SELECT 1 FROM users WHERE length(totp_secret) > 0 LIMIT 1",
        page="SELECT id, totp_secret FROM users WHERE id > ? AND length(totp_secret) > 0 ORDER BY id LIMIT ?",
        update="UPDATE users SET totp_secret = ? WHERE id = ?",
    ),
)


def holds_secrets(connection: Database) -> bool:
    """Whether any row holds a sealed value, so that its key must be there."""
    return any(connection.execute(column.some).fetchone() for column in _COLUMNS)


def open_box(connection: Database, key_file: Path) -> SecretBox:
    """The box for this database, every row of it tried: what a start-up calls.

    A missing key file is made only if the database holds nothing that needs the old one. Raises SecretError.
    """
    if not key_file.exists() and holds_secrets(connection):
        raise SecretError(
            f"the key file {key_file} is missing, and the database holds secrets sealed under it. Put it back from the"
            " backup, or point RM_SECRET_KEY_FILE to it. (To start without: delete the channels and second factors.)"
        )
    SecretBox.load_or_create(key_file)
    return checked_box(connection, key_file)


def checked_box(connection: Database, key_file: Path) -> SecretBox:
    """The same of a key file that is there; nothing is made. Raises SecretError."""
    box = SecretBox(key_file)
    box.retire(retired(connection))
    if box.current_key_id in retired(connection):
        raise SecretError(
            f"the key file {key_file} holds a key that `rmactors keys rotate` has replaced. Put back the file that the"
            " rotation wrote; if no stored secret is left that needs it, delete the file and a new one is made."
        )
    check_rows(connection, box)
    return box


def check_rows(connection: Database, box: SecretBox) -> int:
    """Open every stored secret; returns how many there are. Raises SecretError, naming the first that does not open."""
    count = 0
    for column in _COLUMNS:
        for row_id, sealed in connection.execute(column.page, ("", _ALL)):
            try:
                box.open(sealed, column.associated + row_id)
            except SecretError as error:
                raise SecretError(f"{column.what} {row_id}: {error}") from None
            count += 1
    return count


def require_live_key(tx: Transaction, sealed: bytes | None) -> None:
    """Refuse, as stale, a value sealed under a key that a rotation has retired since: seal it again.

    Whatever writes a sealed value calls this in its transaction. Without it, a value sealed just before a rotation
    and committed just after would need a key that is gone.
    """
    if sealed and key_id_of(sealed).hex() in _retired(tx):
        raise StaleWrite("the secret was sealed under a key that was rotated out meanwhile; seal it again")


def rotate(connection: Connection, key_file: Path, at: int) -> int:
    """Put a new key in front of the file, move every row to it, drop the old keys. Returns the number of rows.

    Each step leaves file and database so that every row opens: the old keys leave the file only after the last row
    that needs them has left the database, on disk. Interrupted, it is finished by the next call. Raises
    SecretError, DatabaseError or OSError.
    """
    with secrets.locked(key_file):
        old = secrets.read_keys(key_file)
        check_rows(connection, SecretBox(key_file))  # before anything changes: no row is left behind
        new = os.urandom(secrets.KEY_BYTES)
        secrets.write_keys(key_file, [new, *old])
        box = SecretBox(key_file)
        _retire(connection, [secrets.key_id(raw).hex() for raw in old])
        return _move_all(connection, box, new, at)


def add_key(key_file: Path) -> str:
    """Put a new key into the file, behind the one that seals: nothing needs it yet. Returns its id.

    Raises SecretError, or OSError.
    """
    with secrets.locked(key_file):
        keys = secrets.read_keys(key_file)
        if len(keys) > 1:
            raise SecretError(
                f"the key file {key_file} holds a second key already: copy the file to every node, then run"
                " `rmactors keys rotate`"
            )
        new = os.urandom(secrets.KEY_BYTES)
        secrets.write_keys(key_file, [*keys, new])
    return secrets.key_id(new).hex()


def rotate_to_added(connection: Connection, key_file: Path, at: int) -> int:
    """Move every row to the key that `add_key` put into the file, which every node must have. Returns the number of
    rows.

    The same promises as `rotate`. Other nodes go on with both keys in their files: they are told which of them are
    retired. Raises SecretError, DatabaseError or OSError.
    """
    with secrets.locked(key_file):
        keys, gone = secrets.read_keys(key_file), retired(connection)
        live = [raw for raw in keys if secrets.key_id(raw) not in gone]
        if len(keys) < 2 or not live:
            raise SecretError(
                f"other nodes need the new key first: run `rmactors keys add`, copy {key_file} to every node, then run"
                " `rmactors keys rotate` again"
            )
        new = live[-1]
        check_rows(connection, SecretBox(key_file))
        lacking = [node.name for node in leadership.recent(connection) if secrets.key_id(new).hex() not in node.keys]
        if lacking:
            raise SecretError(
                f"the new key is not in the key file of {', '.join(lacking)}: copy {key_file} there, and try again in"
                f" ten seconds. A node that is gone counts for {leadership.RECENT // MINUTE} minutes."
            )
        _retire(connection, [secrets.key_id(raw).hex() for raw in keys if raw != new])
        box = SecretBox(key_file)
        box.retire(retired(connection))
        return _move_all(connection, box, new, at)


def _move_all(connection: Connection, box: SecretBox, new: bytes, at: int) -> int:
    """Every row to the key that seals now; then it is the only one in the file."""
    moved = sum(_move_rows(connection, box, column) for column in _COLUMNS)
    check_rows(connection, box)
    _record(connection, at, moved)
    secrets.write_keys(box.path, [new])
    return moved


def retired(db: Database) -> frozenset[bytes]:
    """The ids of keys under which nothing may be written any more."""
    return frozenset(bytes.fromhex(key_id) for key_id in _retired(db))


def _retired(db: Database | Transaction) -> list[str]:
    row = db.execute("SELECT value FROM facts WHERE name = ?", (RETIRED,)).fetchone()
    found: list[str] = json.loads(row[0]) if row is not None else []
    return found


def _retire(connection: Connection, key_ids: list[str]) -> None:
    """From this commit on, nothing sealed under these keys is taken: what `_move_rows` sees is all there will be."""
    with atomic(connection):
        connection.execute(
            "INSERT INTO facts (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            (RETIRED, json.dumps(sorted({*_retired(connection), *key_ids}))),
        )


def _move_rows(connection: Connection, box: SecretBox, column: _Column) -> int:
    """Seal every row of the column under the newest key, in short transactions. Returns how many were moved."""
    moved, last = 0, ""
    while True:
        with atomic(connection):
            rows = connection.execute(column.page, (last, _BATCH)).fetchall()
            for row_id, sealed in rows:
                if key_id_of(sealed) != box.current_key_id:
                    where = column.associated + row_id
                    connection.execute(column.update, (box.seal(box.open(sealed, where), where), row_id))
                    moved += 1
        if len(rows) < _BATCH:
            return moved
        last = rows[-1][0]


def _record(connection: Connection, at: int, moved: int) -> None:
    with atomic(connection):
        audit.append(
            Transaction(connection, {}),
            Audit(at, "keys rotate", "system", "key.rotate", "key", "", detail=f"{moved} secrets sealed again"),
        )
