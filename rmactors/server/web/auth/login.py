"""`/login`, the second factor on a page of its own, `/logout`, and showing the password again.

Templates and what they get: `login.html` (`next`, `username`, `error`, `notice`), `second_factor.html` (`next`,
`error`). `error` is a sentence or None; a refused form comes back with 422, or 429 where there were too many tries.
"""

from urllib.parse import quote

from quart import Blueprint, Response, request

from rmactors.server.messages.second_factors import SpendCode, SpendRecoveryCode
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import actor, actor_or_none, authenticate, current_session, route, services, state
from rmactors.server.web.auth import code_tries, second_factor, totp
from rmactors.server.web.auth.proof import ask_for_password, show_password
from rmactors.server.web.auth.sessions import Factor, close_session, forget_cookie, open_session, sign_in_notice
from rmactors.server.web.html import go, html
from rmactors.server.web.problems import Problem
from rmactors.server.web.security import safe_next

blueprint = Blueprint("login", __name__)
_WRONG = "Wrong user name or password."
_TOO_MANY_CODES = "Too many wrong codes. Sign in again with your password."


@route(blueprint, "/login", role="public")
async def login_form() -> Response:
    """The form; a redirect to `/setup` if there are no users yet, or to the next page if already signed in."""
    target = safe_next(request.args.get("next"))
    await authenticate()
    if actor_or_none() is not None:
        return go(target)
    if not await services().reader.run(queries.any_user):
        return go("/setup")
    return await _login_page(next=target, username="", error=None)


@route(blueprint, "/login", role="public", methods=["POST"])
async def log_in() -> Response:
    """303 to where the user wanted to go, or to the page of the second factor."""
    form = await request.form
    username, password, target = form.get("username", "").strip(), form.get("password", ""), safe_next(form.get("next"))
    login_guard = state().login_guard
    try:
        login_guard.check_address()
        login_guard.check_account(username.casefold())
        found = await services().reader.run(queries.login_by_name, username)
        login = await login_guard.try_password(found, password, "user.login")
    except Problem as problem:
        if problem.status != 429:
            raise
        return await _login_page(429, problem, next=target, username=username, error=problem.detail)
    if login is None:
        return await _login_page(422, next=target, username=username, error=_WRONG)
    owes = login.totp_secret is not None
    response = go(f"/login/second-factor?next={quote(target, safe='/')}" if owes else target)
    await open_session(login, response, second_factor=not owes)
    return response


@route(blueprint, "/login/second-factor", role="public")
async def second_factor_form() -> Response:
    """For a browser whose password was right."""
    session = await current_session()
    target = safe_next(request.args.get("next"))
    if session is None:
        return go(f"/login?next={quote(target, safe='/')}")
    return go(target) if session.second_factor else await html("second_factor.html", 200, next=target, error=None)


@route(blueprint, "/login/second-factor", role="public", methods=["POST"])
async def give_second_factor() -> Response:
    """Takes a code of the authenticator or a recovery code, each once (form `code`, `next`)."""
    form = await request.form
    typed, target = form.get("code", "").strip(), safe_next(form.get("next"))
    session = await current_session()
    login = await services().reader.run(queries.login_by_id, session.user_id) if session is not None else None
    if session is None or login is None:
        return go(f"/login?next={quote(target, safe='/')}")
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
        return await html("second_factor.html", 429, problem, next=target, error=problem.detail)
    at = services().now()
    step = totp.matching_step(second_factor.secret_of(login), typed, at) if kind == "totp" else None
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
    return await html("second_factor.html", 422, next=target, error=error)


async def _sign_in_again(username: str, target: str) -> Response:
    """After too many wrong codes, the password is asked for again."""
    response = await _login_page(422, next=target, username=username, error=_TOO_MANY_CODES)
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

    It goes on under another id.
    """
    form = await request.form
    target = safe_next(form.get("next"))
    if actor().kind == "token":
        return go(target)
    problem = await show_password(form.get("password", ""))
    return go(target) if problem is None else await ask_for_password(target, problem)


async def _login_page(status: int = 200, problem: Problem | None = None, **context: object) -> Response:
    return await html("login.html", status, problem, notice=sign_in_notice(), **context)
