"""`/api/sessions` and `/api/account`: one's own sign-ins and password."""

from msgspec import Struct
from quart import Blueprint, Response

from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import actor, route, services
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
)
from rmactors.server.web.api.shapes import accounts as shapes
from rmactors.server.web.operations import account
from rmactors.server.web.problems import Problem, not_found
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_account", __name__)


class PasswordBody(Struct, forbid_unknown_fields=True):
    current: str
    new: str

    def __repr__(self) -> str:
        return "PasswordBody()"


@route(blueprint, "/api/sessions", role="signed_in", answer=Listing[shapes.Session], query=PAGING)
async def list_sessions() -> Response:
    """One's own, newest first; an API token has none."""
    given, who = arguments(*PAGING), actor()
    limit, after = limit_of(given), cursor_of(given, (int, str))
    page = await account.own_sessions(who, limit, after)
    return json_response(listing(page, lambda row: shapes.session(row, who.session_id)))


@route(blueprint, "/api/sessions/<session_id>", role="signed_in", methods=["DELETE"], status=204)
async def delete_session(session_id: str) -> Response:
    """Signs one of one's own sessions out."""
    await no_body()
    await account.end_session(session_id)
    return no_content()


@route(blueprint, "/api/account/password", role="signed_in", methods=["POST"], body=PasswordBody, answer=shapes.User)
async def set_password() -> Response:
    """Ends the user's other sessions. A wrong current password is a 422."""
    who, raw = actor(), await json_body()
    if who.kind == "token":
        raise Problem(403, "An API token has no password.", "forbidden")
    body = convert(raw, PasswordBody)
    await account.change_password(who, body.current, body.new)
    row = await services().reader.run(queries.user, who.id)
    if row is None:
        raise not_found("user")
    return json_response(shapes.user(row))
