"""One's own sessions and password."""

from rmactors.server.messages.accounts import CloseSession, UpdateUser
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.rows import Page
from rmactors.server.web.access import SESSION_IDLE, Actor, actor, audit, is_id, services, state
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.problems import conflict, invalid_field, not_found, raise_for_answer


async def own_sessions(
    who: Actor, limit: int = 50, after: tuple[object, ...] | None = None
) -> Page[queries.SessionRow]:
    if who.kind == "token":
        return Page([], None)
    now = services().now()
    return await services().reader.run(queries.sessions, who.id, now, now - SESSION_IDLE, limit, after)


async def end_session(session_id: str) -> None:
    """One of one's own. Raises Problem 404."""
    who = actor()
    if who.kind == "token" or not is_id(session_id):
        raise not_found("session")
    write = CloseSession(session_id, who.id, audit("session.delete", "session", session_id))
    raise_for_answer(await services().ask_store(write), "session")


def require_local(who: Actor) -> None:
    """Raises the 409 for who has no password and no second factor here."""
    if who.kind == "token":
        raise conflict("An API token has no password and no second factor.")
    if who.issuer is not None:
        raise conflict("You sign in through the identity provider: your password and second factor are managed there.")


async def change_password(who: Actor, current: str, new: str) -> None:
    """Other sessions end, this one gets another id. Raises Problem 409, 422 or 429."""
    require_local(who)
    login_guard = state().login_guard
    if problem := await login_guard.weakness(new, who.name):
        raise invalid_field("/new", problem)
    login_guard.check_account(f"proof:{who.id}")
    login = await services().reader.run(queries.login_by_id, who.id)
    if not await login_guard.try_password(login, current, "user.password"):
        raise invalid_field("/current", "Wrong password.")
    password_hash = await login_guard.hash(new)
    record = audit("user.password", "user", who.id)
    change = UpdateUser(who.id, None, None, None, password_hash, record, who.session_id)
    await renew_session(change, proved=True)
