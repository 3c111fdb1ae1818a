"""`/`: how things are, in one sentence, every host with what it needs, and the backups that are oldest against their
limits."""

from quart import Blueprint, Response

from rmactors.common import clock
from rmactors.server.store.queries import backup_ages as age_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.rendering import known_progress, moment, page, part, wants_fragment
from rmactors.server.web.views import backup_ages, fleet, strips
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("dashboard", __name__)

_SHOWN = 60
"""Hosts on the dashboard; those with alerts come first, `/hosts` has the rest."""
_AGES_SHOWN = 10
"""Plans, the worst first; `/backups` has the rest."""


@route(blueprint, "/", role="viewer")
async def dashboard() -> Response:
    now = moment()
    if wants_fragment("ages"):
        return await part("dashboard/ages.html", ages=await _ages(now))
    spans = strips.window(now).spans()
    found = await services().reader.run(queries.fleet, spans, now.now - clock.DAY, _SHOWN)
    silence, percents = services().settings.offline_after_seconds, known_progress(found.running)
    view = await in_thread(lambda: fleet.dashboard(found, fleet.host_lines(found, now, silence, percents), now))
    if wants_fragment("overview"):
        return await part("dashboard/overview.html", view=view, legend=strips.legend())
    ages = None if view.first_run else await _ages(now)
    return await page("dashboard.html", "dashboard", view=view, legend=strips.legend(), ages=ages)


async def _ages(now: Moment) -> backup_ages.AgeGlance:
    """The part of the page that shows them: it costs the more the more plans there are, so it is made apart."""
    everything, worst = backup_ages.EVERYTHING, backup_ages.WORST_FIRST
    found = await services().reader.run(age_queries.backup_ages, everything, worst, now.now, _AGES_SHOWN)
    return await in_thread(lambda: backup_ages.glance(found, now))
