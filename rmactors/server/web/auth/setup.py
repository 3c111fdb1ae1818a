"""The first run: a one-time token on the console and in a 0600 file, and the form that takes it.

No default password, and the first visitor does not win: the person who creates the first admin has read the server's
console or its data dir.
"""

import os
from pathlib import Path

import trio
from quart import Blueprint, Response, request

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateFirstUser, CreateSetupToken
from rmactors.server.messages.answers import Committed, Refused
from rmactors.server.messages.audit import AppendAudit
from rmactors.server.store.offline import commit_here
from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import audit_of, refusal, route, services, state
from rmactors.server.web.auth import names
from rmactors.server.web.auth.sessions import open_session, sign_in_notice
from rmactors.server.web.html import go, html
from rmactors.server.web.problems import raise_for_answer

VALID_FOR = 24 * clock.HOUR
blueprint = Blueprint("setup", __name__)


def token_file(settings: Settings) -> Path:
    return Path(settings.data_dir) / "setup-token"


def make_setup_token(settings: Settings) -> str | None:
    """A fresh setup token, also written to `setup-token` in the data dir; None once a user exists.

    For the server's start, before it serves. An earlier token dies. Raises OSError or DatabaseError.
    """
    token = tokens.make(tokens.SETUP)
    at = clock.now()
    answer = commit_here(settings, CreateSetupToken(tokens.digest(token), at, at + VALID_FOR))
    path = token_file(settings)
    path.unlink(missing_ok=True)
    if isinstance(answer, Refused):
        return None
    if not isinstance(answer, Committed):
        raise OSError(f"the setup token could not be stored: {answer}")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token + "\n")
    return token


@route(blueprint, "/setup", role="public")
async def setup_form() -> Response:
    """Template `setup.html` with `setup_token`, `username`, `errors` {field: sentence}."""
    if await services().reader.run(queries.any_user):
        return go("/login")
    return await _form(request.args.get("setup_token", ""), "", {}, 200)


@route(blueprint, "/setup", role="public", methods=["POST"])
async def set_up() -> Response:
    """Make the first admin and sign them in; the form again with 422 where that was refused."""
    form = await request.form
    token, username, password = (form.get(name, "") for name in ("setup_token", "username", "password"))
    username = username.strip()
    if await services().reader.run(queries.any_user):
        return go("/login")
    login_guard = state().login_guard
    login_guard.check_address()
    errors = {}
    if wrong_name := names.username_problem(username):
        errors["username"] = wrong_name
    if weak := await login_guard.weakness(password, username):
        errors["password"] = weak
    if not token:
        errors["setup_token"] = "Enter the token that the server printed when it started."  # noqa: S105
    if errors:
        return await _form(token, username, errors, 422)
    password_hash = await login_guard.hash(password)
    user_id, at = ids.new(), services().now()
    audit = audit_of(username, user_id, "user.create", "first admin")
    answer = await services().ask_store(
        CreateFirstUser(tokens.digest(token.strip()), user_id, username, password_hash, at, audit)
    )
    if isinstance(answer, Refused):
        wrong = refusal("setup_token.use", "setup_token", "", "wrong, used or expired")
        await services().ask_store(AppendAudit(wrong))
        return await _form(
            token, username, {"setup_token": f"{answer.detail.capitalize()}. A restart prints a new one."}, 422
        )
    raise_for_answer(answer)
    path = trio.Path(token_file(services().settings))
    await path.unlink(missing_ok=True)
    response = go("/")
    login = await services().reader.run(queries.login_by_id, user_id)
    if login is not None:
        await open_session(login, response, second_factor=True)
    return response


async def _form(setup_token: str, username: str, errors: dict[str, str], status: int) -> Response:
    return await html(
        "setup.html", status, setup_token=setup_token, username=username, errors=errors, notice=sign_in_notice()
    )
