"""Users, sessions, API tokens and the setup token: how their writes change the tables."""

from rmactors.messages.accounts import (
    CloseSession,
    CreateApiToken,
    CreateFirstUser,
    CreateSetupToken,
    CreateUser,
    DeleteApiToken,
    DeleteUser,
    OpenSession,
    ProveSession,
    RehashPassword,
    SetSecondFactor,
    SetTimezone,
    SpendCode,
    SpendRecoveryCode,
    SweepSessions,
    TouchApiToken,
    TouchSession,
    UpdateUser,
)
from rmactors.store import audit
from rmactors.store.secret_rows import require_live_key
from rmactors.store.transaction import RefusedWrite, Transaction, handles
from rmactors.vocabulary import Role

# ---- users


@handles(CreateSetupToken)
def create_setup_token(tx: Transaction, write: CreateSetupToken) -> None:
    if tx.row("SELECT 1 FROM users LIMIT 1") is not None:
        raise RefusedWrite("conflict", "there is a user already; log in, or use `rmactors admin create-user`")
    tx.execute("DELETE FROM setup_tokens")
    tx.execute(
        "INSERT INTO setup_tokens (token_hash, created_at, expires_at) VALUES (?, ?, ?)",
        (write.token_hash, write.at, write.expires_at),
    )


@handles(CreateFirstUser)
def create_first_user(tx: Transaction, write: CreateFirstUser) -> None:
    spent = tx.changed(
        "UPDATE setup_tokens SET used_at = ? WHERE token_hash = ? AND used_at IS NULL AND expires_at > ?",
        (write.at, write.setup_token_hash, write.at),
    )
    if not spent or tx.row("SELECT 1 FROM users LIMIT 1") is not None:
        raise RefusedWrite("spent", "the setup token is wrong, was used or has expired")
    _insert_user(tx, write.user_id, write.username, write.password_hash, "admin", write.at)
    audit.append(tx, write.audit)


@handles(CreateUser)
def create_user(tx: Transaction, write: CreateUser) -> None:
    _require_free_name(tx, write.username, "")
    _insert_user(tx, write.user_id, write.username, write.password_hash, write.role, write.at)
    audit.append(tx, write.audit)


@handles(UpdateUser)
def update_user(tx: Transaction, write: UpdateUser) -> None:
    _require_user(tx, write.user_id)
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
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles(DeleteUser)
def delete_user(tx: Transaction, write: DeleteUser) -> None:
    _require_user(tx, write.user_id)
    tx.execute("DELETE FROM users WHERE id = ?", (write.user_id,))
    _require_an_admin(tx)
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles(RehashPassword)
def rehash_password(tx: Transaction, write: RehashPassword) -> None:
    tx.execute(
        "UPDATE users SET password_hash = ? WHERE id = ? AND password_hash = ?",
        (write.new_hash, write.user_id, write.old_hash),
    )


@handles(SetTimezone)
def set_timezone(tx: Transaction, write: SetTimezone) -> None:
    _require_user(tx, write.user_id)
    tx.execute("UPDATE users SET timezone = ? WHERE id = ?", (write.timezone, write.user_id))


def _insert_user(tx: Transaction, user_id: str, username: str, password_hash: str, role: Role, at: int) -> None:
    tx.execute(
        "INSERT INTO users (id, username, username_key, password_hash, role, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        (user_id, username, username.casefold(), password_hash, role, at),
    )
    tx.wake.topics.add("users")


def _require_user(tx: Transaction, user_id: str) -> None:
    if tx.row("SELECT 1 FROM users WHERE id = ?", (user_id,)) is None:
        raise RefusedWrite("not_found", "there is no such user")


def _require_free_name(tx: Transaction, username: str, user_id: str) -> None:
    if tx.row("SELECT 1 FROM users WHERE username_key = ? AND id <> ?", (username.casefold(), user_id)) is not None:
        raise RefusedWrite("username_taken", f"there is a user {username!r} already")


def _require_an_admin(tx: Transaction) -> None:
    if tx.row("SELECT 1 FROM users WHERE role = 'admin' AND disabled = 0 LIMIT 1") is None:
        raise RefusedWrite("last_admin", "this is the last admin who can sign in; make another one first")


# ---- the second factor


@handles(SetSecondFactor)
def set_second_factor(tx: Transaction, write: SetSecondFactor) -> None:
    _require_user(tx, write.user_id)
    require_live_key(tx, write.secret)
    tx.execute(
        "UPDATE users SET totp_secret = ?, totp_last_step = ? WHERE id = ?",
        (write.secret, write.step if write.secret is not None else None, write.user_id),
    )
    tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", (write.user_id,))
    for code_hash in write.recovery_hashes:
        tx.execute("INSERT INTO recovery_codes (user_id, code_hash) VALUES (?, ?)", (write.user_id, code_hash))
    audit.append(tx, write.audit)


@handles(SpendCode)
def spend_code(tx: Transaction, write: SpendCode) -> None:
    spent = tx.changed(
        "UPDATE users SET totp_last_step = ? WHERE id = ? AND totp_secret IS NOT NULL"
        " AND (totp_last_step IS NULL OR totp_last_step < ?)",
        (write.step, write.user_id, write.step),
    )
    if not spent:
        raise RefusedWrite("spent", "this code was used already; wait for the next one")


@handles(SpendRecoveryCode)
def spend_recovery_code(tx: Transaction, write: SpendRecoveryCode) -> None:
    spent = tx.changed(
        "UPDATE recovery_codes SET used_at = ? WHERE user_id = ? AND code_hash = ? AND used_at IS NULL",
        (write.at, write.user_id, write.code_hash),
    )
    if not spent:
        raise RefusedWrite("spent", "this is no unused recovery code")


# ---- sessions


@handles(OpenSession)
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
            write.session_id, write.token_hash, write.user_id, write.at, write.at, write.expires_at, write.at,
            int(write.second_factor), write.address, write.user_agent,
        ),
    )  # fmt: skip
    if write.second_factor:
        tx.execute("UPDATE users SET last_login_at = ? WHERE id = ?", (write.at, write.user_id))
    audit.append(tx, write.audit)


@handles(TouchSession)
def touch_session(tx: Transaction, write: TouchSession) -> None:
    tx.execute(
        "UPDATE sessions SET last_seen_at = ? WHERE id = ? AND last_seen_at < ?", (write.at, write.session_id, write.at)
    )


@handles(ProveSession)
def prove_session(tx: Transaction, write: ProveSession) -> None:
    if not tx.changed("UPDATE sessions SET proved_at = ? WHERE id = ?", (write.at, write.session_id)):
        raise RefusedWrite("not_found", "this session has ended")
    audit.append(tx, write.audit)


@handles(CloseSession)
def close_session(tx: Transaction, write: CloseSession) -> None:
    if not tx.changed("DELETE FROM sessions WHERE id = ? AND user_id = ?", (write.session_id, write.user_id)):
        raise RefusedWrite("not_found", "there is no such session")
    audit.append(tx, write.audit)


@handles(SweepSessions)
def sweep_sessions(tx: Transaction, write: SweepSessions) -> None:
    tx.execute("DELETE FROM sessions WHERE expires_at <= ? OR last_seen_at < ?", (write.at, write.idle_before))


# ---- API tokens


@handles(CreateApiToken)
def create_api_token(tx: Transaction, write: CreateApiToken) -> None:
    tx.execute(
        "INSERT INTO api_tokens (id, name, role, prefix, token_hash, created_at, expires_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (write.token_id, write.name, write.role, write.prefix, write.token_hash, write.at, write.expires_at),
    )
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles(TouchApiToken)
def touch_api_token(tx: Transaction, write: TouchApiToken) -> None:
    tx.execute("UPDATE api_tokens SET last_used_at = ? WHERE id = ?", (write.at, write.token_id))


@handles(DeleteApiToken)
def delete_api_token(tx: Transaction, write: DeleteApiToken) -> None:
    if not tx.changed("DELETE FROM api_tokens WHERE id = ?", (write.token_id,)):
        raise RefusedWrite("not_found", "there is no such token")
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")
