"""Users who sign in through an OpenID provider: made at their first sign-in, their role as the provider says."""

from dataclasses import replace

from rmactors.server.messages.provided_users import DismissProvidedUser, ProvidedUser, WelcomeProvidedUser
from rmactors.server.store import audit, made_tokens
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def welcome_provided_user(tx: Transaction, write: WelcomeProvidedUser) -> ProvidedUser:
    user = tx.row(
        "SELECT id, username, role, disabled FROM users WHERE issuer = ? AND subject = ?", (write.issuer, write.subject)
    )
    if user is None:
        return _make(tx, write)
    if user["disabled"]:
        raise RefusedWrite("disabled", "this user is disabled")
    found = ProvidedUser(user["id"], user["username"])
    if user["role"] != write.role:
        tx.execute("UPDATE users SET role = ? WHERE id = ?", (write.role, found.user_id))
        tx.execute("DELETE FROM sessions WHERE user_id = ?", (found.user_id,))
        weakened = made_tokens.weaken_all_of(tx, found.user_id, write.role)
        tokens = f", {weakened} of their tokens weakened" if weakened else ""
        detail = f"{found.username}: role {user['role']} → {write.role}, by the identity provider{tokens}"
        _append(tx, write, found, "user.update", detail)
    return found


@handles
def dismiss_provided_user(tx: Transaction, write: DismissProvidedUser) -> None:
    tx.execute(
        "DELETE FROM sessions WHERE user_id IN (SELECT id FROM users WHERE issuer = ? AND subject = ?)",
        (write.issuer, write.subject),
    )


def _make(tx: Transaction, write: WelcomeProvidedUser) -> ProvidedUser:
    name = _free_name(tx, write.name)
    tx.execute(
        "INSERT INTO users (id, username, username_key, password_hash, role, created_at, issuer, subject)"
        " VALUES (?, ?, ?, '', ?, ?, ?, ?)",
        (write.new_id, name, name.casefold(), write.role, write.at, write.issuer, write.subject),
    )
    made = ProvidedUser(write.new_id, name)
    _append(tx, write, made, "user.create", f"{name} as {write.role}, by the identity provider")
    return made


def _append(tx: Transaction, write: WelcomeProvidedUser, user: ProvidedUser, action: str, detail: str) -> None:
    audit.append(tx, replace(write.audit, actor=user.username, action=action, target_id=user.user_id, detail=detail))
    tx.wake.topics.add("users")


def _free_name(tx: Transaction, wanted: str) -> str:
    name, number = wanted, 1
    while tx.row("SELECT 1 FROM users WHERE username_key = ?", (name.casefold(),)) is not None:
        number += 1
        name = f"{wanted}-{number}"
    return name
