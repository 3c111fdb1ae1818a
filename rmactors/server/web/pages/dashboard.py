"""`/`: how things are, in one sentence, and every host with what it needs."""

from quart import Blueprint, Response

from rmactors.common import clock
from rmactors.server.store.queries import pages as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.rendering import known_progress, moment, page
from rmactors.server.web.views import fleet, strips

blueprint = Blueprint("dashboard", __name__)

_SHOWN = 60
"""Hosts on the dashboard; those with alerts come first, `/hosts` has the rest."""


@route(blueprint, "/", role="viewer")
async def dashboard() -> Response:
    now = moment()
    spans = strips.window(now).spans()
    found = await services().reader.run(queries.fleet, spans, now.now - clock.DAY, _SHOWN)
    silence, percents = services().settings.offline_after_seconds, known_progress(found.running)
    view = await in_thread(lambda: fleet.dashboard(found, fleet.host_lines(found, now, silence, percents), now))
    return await page(
        "dashboard.html", "dashboard", fragments={"overview": "dashboard/overview.html"}, view=view,
        legend=strips.legend(),
    )  # fmt: skip
