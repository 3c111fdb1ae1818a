"""API and enrollment tokens and who made them: no token gives more, or lasts longer, than what it was made with."""

import json

from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.messages.made_tokens import (
    CreateApiToken,
    CreateEnrollmentToken,
    DeleteApiToken,
    DeleteEnrollmentToken,
    Maker,
    TouchApiToken,
)
from rmactors.server.store import audit
from rmactors.server.store.hosts import require_host
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles

_MADE_WITH = (
    "WITH RECURSIVE ended (id) AS ("
    " SELECT id FROM api_tokens WHERE id = ?"
    " UNION SELECT api_tokens.id FROM api_tokens JOIN ended ON api_tokens.parent_id = ended.id)"
)
"""A token, what was made with it, what was made with that, and so on."""


@handles
def create_api_token(tx: Transaction, write: CreateApiToken) -> None:
    made_by = require_maker(tx, write.maker, write.at, write.expires_at, write.role)
    tx.execute(
        "INSERT INTO api_tokens (id, name, role, prefix, token_hash, created_at, expires_at, created_by, owner_id,"
        " parent_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            write.token_id, write.name, write.role, write.prefix, write.token_hash, write.at, write.expires_at,
            *made_by,
        ),
    )  # fmt: skip
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles
def touch_api_token(tx: Transaction, write: TouchApiToken) -> None:
    tx.execute("UPDATE api_tokens SET last_used_at = ? WHERE id = ?", (write.at, write.token_id))


@handles
def delete_api_token(tx: Transaction, write: DeleteApiToken) -> None:
    tx.execute(
        f"DELETE FROM enrollment_tokens WHERE used < uses AND parent_id IN ({_MADE_WITH} SELECT id FROM ended)",  # noqa: S608 - a constant
        (write.token_id,),
    )
    ended = tx.changed(
        f"DELETE FROM api_tokens WHERE id IN ({_MADE_WITH} SELECT id FROM ended)",  # noqa: S608 - a constant
        (write.token_id,),
    )
    if not ended:
        raise RefusedWrite("not_found", "there is no such token")
    audit.append(tx, write.audit)
    tx.wake.topics.add("users")


@handles
def create_enrollment_token(tx: Transaction, write: CreateEnrollmentToken) -> None:
    made_by = require_maker(tx, write.maker, write.at, write.expires_at, "admin")
    if write.for_host_id is not None:
        require_host(tx, write.for_host_id)
    tx.execute(
        "INSERT INTO enrollment_tokens (id, token_hash, created_at, expires_at, prefix, uses, tags, for_host_id,"
        " created_by, owner_id, parent_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            write.id, write.token_hash, write.at, write.expires_at, write.prefix, write.uses,
            json.dumps(write.tags), write.for_host_id, *made_by,
        ),
    )  # fmt: skip
    audit.append(tx, write.audit)


@handles
def delete_enrollment_token(tx: Transaction, write: DeleteEnrollmentToken) -> None:
    if not tx.changed("DELETE FROM enrollment_tokens WHERE id = ?", (write.id,)):
        raise RefusedWrite("not_found", "there is no such enrollment token")
    audit.append(tx, write.audit)


def require_maker(
    tx: Transaction, maker: Maker | None, at: int, expires_at: int | None, role: Role
) -> tuple[str | None, str | None, str | None]:
    """The columns `created_by`, `owner_id`, `parent_id`. Refused if its maker could not make it by now."""
    if maker is None:
        return (None, None, None)
    if maker.parent_id is not None:
        parent = tx.row("SELECT role, expires_at FROM api_tokens WHERE id = ?", (maker.parent_id,))
        ends = parent["expires_at"] if parent is not None else at
        if parent is None or (ends is not None and ends <= at):
            raise RefusedWrite("not_found", "the token that makes it has ended")
        if ends is not None and (expires_at is None or expires_at > ends):
            raise RefusedWrite("invalid", "it would last longer than the token that makes it")
        if ROLES.index(role) > ROLES.index(parent["role"]):
            raise RefusedWrite("invalid", "it could do more than the token that makes it")
    elif maker.owner_id is not None:
        owner = tx.row("SELECT role FROM users WHERE id = ? AND disabled = 0", (maker.owner_id,))
        if owner is None or ROLES.index(role) > ROLES.index(owner["role"]):
            raise RefusedWrite("not_found", "the user who makes it is not there any more, or may less")
    return (maker.name, maker.owner_id, maker.parent_id)


def end_all_of(tx: Transaction, owner_id: str) -> int:
    """End what a user made, also what was made with that. How many API tokens, and enrollment tokens with uses left."""
    return tx.changed("DELETE FROM enrollment_tokens WHERE owner_id = ? AND used < uses", (owner_id,)) + tx.changed(
        "DELETE FROM api_tokens WHERE owner_id = ?", (owner_id,)
    )


def weaken_all_of(tx: Transaction, owner_id: str, role: Role) -> int:
    """No token of a user may more than `role`: their API tokens get it, and who is no admin enrolls no host.

    How many tokens that changed. A stronger role later does not give it back.
    """
    stronger = ROLES[ROLES.index(role) + 1 :]
    weakened = 0
    for each in stronger:
        weakened += tx.changed("UPDATE api_tokens SET role = ? WHERE owner_id = ? AND role = ?", (role, owner_id, each))
    if stronger:
        weakened += tx.changed("DELETE FROM enrollment_tokens WHERE owner_id = ? AND used < uses", (owner_id,))
    return weakened
