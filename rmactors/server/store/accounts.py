"""Users, their second factor, sessions and the setup token: how their writes change the tables."""

from dataclasses import replace

from rmactors.common.vocabulary import Role
from rmactors.server.messages.accounts import (
    CloseSession,
    CreateFirstUser,
    CreateSetupToken,
    CreateUser,
    DeleteUser,
    OpenSession,
    RehashPassword,
    RenewSession,
    ResetUser,
    SetTheme,
    SetTimezone,
    SweepSessions,
    TouchSession,
    UpdateUser,
    UserReset,
)
from rmactors.server.messages.audit import Audit
from rmactors.server.store import audit, made_tokens
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles

# ---- users


@handles
def create_setup_token(tx: Transaction, write: CreateSetupToken) -> None:
    if tx.row("SELECT 1 FROM users LIMIT 1") is not None:
        raise RefusedWrite("conflict", "there is a user already; log in, or use `rmactors admin create-user`")
    tx.execute("DELETE FROM setup_tokens")
    tx.execute(
        "INSERT INTO setup_tokens (token_hash, created_at, expires_at) VALUES (?, ?, ?)",
        (write.token_hash, write.at, write.expires_at),
    )


@handles
def create_first_user(tx: Transaction, write: CreateFirstUser) -> None:
    spent = tx.changed(
        "UPDATE setup_tokens SET used_at = ? WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?",
        (write.at, write.setup_token_hash, write.at),
    )
    if not spent or tx.row("SELECT 1 FROM users LIMIT 1") is not None:
        raise RefusedWrite("spent", "the setup token is wrong, was used or has expired")
    _insert_user(tx, write.user_id, write.username, write.password_hash, "admin", write.at)
    audit.append(tx, write.audit)


@handles
def create_user(tx: Transaction, write: CreateUser) -> None:
    _require_free_name(tx, write.username, "")
    _insert_user(tx, write.user_id, write.username, write.password_hash, write.role, write.at)
    audit.append(tx, write.audit)


@handles
def update_user(tx: Transaction, write: UpdateUser) -> None:
    require_user(tx, write.user_id)
    if write.username is not None:
        _require_free_name(tx, write.username, write.user_id)
        tx.execute(
            "UPDATE users SET username = ?, username_key = ? WHERE id = ?",
            (write.username, write.username.casefold(), write.user_id),
        )
    if write.role is not None:
        tx.execute("UPDATE users SET role = ? WHERE id = ?", (write.role, write.user_id))
    if write.disabled is not None:
        tx.execute("UPDATE users SET disabled = ? WHERE id = ?", (int(write.disabled), write.user_id))
    if write.password_hash is not None:
        tx.execute("UPDATE users SET password_hash = ? WHERE id = ?", (write.password_hash, write.user_id))
    if write.role is not None or write.disabled is not None:
        _require_an_admin(tx)
    tx.execute("DELETE FROM sessions WHERE user_id = ? AND id <> ?", (write.user_id, write.keep_session or ""))
    if write.password_hash is not None:  # who tried codes knew the old one
        tx.execute("DELETE FROM code_tries WHERE user_id = ?", (write.user_id,))
    ended = made_tokens.end_all_of(tx, write.user_id) if write.end_tokens else 0
    weakened = made_tokens.weaken_all_of(tx, write.user_id, write.role) if write.role is not None else 0
    _append(tx, write.audit, ended, weakened)
    tx.wake.topics.add("users")


@handles
def reset_user(tx: Transaction, write: ResetUser) -> UserReset:
    user = tx.row(
        "SELECT id, username, role, disabled, totp_secret, issuer FROM users WHERE username_key = ?",
        (write.username.casefold(),),
    )
    if user is None:
        raise RefusedWrite("not_found", f"there is no user {write.username!r}")
    if user["issuer"] is not None:
        how = f"{user['username']!r} signs in at {user['issuer']} and has neither password nor second factor here"
        raise RefusedWrite("by_provider", f"{how}; create-user makes a user who does not need that")
    passkeys = 0
    if write.password_hash is not None:
        tx.execute("UPDATE users SET password_hash = ? WHERE id = ?", (write.password_hash, user["id"]))
    if write.second_factor:
        tx.execute("UPDATE users SET totp_secret = NULL, totp_last_step = NULL WHERE id = ?", (user["id"],))
        tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user["id"],))
        passkeys = tx.changed("DELETE FROM passkeys WHERE user_id = ?", (user["id"],))
    tx.execute("DELETE FROM code_tries WHERE user_id = ?", (user["id"],))
    ended = tx.changed("DELETE FROM sessions WHERE user_id = ?", (user["id"],))
    tokens = tx.row("SELECT count(*) FROM api_tokens WHERE owner_id = ?", (user["id"],))
    assert tokens is not None
    audit.append(tx, replace(write.audit, target_id=user["id"]))
    tx.wake.topics.add("users")
    return UserReset(
        user["username"], user["role"], bool(user["disabled"]), user["totp_secret"] is not None, passkeys, ended,
        tokens[0],
    )  # fmt: skip


@handles
def delete_user(tx: Transaction, write: DeleteUser) -> None:
    require_user(tx, write.user_id)
    tx.execute("DELETE FROM users WHERE id = ?", (write.user_id,))
    _require_an_admin(tx)
    _append(tx, write.audit, made_tokens.end_all_of(tx, write.user_id) if write.end_tokens else 0)
    tx.wake.topics.add("users")


@handles
def rehash_password(tx: Transaction, write: RehashPassword) -> None:
    tx.execute(
        "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?",
        (write.new_hash, write.user_id, write.old_hash),
    )


@handles
def set_timezone(tx: Transaction, write: SetTimezone) -> None:
    require_user(tx, write.user_id)
    tx.execute("UPDATE users SET timezone = ? WHERE id = ?", (write.timezone, write.user_id))


@handles
def set_theme(tx: Transaction, write: SetTheme) -> None:
    require_user(tx, write.user_id)
    tx.execute("UPDATE users SET theme = ? WHERE id = ?", (write.theme, write.user_id))


def _insert_user(tx: Transaction, user_id: str, username: str, password_hash: str, role: Role, at: int) -> None:
    tx.execute(
        "INSERT INTO users (id, username, username_key, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (user_id, username, username.casefold(), password_hash, role, at),
    )
    tx.wake.topics.add("users")


def require_user(tx: Transaction, user_id: str) -> None:
    if tx.row("SELECT 1 FROM users WHERE id = ?", (user_id,)) is None:
        raise RefusedWrite("not_found", "there is no such user")


def _append(tx: Transaction, row: Audit, ended: int, weakened: int = 0) -> None:
    """The row, with what became of the tokens that the user made."""
    told = [row.detail] if row.detail else []
    told += [
        f"{number} of their tokens {what}" for number, what in ((ended, "ended"), (weakened, "weakened")) if number
    ]
    audit.append(tx, replace(row, detail=", ".join(told)))


def _require_free_name(tx: Transaction, username: str, user_id: str) -> None:
    if tx.row("SELECT 1 FROM users WHERE username_key = ? AND id <> ?", (username.casefold(), user_id)) is not None:
        raise RefusedWrite("username_taken", f"there is a user {username!r} already")


def _require_an_admin(tx: Transaction) -> None:
    if tx.row("SELECT 1 FROM users WHERE role = 'admin' AND disabled = 0 LIMIT 1") is None:
        raise RefusedWrite("last_admin", "this is the last admin who can sign in; make another one first")


# ---- sessions


@handles
def open_session(tx: Transaction, write: OpenSession) -> None:
    user = tx.row("SELECT password_hash, disabled FROM users WHERE id = ?", (write.user_id,))
    if user is None or user["disabled"] or user["password_hash"] != write.password_hash:
        raise RefusedWrite("wrong", "the account changed while you logged in; try again")
    if write.replaces is not None:
        tx.execute("DELETE FROM sessions WHERE id = ?", (write.replaces,))
    tx.execute(
        "INSERT INTO sessions (id, token_hash, user_id, created_at, last_seen_at, expires_at, proved_at, second_factor,"
        " address, user_agent) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            write.session_id, write.token_hash, write.user_id, write.at, write.at, write.expires_at,
            write.proved_at, int(write.second_factor), write.address, write.user_agent,
        ),
    )  # fmt: skip
    if write.second_factor:
        tx.execute("UPDATE users SET last_login_at = ? WHERE id = ?", (write.at, write.user_id))
    audit.append(tx, write.audit)


@handles
def touch_session(tx: Transaction, write: TouchSession) -> None:
    tx.execute(
        "UPDATE sessions SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?", (write.at, write.session_id, write.at)
    )


@handles
def renew_session(tx: Transaction, write: RenewSession) -> None:
    renewed = tx.changed(
        "UPDATE sessions SET id = ?, token_hash = ?, proved_at = coalesce(?, proved_at) WHERE id = ?",
        (write.new_id, write.token_hash, write.proved_at, write.session_id),
    )
    if not renewed:
        raise RefusedWrite("not_found", "this session has ended")
    audit.append(tx, write.audit)


@handles
def close_session(tx: Transaction, write: CloseSession) -> None:
    if not tx.changed("DELETE FROM sessions WHERE id = ? AND user_id = ?", (write.session_id, write.user_id)):
        raise RefusedWrite("not_found", "there is no such session")
    audit.append(tx, write.audit)


@handles
def sweep_sessions(tx: Transaction, write: SweepSessions) -> None:
    tx.execute("DELETE FROM sessions WHERE expires_at <= ? OR last_seen_at < ?", (write.at, write.idle_before))
