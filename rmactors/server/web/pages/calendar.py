"""`/calendar`: what runs when, and the load of each hour."""

from quart import Blueprint, Response, request

from rmactors.server.store.queries import calendar as queries
from rmactors.server.store.queries import pages as page_queries
from rmactors.server.web.access import route, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.views import calendar as views
from rmactors.server.web.views import lists

blueprint = Blueprint("calendar", __name__)

_NEXT = 100
"""Runs that are listed one by one."""


@route(blueprint, "/calendar", role="viewer")
async def show_calendar() -> Response:
    """Of the next 24 hours, with `range=7d` of the next 7 days; `tag` narrows it to hosts that have it."""
    asked, now, read = lists.asked(views.CALENDAR, request.args), moment(), services().reader.run
    tag, hours = asked.get("tag"), 168 if asked.get("range") == "7d" else 24
    plan = await read(queries.plan, tag)
    coming = await in_thread(lambda: views.soonest(plan, now.now, _NEXT))
    who = await read(queries.who, [group for _at, group in coming], tag, _NEXT)
    tags = await read(page_queries.tags_in_use)

    def build() -> views.Calendar:
        counted = views.load(plan, views.hour_of(now), now.now, hours)
        return views.calendar(asked, counted, coming, who, tags, now)

    return await page("calendar.html", "hosts", view=await in_thread(build))
