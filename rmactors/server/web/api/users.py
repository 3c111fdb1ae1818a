"""`/api/users`, `/api/tokens` and `/api/audit`: for admins."""

from typing import Literal

from msgspec import Struct
from quart import Blueprint, Response

from rmactors.common.vocabulary import Role
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
    one_of,
)
from rmactors.server.web.api.shapes import accounts as shapes
from rmactors.server.web.operations import users
from rmactors.server.web.operations.users import TokenBody, UserChange
from rmactors.server.web.problems import not_found
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_users", __name__)


class UserBody(Struct, forbid_unknown_fields=True):
    username: str
    password: str
    role: Role


_TOKENS = {"tokens": Literal["end", "keep"]}
"""What becomes of the tokens that a deleted or disabled user created."""


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
    user_id = await users.create(body.username, body.password, body.role)
    return json_response(shapes.user(await users.require(user_id)), 201)


@route(blueprint, "/api/users/<user_id>", role="admin", answer=shapes.User)
async def show_user(user_id: str) -> Response:
    """One user."""
    return json_response(shapes.user(await users.require(user_id)))


@route(
    blueprint, "/api/users/<user_id>", role="admin", methods=["PATCH"], fresh=True, body=UserChange,
    answer=shapes.User, query=_TOKENS,
)  # fmt: skip
async def change_user(user_id: str) -> Response:
    """What is left out stays. Ends the user's sessions; 409 for the last admin.

    A weaker role weakens the API tokens that they made, for good. Disabling ends these and their unused enrollment
    tokens, unless `tokens` is `keep`; `end` ends them whatever changes.
    """
    raw, end_tokens = await json_body(), _end_tokens()
    row = await users.require(user_id)
    body = convert(raw, UserChange, read_only=("id", "created_at", "last_login_at"))
    await users.change(row, body, end_tokens=end_tokens)
    return json_response(shapes.user(await users.require(user_id)))


@route(
    blueprint, "/api/users/<user_id>", role="admin", methods=["DELETE"], fresh=True, status=204, query=_TOKENS,
)  # fmt: skip
async def delete_user(user_id: str) -> Response:
    """409 for the last admin. The API tokens that they made and their unused enrollment tokens end with them, unless
    `tokens` is `keep`."""
    await no_body()
    end_tokens = _end_tokens()
    await users.remove(await users.require(user_id), end_tokens=end_tokens is not False)
    return no_content()


def _end_tokens() -> bool | None:
    """What the query says of a user's tokens; None where it says nothing. Raises the 422."""
    word = one_of(arguments(*_TOKENS), "tokens", ("end", "keep"))
    return word == "end" if word is not None else None


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
    token_id, token = await users.new_token(body)
    row = await services().reader.run(queries.token, token_id)
    if row is None:
        raise not_found("token")
    return json_response(shapes.new_token(row, token), 201)


@route(blueprint, "/api/tokens/<token_id>", role="admin", methods=["DELETE"], fresh=True, status=204)
async def delete_token(token_id: str) -> Response:
    """It opens nothing any more, and what was made with it ends too."""
    await no_body()
    await users.revoke(token_id)
    return no_content()


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
