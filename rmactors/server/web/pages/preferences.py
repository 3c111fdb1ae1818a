"""How pages look: the theme, also before one signs in, and the list of time zones."""

from typing import Literal

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.server.messages.accounts import SetTheme
from rmactors.server.web.access import actor_or_none, authenticate, route, services
from rmactors.server.web.html import THEME_COOKIE
from rmactors.server.web.pages.rendering import back, fragment
from rmactors.server.web.problems import Problem, raise_for_answer
from rmactors.server.web.views.texts import _

blueprint = Blueprint("preferences", __name__)
_THEMES: tuple[Literal["system", "light", "dark"], ...] = ("system", "light", "dark")


@route(blueprint, "/account/theme", role="public", methods=["POST"])
async def set_theme() -> Response:
    """Form `theme`: `system`, `light` or `dark`. Kept in the account of who is signed in, and in the browser for the
    pages before that."""
    said = (await request.form).get("theme")
    theme = next((each for each in _THEMES if each == said), None)
    if theme is None:
        raise Problem(422, _("A theme is system, light or dark."), "invalid")
    await authenticate()
    who = actor_or_none()
    if who is not None and who.kind == "user":
        raise_for_answer(await services().ask_store(SetTheme(who.id, theme)), "user")
    response = await back("/")
    response.set_cookie(
        THEME_COOKIE, theme, max_age=365 * clock.DAY // clock.SECOND, path="/",
        secure=services().settings.cookie_secure, httponly=True, samesite="Lax",
    )  # fmt: skip
    return response


@route(blueprint, "/account/zones", role="signed_in")
async def zones() -> Response:
    """The options of a list of time zones, for the menu of every page: fetched when somebody is about to choose."""
    response = await fragment("parts/zone_options.html")
    response.headers["Cache-Control"] = "private, max-age=86400"
    return response
