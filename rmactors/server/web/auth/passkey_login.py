"""Signing in with a passkey, alone or after the password, and confirming with one who it is.

A browser first fetches what it is to sign (`…/options`), then sends its answer as a form's field `credential`.
"""

from quart import Blueprint, Response, request

from rmactors.server.messages.audit import AppendAudit, Audit
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.accounts import Login
from rmactors.server.web.access import actor, audit, client_address, current_session, route, services, state
from rmactors.server.web.auth import passkeys
from rmactors.server.web.auth.login_pages import login_page, second_factor_page, to_login
from rmactors.server.web.auth.passkeys import NotGood
from rmactors.server.web.auth.sessions import open_session, renew_session
from rmactors.server.web.html import go
from rmactors.server.web.problems import Problem, problem_response
from rmactors.server.web.security import safe_next

blueprint = Blueprint("passkey_login", __name__)


@route(blueprint, "/login/passkey/options", role="public", methods=["POST"])
async def ask_to_sign_in() -> Response:
    return await passkeys.options_to_sign("sign-in")


@route(blueprint, "/login/passkey", role="public", methods=["POST"])
async def sign_in() -> Response:
    """Without user name and password: the passkey says who it is, and its PIN or fingerprint was asked for."""
    form = await request.form
    target = safe_next(form.get("next"))
    try:
        state().login_guard.check_address()
        answered = await passkeys.answered("sign-in", form.get("credential", ""))
        state().login_guard.check_account(f"passkey:{answered.login.id}")
        response = go(target)
        await _open(answered, response)
    except NotGood as error:
        await _note(error.login, "user.login", error.why)
        return await login_page(422, next=target, username="", error=str(error))
    except Problem as problem:
        if problem.status != 429:
            raise
        return await login_page(429, problem, next=target, username="", error=problem.detail)
    return response


@route(blueprint, "/login/second-factor/passkey/options", role="public", methods=["POST"])
async def ask_for_second_factor() -> Response:
    session = await current_session()
    if session is None:
        return problem_response(Problem(401, "Sign in with your password first.", "unauthorized"))
    return await passkeys.options_to_sign("second-factor", session.session_id, session.user_id)


@route(blueprint, "/login/second-factor/passkey", role="public", methods=["POST"])
async def give_second_factor() -> Response:
    """For a browser whose password was right."""
    form = await request.form
    target = safe_next(form.get("next"))
    session = await current_session()
    login = await services().reader.run(queries.login_by_id, session.user_id) if session is not None else None
    if session is None or login is None:
        return to_login(target)
    if session.second_factor:
        return go(target)
    try:
        state().login_guard.check_address()
        state().login_guard.check_account(f"second-factor:{login.id}")
        credential = form.get("credential", "")
        answered = await passkeys.answered("second-factor", credential, session.session_id, login.id)
        response = go(target)
        await _open(answered, response)
    except NotGood as error:
        await _note(error.login or login, "user.second_factor", error.why)
        return await second_factor_page(login, 422, next=target, error=None, passkey_error=str(error))
    except Problem as problem:
        if problem.status != 429:
            raise
        return await second_factor_page(login, 429, problem, next=target, error=problem.detail)
    return response


@route(blueprint, "/reauthenticate/passkey/options", role="signed_in", methods=["POST"])
async def ask_to_confirm() -> Response:
    return await passkeys.options_to_sign("prove", actor().session_id, actor().id)


@route(blueprint, "/reauthenticate/passkey", role="signed_in", methods=["POST"])
async def confirm() -> Response:
    """In place of the password (form `credential`): 204, and the page sends its form on. Else a problem to show."""
    who, form = actor(), await request.form
    try:
        state().login_guard.check_account(f"proof:{who.id}")
        answered = await passkeys.answered("prove", form.get("credential", ""), who.session_id, who.id)
        record = audit("user.reauthenticate", "user", who.id, "passkey")
        await renew_session(*answered.writes, proved=True, audit=record)
    except NotGood as error:
        await _note(error.login, "user.reauthenticate", error.why)
        return problem_response(Problem(422, str(error), "invalid"))
    except Problem as problem:
        if problem.status != 429 and problem.slug not in passkeys.REFUSED:
            raise
        return problem_response(Problem(problem.status, passkeys.REFUSED.get(problem.slug, problem.detail)))
    return Response("", 204)


async def _open(answered: passkeys.Answered, response: Response) -> None:
    """Raises NotGood where another answer was quicker: the same one sent twice, or that of a copy."""
    try:
        await open_session(answered.login, response, second_factor=True, factor="passkey", writes=answered.writes)
    except Problem as problem:
        if (sentence := passkeys.REFUSED.get(problem.slug)) is None:
            raise
        raise NotGood(sentence, problem.detail, answered.login) from None


async def _note(login: Login | None, action: str, why: str) -> None:
    name, user_id = (login.username, login.id) if login is not None else ("unknown", "")
    row = Audit(services().now(), name, "user", action, "user", user_id, client_address(), "failed", f"passkey: {why}")
    await services().ask_store(AppendAudit(row))
