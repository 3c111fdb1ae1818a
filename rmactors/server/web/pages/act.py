"""`/act/<token>`: the page behind the link in a message, on which that one alert is acknowledged or silenced, or a
backup that looks wrong is said to be meant.

Who has the link may. Programs that scan mail fetch every link: GET and HEAD change nothing, only the button does. The
page shows that one alert and leads nowhere else. What a link is about, and when it has ended, `operations/acting.py`
says.
"""

from quart import Blueprint, Response, request

from rmactors.server.web.access import route, services
from rmactors.server.web.html import html
from rmactors.server.web.operations import acting
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import acting as views
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("act", __name__)

_HEADERS = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}
"""The address is a secret: no one is to be told it, or to keep it."""


@route(blueprint, "/act/<token>", role="public", secret_address=True)
async def act_form(token: str) -> Response:
    """The alert and one button. Changes nothing, however often it is fetched."""
    try:
        linked = await acting.require(token)
    except Problem as problem:
        return await _ended(problem)
    return await _page("act/alert.html", page=views.act_page(linked.alert, Moment(services().now())), error=None)


@route(blueprint, "/act/<token>", role="public", methods=["POST"], secret_address=True)
async def act(token: str) -> Response:
    """Does what was chosen (form `choice`; to acknowledge, where there is none) and says so."""
    try:
        linked = await acting.require(token)
        choice = (await request.form).get("choice", views.ACKNOWLEDGE)
        page = views.act_page(linked.alert, Moment(services().now()))
        if choice == views.ACKNOWLEDGE:  # once more is no error: it is so
            await acting.acknowledge(linked)
        elif choice not in {each.value for each in page.choices}:
            return await _page("act/alert.html", 422, page=page, error=_("Choose one of these."))
        elif choice == views.MEANT:
            await acting.meant(linked)
        else:
            await acting.silence(linked, views.SILENCE_HOURS[choice])
    except Problem as problem:
        return await _ended(problem)
    return await _page("act/done.html", page=page, done=views.done(choice))


async def _ended(problem: Problem) -> Response:
    """Why the link does nothing, and nothing else."""
    return await _page("act/ended.html", problem=problem, detail=problem.detail)


async def _page(template: str, status: int = 200, problem: Problem | None = None, **context: object) -> Response:
    response = await html(template, status, problem, cookie_warning=False, **context)
    response.headers.update(_HEADERS)
    return response
