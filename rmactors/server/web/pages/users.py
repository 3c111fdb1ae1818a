"""`/settings/users`: who may come in, with which role, and API tokens. For administrators."""

from quart import Blueprint, Response, request

from rmactors.common.vocabulary import ROLES, Role
from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries.accounts import UserRow
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go
from rmactors.server.web.operations import users
from rmactors.server.web.operations.users import TokenBody, UserChange
from rmactors.server.web.pages.rendering import field_errors, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import people
from rmactors.server.web.views.texts import _

blueprint = Blueprint("users", __name__)

_SHOWN = 200


@route(blueprint, "/settings/users", role="admin")
async def user_list() -> Response:
    return await _page({})


@route(blueprint, "/settings/users", role="admin", methods=["POST"], fresh=True)
async def create_user() -> Response:
    form = await request.form
    try:
        await users.create((form.get("username") or "").strip(), form.get("password", ""), _role(form.get("role")))
    except Problem as problem:
        typed = {"username": form.get("username", ""), "role": form.get("role", "")}
        return await _page(field_errors(problem), status=422, typed=typed)
    return go("/settings/users")


@route(blueprint, "/settings/users/<user_id>", role="admin")
async def show_user(user_id: str) -> Response:
    """One user, and the forms to change and delete them."""
    return await _user_page(await users.require(user_id), {})


@route(blueprint, "/settings/users/<user_id>", role="admin", methods=["POST"], fresh=True)
async def change_user(user_id: str) -> Response:
    """Role, password, disabled (form `role`, `password`, `disabled`); any change ends the user's sessions.

    Disabling ends the tokens that they made (form `end_tokens`).
    """
    row = await users.require(user_id)
    form = await request.form
    change = UserChange(role=_role(form.get("role")), disabled=form.get("disabled") == "1")
    if password := form.get("password"):
        change.password = password
    try:
        await users.change(row, change, end_tokens=None if form.get("end_tokens") == "1" else False)
    except Problem as problem:
        return await _user_page(row, field_errors(problem), status=problem.status)
    return go("/settings/users")


@route(blueprint, "/settings/users/<user_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_user(user_id: str) -> Response:
    """With the name typed (form `confirm`); the tokens that they made end with them (form `end_tokens`)."""
    row = await users.require(user_id)
    form = await request.form
    if (form.get("confirm") or "").strip() != row.username:
        return await _user_page(row, {"confirm": _("This is not the user's name.")}, status=422)
    try:
        await users.remove(row, end_tokens=form.get("end_tokens") == "1")
    except Problem as problem:
        return await _user_page(row, {"form": problem.detail}, status=field_status(problem))
    return go("/settings/users")


@route(blueprint, "/settings/tokens", role="admin", methods=["POST"], fresh=True)
async def create_token() -> Response:
    """Shows the token, this once."""
    form = await request.form
    name, days = (form.get("name") or "").strip(), (form.get("expires_days") or "").strip()
    errors = {}
    if not 1 <= len(name) <= 100:
        errors["token.name"] = _("A name has 1 to 100 characters.")
    try:
        expires = float(days) if days else None
        if expires is not None and not 0 < expires <= 36_500:
            raise ValueError
    except ValueError:
        expires = None
        errors["token.expires_days"] = _("Give a number of days, or leave it empty.")
    token = ""
    if not errors:
        try:
            _token_id, token = await users.new_token(TokenBody(name, _role(form.get("role")), expires))
        except Problem as problem:
            errors = {f"token.{field}": text for field, text in field_errors(problem).items()}
    return await _page(errors, status=422 if errors else 200, token=token)


@route(blueprint, "/settings/tokens/<token_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_token(token_id: str) -> Response:
    await users.revoke(token_id)
    return go("/settings/users")


def field_status(problem: Problem) -> int:
    """409 where it cannot be done as things are; the rest goes to the page of errors."""
    if problem.status != 409:
        raise problem
    return 409


async def _page(
    errors: dict[str, str], *, status: int = 200, typed: dict[str, str] | None = None, token: str = ""
) -> Response:
    read, now = services().reader.run, moment()
    users, tokens = await read(queries.users, _SHOWN), await read(queries.tokens, _SHOWN)
    return await page(
        "settings/users.html", "settings", status=status, users=people.user_lines(users.items, actor().id, now),
        tokens=people.token_lines(tokens.items, now), roles=[(role, role.capitalize()) for role in reversed(ROLES)],
        errors=errors, typed=typed or {}, token=token, tab="users",
    )  # fmt: skip


async def _user_page(row: UserRow, errors: dict[str, str], *, status: int = 200) -> Response:
    [line] = people.user_lines([row], actor().id, moment())
    return await page(
        "settings/user.html", "settings", status=status, each=line, errors=errors, tab="users",
        roles=[(role, role.capitalize()) for role in reversed(ROLES)],
    )  # fmt: skip


def _role(text: str | None) -> Role:
    return next((role for role in ROLES if role == text), "viewer")
