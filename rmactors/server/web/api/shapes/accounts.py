"""Users, tokens, sessions and the audit trail, as the API shows them."""

from typing import Literal

from msgspec import Struct

from rmactors.common.vocabulary import (
    Role,
)
from rmactors.server.store.queries.accounts import AuditRow, SessionRow, TokenRow, UserRow
from rmactors.server.web.api.shapes.rows import shaped
from rmactors.server.web.fields import Time


class User(Struct):
    id: str
    username: str
    role: Role
    disabled: bool
    created_at: Time
    last_login_at: Time | None


class Token(Struct):
    id: str
    name: str
    role: Role
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    created_by: str | None


class NewToken(Token):
    """With the token itself, this once."""

    token: str


class AuditEntry(Struct):
    id: str
    at: Time
    actor: str
    actor_kind: Literal["user", "token", "agent", "system"]
    action: str
    target_kind: str
    target_id: str
    result: str
    address: str
    detail: str


class Session(Struct):
    id: str
    created_at: Time
    last_seen_at: Time
    address: str
    user_agent: str
    current: bool


def user(row: UserRow) -> User:
    return shaped(User, row)


def token(row: TokenRow) -> Token:
    return shaped(Token, row)


def new_token(row: TokenRow, text: str) -> NewToken:
    return shaped(NewToken, row, token=text)


def audit_entry(row: AuditRow) -> AuditEntry:
    return shaped(AuditEntry, row)


def session(row: SessionRow, current: str) -> Session:
    return shaped(Session, row, current=row.id == current)
