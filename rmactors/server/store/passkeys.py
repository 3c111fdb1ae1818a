"""Passkeys, their counters, and what is good once."""

from rmactors.server.messages.passkeys import AddPasskey, RemovePasskey, SpendOnce, UsePasskey
from rmactors.server.store import audit
from rmactors.server.store.accounts import require_user
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


def went_back(stored: int, counted: int) -> bool:
    """Whether a passkey's counter did not go on: then there may be a copy of it. Many never count, and say 0."""
    return (stored or counted) != 0 and counted <= stored


@handles
def add_passkey(tx: Transaction, write: AddPasskey) -> None:
    require_user(tx, write.user_id)
    if tx.row("SELECT 1 FROM passkeys WHERE credential_id = ?", (write.credential_id,)) is not None:
        raise RefusedWrite("conflict", "this passkey is registered already")
    if _count(tx, write.user_id) >= write.at_most:
        raise RefusedWrite("conflict", f"you have {write.at_most} passkeys, which is the limit; remove one first")
    tx.execute(
        "INSERT INTO passkeys (id, user_id, credential_id, public_key, sign_count, name, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            write.passkey_id, write.user_id, write.credential_id, write.public_key, write.sign_count, write.name,
            write.at,
        ),
    )  # fmt: skip
    if write.recovery_hashes:
        _forget_recovery_codes(tx, write.user_id)
        for code_hash in write.recovery_hashes:
            tx.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, ?)", (write.user_id, code_hash))
    _end_sessions(tx, write.user_id, write.keep_session)
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles
def use_passkey(tx: Transaction, write: UsePasskey) -> None:
    row = tx.row("SELECT sign_count FROM passkeys WHERE id = ?", (write.passkey_id,))
    if row is None:
        raise RefusedWrite("not_found", "this passkey was removed")
    if went_back(row["sign_count"], write.sign_count):
        raise RefusedWrite("went_back", f"its counter went from {row['sign_count']} to {write.sign_count}")
    tx.execute(
        "UPDATE passkeys SET sign_count = ?, last_used_at = ? WHERE id = ?",
        (write.sign_count, write.at, write.passkey_id),
    )


@handles
def remove_passkey(tx: Transaction, write: RemovePasskey) -> None:
    if write.keep_one and _count(tx, write.user_id) == 1:
        raise RefusedWrite("conflict", "this passkey is your only way to sign in; add another one first")
    if not tx.changed("DELETE FROM passkeys WHERE id = ? AND user_id = ?", (write.passkey_id, write.user_id)):
        raise RefusedWrite("not_found", "there is no such passkey")
    _forget_codes_for_nothing(tx, write.user_id)
    _end_sessions(tx, write.user_id, write.keep_session)
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles
def spend_once(tx: Transaction, write: SpendOnce) -> None:
    tx.execute("DELETE FROM spent_once WHERE expires_at < ?", (write.at,))
    if not tx.changed(
        "INSERT INTO spent_once (digest, expires_at) VALUES (?, ?) ON CONFLICT (digest) DO NOTHING",
        (write.digest, write.expires_at),
    ):
        raise RefusedWrite("spent", "this was used already")


def has_passkeys(tx: Transaction, user_id: str) -> bool:
    """Whether a user has any."""
    return _count(tx, user_id) > 0


def _count(tx: Transaction, user_id: str) -> int:
    row = tx.row("SELECT count(*) AS n FROM passkeys WHERE user_id = ?", (user_id,))
    return int(row["n"]) if row is not None else 0


def _forget_codes_for_nothing(tx: Transaction, user_id: str) -> None:
    """Recovery codes stand in for a second factor: without one there are none."""
    code = tx.row("SELECT 1 FROM users WHERE id = ? AND totp_secret IS NOT NULL", (user_id,))
    if code is None and not has_passkeys(tx, user_id):
        _forget_recovery_codes(tx, user_id)


def _forget_recovery_codes(tx: Transaction, user_id: str) -> None:
    tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))


def _end_sessions(tx: Transaction, user_id: str, but: str | None) -> None:
    tx.execute("DELETE FROM sessions WHERE user_id = ? AND id <> ?", (user_id, but or ""))
