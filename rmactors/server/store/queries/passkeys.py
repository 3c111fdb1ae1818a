"""Reads of passkeys."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass

from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import columns, read


@dataclass(frozen=True, slots=True)
class Passkey:
    """What a signature is checked against. `credential_id` in base64url, `public_key` in COSE form."""

    id: str
    user_id: str
    credential_id: str
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class PasskeyRow:
    id: str
    name: str
    created_at: int
    last_used_at: int | None


def any_passkey(db: Database) -> bool:
    """Whether anybody here has one."""
    return db.execute("SELECT 1 FROM passkeys LIMIT 1").fetchone() is not None


def of_user(db: Database, user_id: str) -> list[PasskeyRow]:
    """The oldest first."""
    return read(
        PasskeyRow,
        db.execute(
            f"SELECT {columns(PasskeyRow)} FROM passkeys WHERE user_id = ? ORDER BY created_at, id", (user_id,)
        ).fetchall(),
    )


def credential_ids(db: Database, user_id: str) -> list[str]:
    """Of a user's passkeys, in base64url."""
    found = db.execute("SELECT credential_id FROM passkeys WHERE user_id = ? ORDER BY created_at, id", (user_id,))
    return [row[0] for row in found]


def by_credential(db: Database, credential_id: str) -> Passkey | None:
    if "\0" in credential_id:  # it comes as it was sent, and PostgreSQL takes no such text
        return None
    row = db.execute(f"SELECT {columns(Passkey)} FROM passkeys WHERE credential_id = ?", (credential_id,)).fetchone()
    return Passkey(*row) if row is not None else None
