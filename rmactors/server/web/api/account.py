"""`/api/sessions` and `/api/account`: one's own sign-ins and password."""

from msgspec import Struct
from quart import Blueprint, Response

from rmactors.server.messages.accounts import CloseSession, UpdateUser
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.rows import Page
from rmactors.server.web.access import SESSION_IDLE, Actor, actor, audit, is_id, route, services, state
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
)
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.problems import Problem, invalid_field, not_found, settled

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
    page = await own_sessions(who, limit, after)
    return json_response(listing(page, lambda row: shapes.session(row, who.session_id)))


@route(blueprint, "/api/sessions/<session_id>", role="signed_in", methods=["DELETE"], status=204)
async def delete_session(session_id: str) -> Response:
    """Signs one of one's own sessions out."""
    await no_body()
    await end_session(session_id)
    return no_content()


@route(blueprint, "/api/account/password", role="signed_in", methods=["POST"], body=PasswordBody, answer=shapes.User)
async def set_password() -> Response:
    """Ends the user's other sessions. A wrong current password is a 422."""
    who, raw = actor(), await json_body()
    if who.kind == "token":
        raise Problem(403, "An API token has no password.", "forbidden")
    body = convert(raw, PasswordBody)
    await change_password(who, body.current, body.new)
    row = await services().reader.run(queries.user, who.id)
    if row is None:
        raise not_found("user")
    return json_response(shapes.user(row))


async def own_sessions(
    who: Actor, limit: int = 50, after: tuple[object, ...] | None = None
) -> Page[queries.SessionRow]:
    """For pages as well."""
    if who.kind == "token":
        return Page([], None)
    now = services().now()
    return await services().reader.run(queries.sessions, who.id, now, now - SESSION_IDLE, limit, after)


async def end_session(session_id: str) -> None:
    """One of one's own; for pages as well. Raises Problem 404."""
    who = actor()
    if who.kind == "token" or not is_id(session_id):
        raise not_found("session")
    write = CloseSession(session_id, who.id, audit("session.delete", "session", session_id))
    settled(await services().ask_store(write), "session")


async def change_password(who: Actor, current: str, new: str) -> None:
    """Other sessions end, this one gets another id. For pages as well. Raises Problem 422 or 429."""
    doors = state().doors
    if problem := await doors.weakness(new, who.name):
        raise invalid_field("/new", problem)
    doors.knock(f"proof:{who.id}")
    login = await services().reader.run(queries.login_by_id, who.id)
    if not await doors.try_password(login, current, "user.password"):
        raise invalid_field("/current", "This is not your password.")
    password_hash = await doors.hash(new)
    record = audit("user.password", "user", who.id)
    change = UpdateUser(who.id, None, None, None, password_hash, record, who.session_id)
    await renew_session(change, proved=True)
