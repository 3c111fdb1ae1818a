"""Showing the password again: before what is delicate, for a session that showed it too long ago.

A page's form that comes too late is carried on: the page that asks for the password holds what was typed, sealed, and
sends it with the password to where it was going. Nothing that was typed is lost because ten minutes were over, and
no secret in it is shown.
"""

import base64
import binascii
import json
from typing import cast
from urllib.parse import quote

from quart import Response, request
from werkzeug.datastructures import MultiDict

from rmactors.server.config.secrets import SecretError
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries import passkeys as passkey_queries
from rmactors.server.web.access import actor, audit, is_fresh, is_htmx, services, state, way_back
from rmactors.server.web.auth import passkeys
from rmactors.server.web.auth.sessions import renew_session
from rmactors.server.web.html import html
from rmactors.server.web.problems import Problem, for_program, problem_response
from rmactors.server.web.sizes import SizedRequest

PASSWORD, CARRIED = "password_again", "carried_on"
"""Fields of a form that is carried on. No form uses these names for anything else."""


async def prove_first() -> Response | None:
    """The 403 for a request that needs the password again; None where it may go on, with the form that it carries.

    A form is carried on also where the password was shown meanwhile, in another window or by the same page before: it
    must not count as one in which nothing is filled in.
    """
    if for_program() or is_htmx():
        return None if is_fresh() else _refused()
    form = await request.form
    action, sealed = request.full_path.removesuffix("?"), form.get(CARRIED)
    if sealed is None:
        if is_fresh():
            return None
        back = way_back()
        return await ask_for_password(back, status=403, action=action, carried=seal_form(form, back))
    opened = _opened(sealed)
    if opened is None:
        lost = Problem(422, "What you typed before can no longer be read. Go back and type it again.", "invalid")
        return await ask_for_password(way_back(), lost)
    carried, back = opened
    if not is_fresh() and PASSWORD not in form:  # another page held it: nobody was asked yet
        return await ask_for_password(back, status=403, action=action, carried=sealed)
    problem = None if is_fresh() else await show_password(form.get(PASSWORD, ""))
    if problem is not None:
        return await ask_for_password(back, problem, action=action, carried=sealed)
    cast(SizedRequest, request).carried_on = carried
    return None


def _refused() -> Response:
    to_form = {"HX-Redirect": f"/reauthenticate?next={quote(way_back(), safe='/')}"} if is_htmx() else {}
    if not for_program():
        return Response("", 403, to_form)
    return problem_response(Problem(403, "Confirm your password first.", "reauthentication-required", headers=to_form))


async def show_password(typed: str) -> Problem | None:
    """Try the password of the signed-in user. If it is right, their session goes on under another id, and may do
    what is delicate for a while: None. Else a 422 or 429 with a sentence for them."""
    who, login_guard = actor(), state().login_guard
    if who.issuer is not None:
        return Problem(422, "Confirm at the identity provider first, then continue here.", "invalid")
    try:
        login_guard.check_account(f"proof:{who.id}")
        found = await services().reader.run(queries.login_by_id, who.id)
        login = await login_guard.try_password(found, typed, "user.reauthenticate")
    except Problem as problem:
        if problem.status != 429:
            raise
        return problem
    if login is None:
        return Problem(422, "Wrong password.", "invalid")
    await renew_session(proved=True, audit=audit("user.reauthenticate", "user", who.id))
    return None


async def ask_for_password(
    target: str, problem: Problem | None = None, *, status: int = 200, action: str | None = None, carried: str = ""
) -> Response:
    """The page for it, with what is wrong so far. `target` is where "Back" leads, and the right password too; with an
    `action`, the right password goes there, with the form that is `carried` on."""
    who, provider = actor(), services().provider
    by_passkey = bool(await services().reader.run(passkey_queries.credential_ids, who.id))
    return await html(
        "reauthenticate.html", status, problem, next=target, action=action, carried=carried, password=PASSWORD,
        carried_on=CARRIED, error=problem.detail if problem is not None else None, by_provider=who.issuer is not None,
        provider=provider.name if provider is not None else "", by_passkey=by_passkey,
        passkey_trouble=passkeys.trouble() if by_passkey else "", passkey_origin=passkeys.here().origin,
    )  # fmt: skip


def seal_form(form: MultiDict[str, str], back: str) -> str:
    """The form, and the page that it is on: once the password was asked for, the browser names only where it goes. For
    a field `CARRIED` of a form that goes where this one went; what it then sends is this one."""
    text = json.dumps([list(form.items(multi=True)), back])
    return base64.urlsafe_b64encode(services().box.seal(text.encode(), _place())).decode()


def _opened(sealed: str) -> tuple[MultiDict[str, str], str] | None:
    try:
        text = services().box.open(base64.urlsafe_b64decode(sealed.encode()), _place())
    except (binascii.Error, UnicodeError, ValueError, SecretError):
        return None
    form, back = json.loads(text)
    return MultiDict([(name, value) for name, value in form]), back


def _place() -> str:
    return f"carried-on:{actor().id}:{request.path}"
