"""`/login`, the second factor on a page of its own, `/logout`, and showing the password again.

The pages are made in `login_pages`. A refused form comes back with 422, or 429 where there were too many tries.
"""

from urllib.parse import quote

from quart import Blueprint, Response, request

from rmactors.server.messages.second_factors import SpendCode, SpendRecoveryCode
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import (
    actor,
    actor_or_none,
    authenticate,
    current_session,
    is_fresh,
    route,
    services,
    state,
)
from rmactors.server.web.auth import code_tries, second_factor, totp
from rmactors.server.web.auth.login_pages import login_page, second_factor_page, to_login
from rmactors.server.web.auth.proof import ask_for_password, show_password
from rmactors.server.web.auth.sessions import Factor, close_session, forget_cookie, open_session
from rmactors.server.web.html import go, html
from rmactors.server.web.problems import Problem
from rmactors.server.web.security import safe_next

blueprint = Blueprint("login", __name__)
_WRONG = "Wrong user name or password."
_SWITCHED_OFF = "Signing in with a password is turned off on this server (RM_PASSWORD_LOGIN)."
_TOO_MANY_CODES = "Too many wrong codes. Sign in again with your password."


@route(blueprint, "/login", role="public")
async def login_form() -> Response:
    """The form; a redirect to `/setup` if there are no users yet, or to the next page if already signed in."""
    target = safe_next(request.args.get("next"))
    await authenticate()
    if actor_or_none() is not None:
        return go(target)
    if services().provider is None and not await services().reader.run(queries.any_user):
        return go("/setup")
    return await login_page(next=target, username="", error=None)


@route(blueprint, "/login", role="public", methods=["POST"])
async def log_in() -> Response:
    """303 to where the user wanted to go, or to the page of the second factor."""
    form = await request.form
    username, password, target = form.get("username", "").strip(), form.get("password", ""), safe_next(form.get("next"))
    login_guard = state().login_guard
    if not services().settings.password_login:
        await login_guard.note_failure(None, "user.login")
        return await login_page(403, next=target, username="", error=_SWITCHED_OFF)
    try:
        login_guard.check_address()
        login_guard.check_account(username.casefold())
        found = await services().reader.run(queries.login_by_name, username)
        login = await login_guard.try_password(found, password, "user.login")
    except Problem as problem:
        if problem.status != 429:
            raise
        return await login_page(429, problem, next=target, username=username, error=problem.detail)
    if login is None:
        return await login_page(422, next=target, username=username, error=_WRONG)
    owes = login.has_second_factor
    response = go(f"/login/second-factor?next={quote(target, safe='/')}" if owes else target)
    await open_session(login, response, second_factor=not owes)
    return response


@route(blueprint, "/login/second-factor", role="public")
async def second_factor_form() -> Response:
    """For a browser whose password was right."""
    session = await current_session()
    target = safe_next(request.args.get("next"))
    if session is None:
        return to_login(target)
    login = await services().reader.run(queries.login_by_id, session.user_id)
    if login is None or session.second_factor:
        return go(target)
    return await second_factor_page(login, next=target, error=None)


@route(blueprint, "/login/second-factor", role="public", methods=["POST"])
async def give_second_factor() -> Response:
    """Takes a code of the authenticator or a recovery code, each once (form `code`, `next`)."""
    form = await request.form
    typed, target = form.get("code", "").strip(), safe_next(form.get("next"))
    session = await current_session()
    login = await services().reader.run(queries.login_by_id, session.user_id) if session is not None else None
    if session is None or login is None:
        return to_login(target)
    if session.second_factor:
        return go(target)
    kind = code_tries.kind_of(typed)
    try:
        state().login_guard.check_address()
        state().login_guard.check_account(f"second-factor:{login.id}")
        tries = await code_tries.take(login, session, kind)
    except code_tries.SignInEnded:
        return await _sign_in_again(login.username, target)
    except Problem as problem:
        if problem.status != 429:
            raise
        return await second_factor_page(login, 429, problem, next=target, error=problem.detail)
    at, has_code = services().now(), login.totp_secret is not None
    step = totp.matching_step(second_factor.secret_of(login), typed, at) if kind == "totp" and has_code else None
    response = go(target)
    error = "This code is wrong."
    if step is not None or kind == "recovery":
        spend = SpendCode(login.id, step) if step else SpendRecoveryCode(login.id, totp.recovery_digest(typed), at)
        factor: Factor = "totp" if step else "recovery code"
        try:
            await open_session(login, response, second_factor=True, factor=factor, writes=(spend,))
        except Problem as problem:
            if problem.slug != "spent":
                raise
            error = "This code was already used. Wait for the next one." if step else error
        else:
            return response
    await code_tries.note_wrong(login, session, kind, tries)
    if code_tries.was_the_last(tries):
        return await _sign_in_again(login.username, target)
    return await second_factor_page(login, 422, next=target, error=error)


async def _sign_in_again(username: str, target: str) -> Response:
    """After too many wrong codes, the password is asked for again."""
    response = await login_page(422, next=target, username=username, error=_TOO_MANY_CODES)
    forget_cookie(response)
    return response


@route(blueprint, "/logout", role="public", methods=["POST"])
async def log_out() -> Response:
    """Ends the session; also fine where there is none."""
    session = await current_session()
    if session is not None:
        await close_session(session)
    response = go("/login")
    forget_cookie(response)
    return response


@route(blueprint, "/reauthenticate", role="signed_in", holds_secret=True)
async def reauthenticate_form() -> Response:
    return await ask_for_password(safe_next(request.args.get("next")))


@route(blueprint, "/reauthenticate", role="signed_in", methods=["POST"])
async def reauthenticate() -> Response:
    """Takes the password again (form `password`, `next`); the session may then do what is delicate for a while.

    It goes on under another id. Who confirmed another way meanwhile needs none.
    """
    form = await request.form
    target = safe_next(form.get("next"))
    if actor().kind == "token":
        return go(target)
    password = form.get("password", "")
    problem = None if is_fresh() and not password else await show_password(password)
    return go(target) if problem is None else await ask_for_password(target, problem)


@route(blueprint, "/reauthenticate/done", role="signed_in")
async def confirmed() -> Response:
    """For the window in which a provider was asked, while the form waits in another."""
    return await html("confirmed.html")
