"""The second factor: its secret, its codes, and how wrong ones are counted."""

from rmactors.server.messages.second_factors import (
    CodeWasWrong,
    SetSecondFactor,
    SpendCode,
    SpendRecoveryCode,
    Tries,
    TryCode,
)
from rmactors.server.store import audit, guesses
from rmactors.server.store.accounts import require_user
from rmactors.server.store.passkeys import has_passkeys
from rmactors.server.store.secret_rows import require_live_key
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def set_second_factor(tx: Transaction, write: SetSecondFactor) -> None:
    require_user(tx, write.user_id)
    require_live_key(tx, write.secret)
    tx.execute(
        "UPDATE users SET totp_secret = ?, totp_last_step = ? WHERE id = ?",
        (write.secret, write.step if write.secret is not None else None, write.user_id),
    )
    if write.secret is not None or not has_passkeys(tx, write.user_id):
        tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", (write.user_id,))
    for code_hash in write.recovery_hashes:
        tx.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, ?)", (write.user_id, code_hash))
    tx.execute("DELETE FROM code_tries WHERE user_id = ?", (write.user_id,))
    tx.execute("DELETE FROM sessions WHERE user_id = ? AND id <> ?", (write.user_id, write.keep_session or ""))
    audit.append(tx, write.audit)


@handles
def try_code(tx: Transaction, write: TryCode) -> Tries:
    """Counted before the code is looked at: however many come at once, none is free."""
    known = tx.row(
        "SELECT in_a_row, last_at FROM code_tries WHERE user_id = ? AND kind = ?", (write.user_id, write.kind)
    )
    before = known["in_a_row"] if known is not None else 0
    if known is not None and (wait := guesses.wait(before, known["last_at"], write.at)):
        raise RefusedWrite("too_early", str(wait))
    session = tx.row(
        "UPDATE sessions SET tried_codes = tried_codes + 1 WHERE id = ? AND user_id = ? AND second_factor = 0"
        " AND tried_codes < ? RETURNING tried_codes",
        (write.session_id, write.user_id, guesses.IN_A_SESSION),
    )
    if session is None:
        raise RefusedWrite("ended", "this sign-in has ended")
    tx.execute(
        "INSERT INTO code_tries (user_id, kind, in_a_row, last_at) VALUES (?, ?, 1, ?)"
        " ON CONFLICT (user_id, kind) DO UPDATE SET in_a_row = code_tries.in_a_row + 1, last_at = excluded.last_at",
        (write.user_id, write.kind, write.at),
    )
    return Tries(before + 1, session["tried_codes"])


@handles
def code_was_wrong(tx: Transaction, write: CodeWasWrong) -> None:
    if write.ends_session is not None:
        tx.execute("DELETE FROM sessions WHERE id = ?", (write.ends_session,))
    audit.append(tx, write.audit)
    if write.alarm is not None:
        tx.execute(
            "UPDATE code_tries SET alarmed = ?, alarmed_at = ? WHERE user_id = ? AND kind = ?",
            (write.in_a_row, write.at, write.user_id, write.kind),
        )
        audit.append(tx, write.alarm)
        tx.wake.topics.add("users")


@handles
def spend_code(tx: Transaction, write: SpendCode) -> None:
    spent = tx.changed(
        "UPDATE users SET totp_last_step = ? WHERE id = ? AND totp_secret IS NOT NULL"
        " AND (totp_last_step IS NULL OR totp_last_step < ?)",
        (write.step, write.user_id, write.step),
    )
    if not spent:
        raise RefusedWrite("spent", "this code was used already; wait for the next one")
    _was_right(tx, write.user_id, "totp")


@handles
def spend_recovery_code(tx: Transaction, write: SpendRecoveryCode) -> None:
    spent = tx.changed(
        "UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at IS NULL",
        (write.at, write.user_id, write.code_hash),
    )
    if not spent:
        raise RefusedWrite("spent", "this is no unused recovery code")
    _was_right(tx, write.user_id, "recovery")


def _was_right(tx: Transaction, user_id: str, kind: str) -> None:
    """The row of wrong ones ends. That administrators were notified stays: it may have been found by trying."""
    tx.execute("UPDATE code_tries SET in_a_row = 0 WHERE user_id = ? AND kind = ?", (user_id, kind))
