"""`/status/<address>`: how the backups are, for people without an account: a page and a badge. The same as JSON
is in `api/status_pages.py`.

Who has the address may read. It is told to nobody: no referrer, no search engine. A badge may be shown by other sites.
"""

from typing import Final

from quart import Blueprint, Response

from rmactors.server.web.access import route, services
from rmactors.server.web.html import html, piece
from rmactors.server.web.operations import status_pages
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import status_pages as views
from rmactors.server.web.views.badges import badge
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("status", __name__)

_BADGE_SECONDS: Final = 60


@route(blueprint, "/status/<address>", role="public", secret_address=True)
async def status_page(address: str) -> Response:
    """For people. Changes nothing, however often it is fetched."""
    try:
        view = await status_pages.at_address(address)
    except Problem as problem:
        return _secret(await html("status/none.html", problem=problem, cookie_warning=False, detail=problem.detail))
    moment = Moment(services().now())
    return _secret(
        await html(
            "status/page.html",
            cookie_warning=False,
            view=view,
            sentence=views.sentence(view.hosts),
            lines=views.lines(view, moment),
            as_of=moment.exact(view.as_of),
            state=views.state(view.status),
            more=view.hosts.total - len(view.items) if view.items is not None else 0,
        )
    )


@route(blueprint, "/status/<address>/badge.svg", role="public", secret_address=True)
async def status_badge(address: str) -> Response:
    """For a README or a wall: other sites may show it."""
    try:
        view = await status_pages.at_address(address)
    except Problem as problem:
        return _secret(
            Response(problem.detail, problem.status, dict(problem.headers), content_type="text/plain; charset=utf-8")
        )
    drawn = badge(_("backups"), views.badge_words(view.hosts), view.status if view.hosts.total else None)
    response = _secret(
        Response(await piece("status/badge.svg", badge=drawn), content_type="image/svg+xml; charset=utf-8")
    )
    response.headers["Cache-Control"] = f"max-age={_BADGE_SECONDS}"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


def _secret(response: Response) -> Response:
    response.headers.update(status_pages.HEADERS)
    return response
