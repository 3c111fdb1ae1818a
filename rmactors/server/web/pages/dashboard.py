"""`/`: how things are, in one sentence, every host with what it needs, and the backups that are oldest against their
limits."""

from quart import Blueprint, Response, request

from rmactors.server.store.queries import backup_ages as age_queries
from rmactors.server.web.access import route, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.host_lists import around, host_table
from rmactors.server.web.pages.lists import followed
from rmactors.server.web.pages.rendering import moment, page, part, wants_fragment
from rmactors.server.web.views import backup_ages, fleet, host_lists, lists
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("dashboard", __name__)

_SHOWN = 50
_AGES_SHOWN = 10
"""Plans, the worst first; `/backups` has the rest."""
_AGES_AT_ONCE = 1_000
"""Hosts; of a larger fleet they are fetched when somebody scrolls there, for every plan is looked at."""


@route(blueprint, "/", role="viewer")
async def dashboard() -> Response:
    """Those with alerts come first, 50 at a time; narrowed and sorted as `/hosts`."""
    now = moment()
    if wants_fragment("ages"):
        return await part("dashboard/ages.html", ages=await _ages(now))
    asked = lists.asked(host_lists.OVERVIEW, request.args)
    found, table = await host_table(asked, now, _SHOWN)
    if wants_fragment("host-list"):
        return followed(await part("hosts/list.html", view=table, **around()), asked)
    overview = await in_thread(lambda: fleet.dashboard(found, now))
    if wants_fragment("overview"):
        return await part("dashboard/overview.html", overview=overview)
    ages = await _ages(now) if 0 < found.host_count <= _AGES_AT_ONCE else None
    return await page("dashboard.html", "dashboard", view=overview, hosts=table, ages=ages, **around())


async def _ages(now: Moment) -> backup_ages.AgeGlance:
    """The part of the page that shows them: it costs the more the more plans there are, so it is made apart."""
    everything, worst = backup_ages.EVERYTHING, backup_ages.WORST_FIRST
    found = await services().reader.run(age_queries.backup_ages, everything, worst, now.now, _AGES_SHOWN)
    return await in_thread(lambda: backup_ages.glance(found, now))
