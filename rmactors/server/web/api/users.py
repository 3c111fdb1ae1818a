"""`/api/users`, `/api/tokens` and `/api/audit`: for admins."""

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType
from quart import Blueprint, Response

from rmactors.common import clock, ids
from rmactors.common.vocabulary import Role
from rmactors.server.config import tokens
from rmactors.server.messages.accounts import CreateUser, DeleteUser, UpdateUser
from rmactors.server.messages.made_tokens import CreateApiToken, DeleteApiToken
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.accounts import UserRow
from rmactors.server.web.access import actor, audit, is_id, maker, route, services, state
from rmactors.server.web.api import shapes
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    convert,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
    one_of,
)
from rmactors.server.web.auth.names import username_problem
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.problems import invalid_field, not_found, settled

blueprint = Blueprint("api_users", __name__)


class UserBody(Struct, forbid_unknown_fields=True):
    username: str
    password: str
    role: Role


class UserChange(Struct, forbid_unknown_fields=True):
    """What is left out stays. Any change ends the user's sessions."""

    username: str | UnsetType = UNSET
    password: str | UnsetType = UNSET
    role: Role | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET


class TokenBody(Struct, forbid_unknown_fields=True):
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    role: Role
    expires_days: Annotated[float, Meta(gt=0, le=36_500)] | None = None


_TOKENS = {"tokens": Literal["end", "keep"]}
"""What becomes of the tokens that somebody made who is deleted or disabled."""


# ---- users


@route(blueprint, "/api/users", role="admin", answer=Listing[shapes.User], query=PAGING)
async def list_users() -> Response:
    """By name."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.users, limit_of(given), cursor_of(given, (str, str)))
    return json_response(listing(page, shapes.user))


@route(
    blueprint, "/api/users", role="admin", methods=["POST"], fresh=True, body=UserBody, answer=shapes.User, status=201
)
async def create_user() -> Response:
    """A new user; tell them the password."""
    body = convert(await json_body(), UserBody, read_only=("id", "disabled", "created_at", "last_login_at"))
    user_id = await create(body.username, body.password, body.role)
    return json_response(shapes.user(await require(user_id)), 201)


@route(blueprint, "/api/users/<user_id>", role="admin", answer=shapes.User)
async def show_user(user_id: str) -> Response:
    """One user."""
    return json_response(shapes.user(await require(user_id)))


@route(
    blueprint, "/api/users/<user_id>", role="admin", methods=["PATCH"], fresh=True, body=UserChange,
    answer=shapes.User, query=_TOKENS,
)  # fmt: skip
async def change_user(user_id: str) -> Response:
    """What is left out stays. Ends the user's sessions; 409 for the last admin.

    A weaker role weakens the API tokens that they made, for good. Disabling ends these and their unused enrolment
    tokens, unless `tokens` is `keep`; `end` ends them whatever changes.
    """
    raw, end_tokens = await json_body(), _end_tokens()
    row = await require(user_id)
    body = convert(raw, UserChange, read_only=("id", "created_at", "last_login_at"))
    await change(row, body, end_tokens=end_tokens)
    return json_response(shapes.user(await require(user_id)))


@route(
    blueprint, "/api/users/<user_id>", role="admin", methods=["DELETE"], fresh=True, status=204, query=_TOKENS,
)  # fmt: skip
async def delete_user(user_id: str) -> Response:
    """409 for the last admin. The API tokens that they made and their unused enrolment tokens end with them, unless
    `tokens` is `keep`."""
    await no_body()
    end_tokens = _end_tokens()
    await remove(await require(user_id), end_tokens=end_tokens is not False)
    return no_content()


async def create(username: str, password: str, role: Role) -> str:
    """The new user's id; for pages as well. Raises Problem 409 or 422."""
    _check_name(username)
    password_hash = await _hashed(password, username)
    user_id = ids.new()
    record = audit("user.create", "user", user_id, f"{username} as {role}")
    write = CreateUser(user_id, username, password_hash, role, services().now(), record)
    settled(await services().ask_store(write), "user")
    return user_id


def _end_tokens() -> bool | None:
    """What the query says of a user's tokens; None where it says nothing. Raises the 422."""
    word = one_of(arguments(*_TOKENS), "tokens", ("end", "keep"))
    return word == "end" if word is not None else None


async def change(row: UserRow, body: UserChange, *, end_tokens: bool | None = None) -> None:
    """`end_tokens` None: where they become disabled. For pages as well. Raises Problem 404, 409 or 422."""
    username = body.username if not isinstance(body.username, UnsetType) and body.username != row.username else None
    if username is not None:
        _check_name(username)
    password_hash = None
    if not isinstance(body.password, UnsetType):
        password_hash = await _hashed(body.password, username or row.username)
    role = body.role if not isinstance(body.role, UnsetType) and body.role != row.role else None
    disabled = None
    if not isinstance(body.disabled, UnsetType) and body.disabled != bool(row.disabled):
        disabled = body.disabled
    told = [f"username {row.username} → {username}"] if username is not None else []
    told += ["password"] if password_hash is not None else []
    told += [f"role {row.role} → {role}"] if role is not None else []
    told += [f"disabled {_yes(bool(row.disabled))} → {_yes(disabled)}"] if disabled is not None else []
    ends = disabled is True if end_tokens is None else end_tokens
    if not told and not ends:
        return
    who = actor()
    record = audit("user.update", "user", row.id, ": ".join(filter(None, (row.username, ", ".join(told)))))
    own = who.session_id if who.id == row.id else None
    write = UpdateUser(row.id, username, role, disabled, password_hash, record, own, ends)
    if own is not None:
        await renew_session(write, proved=False)
    else:
        settled(await services().ask_store(write), "user")


async def remove(row: UserRow, *, end_tokens: bool = True) -> None:
    """For pages as well. Raises Problem 404 or 409."""
    write = DeleteUser(row.id, audit("user.delete", "user", row.id, row.username), end_tokens)
    settled(await services().ask_store(write), "user")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


async def require(user_id: str) -> UserRow:
    """The user, or the 404."""
    row = await services().reader.run(queries.user, user_id) if is_id(user_id) else None
    if row is None:
        raise not_found("user")
    return row


def _check_name(username: str) -> None:
    if problem := username_problem(username):
        raise invalid_field("/username", problem)


async def _hashed(password: str, username: str) -> str:
    if problem := await state().doors.weakness(password, username):
        raise invalid_field("/password", problem)
    return await state().doors.hash(password)


# ---- tokens


@route(blueprint, "/api/tokens", role="admin", answer=Listing[shapes.Token], query=PAGING)
async def list_tokens() -> Response:
    """Newest first; a token itself is shown only when it is made."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.tokens, limit_of(given), cursor_of(given, (int, str)))
    return json_response(listing(page, shapes.token))


@route(
    blueprint, "/api/tokens", role="admin", methods=["POST"], fresh=True, body=TokenBody, answer=shapes.NewToken,
    status=201,
)  # fmt: skip
async def create_token() -> Response:
    """The token itself is in this answer and nowhere else.

    One that a token makes may no more than that one, lasts no longer, and ends when that one is revoked.
    """
    read_only = ("id", "prefix", "created_at", "expires_at", "last_used_at", "created_by")
    body = convert(await json_body(), TokenBody, read_only=read_only)
    token_id, token = await new_token(body)
    row = await services().reader.run(queries.token, token_id)
    if row is None:
        raise not_found("token")
    return json_response(shapes.shaped(shapes.NewToken, row, token=token), 201)


@route(blueprint, "/api/tokens/<token_id>", role="admin", methods=["DELETE"], fresh=True, status=204)
async def delete_token(token_id: str) -> Response:
    """It opens nothing any more, and what was made with it ends too."""
    await no_body()
    await revoke(token_id)
    return no_content()


async def new_token(body: TokenBody) -> tuple[str, str]:
    """(id, token); for pages as well. Raises Problem 422."""
    if problem := username_problem(body.name):
        raise invalid_field("/name", problem)
    who = actor()
    if not who.may(body.role):
        raise invalid_field("/role", f"must not be more than your own, {who.role}")
    token, token_id, at = tokens.make(tokens.API), ids.new(), services().now()
    expires_at = at + clock.seconds(body.expires_days * 86_400) if body.expires_days is not None else who.ends_at
    if expires_at is not None and who.ends_at is not None and expires_at > who.ends_at:
        raise invalid_field("/expires_days", "must not be after the end of the token that makes it")
    record = audit("token.create", "token", token_id, f"{body.name} as {body.role}")
    write = CreateApiToken(
        token_id,
        body.name,
        body.role,
        token[: tokens.SHOWN_PREFIX_LENGTH],
        tokens.digest(token),
        at,
        expires_at,
        record,
        maker(),
    )
    settled(await services().ask_store(write), "token")
    return token_id, token


async def revoke(token_id: str) -> None:
    """For pages as well. Raises Problem 404."""
    if not is_id(token_id):
        raise not_found("token")
    settled(await services().ask_store(DeleteApiToken(token_id, audit("token.delete", "token", token_id))), "token")


# ---- the audit trail


@route(
    blueprint, "/api/audit", role="admin", answer=Listing[shapes.AuditEntry],
    query={"action": str, "actor": str, **PAGING},
)  # fmt: skip
async def list_audit() -> Response:
    """Newest first."""
    given = arguments("action", "actor", *PAGING)
    limit, after = limit_of(given), cursor_of(given, (int,))
    page = await services().reader.run(queries.audit, limit, after, given.get("action", ""), given.get("actor", ""))
    return json_response(listing(page, shapes.audit_entry))
