"""Pages and their fragments for htmx, the errors of a form, and the page that a form leads back to."""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import live_parts
from rmactors.server.web.access import actor, is_htmx, route, services, way_back
from rmactors.server.web.html import go, html
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import done, people, texts
from rmactors.server.web.views.shell import Section, Shell, channel_notice
from rmactors.server.web.views.times import Moment, zone_named

T = TypeVar("T")

blueprint = Blueprint("shell", __name__)
_ALARM_STANDS: Final = 7 * clock.DAY
"""How long pages tell of codes that were tried, unless the password changes sooner."""


def moment() -> Moment:
    """The present, in the viewer's zone."""
    return Moment(services().now(), zone_named(actor().timezone))


async def page(
    template: str,
    section: Section,
    *,
    status: int = 200,
    fragments: Mapping[str, str] | None = None,
    **context: Any,
) -> Response:
    """A page, or the part of it that htmx asks for.

    `fragments` maps ids of elements to the templates that hold just these: a request whose `HX-Target` is one of
    them gets it alone.
    """
    wanted = request.headers.get("HX-Target", "") if is_htmx() else ""
    if fragments and wanted in fragments:
        return await part(fragments[wanted], status=status, **context)
    now = moment()
    counted, tried, channels = await services().reader.run(queries.around_a_page, now.now - _ALARM_STANDS)
    shell = Shell(counted.open, counted.critical, channel_notice(channels, actor().may("operator")))
    told = done.sentence(request.args.get(done.PARAMETER, ""))
    alarms = people.alarms(tried, actor().may("admin"), actor().id, now)
    around = {"section": section, "shell": shell, "alarms": alarms, "just_done": told}
    return await fragment(template, status=status, **around, **context)


async def part(template: str, *, status: int = 200, **context: Any) -> Response:
    """A live part of a page: no more of it than the browser lacks."""
    response = await fragment(template, status=status, **context)
    await live_parts.shorten(response)
    return response


def wants_fragment(element_id: str) -> bool:
    """Whether htmx asks for the part of a page that stands in this element."""
    return is_htmx() and request.headers.get("HX-Target") == element_id


async def fragment(template: str, *, status: int = 200, **context: Any) -> Response:
    """A piece of a page."""
    response = await html(template, status, **context)
    response.headers["Vary"] = "HX-Request, HX-Target, Accept"
    return response


def known_progress(running: Mapping[str, JobRow]) -> dict[str, float]:
    """How far these jobs are, in percent by job, as far as agents said."""
    frames = ((job.id, services().progress(job.id)) for job in running.values())
    return {job_id: frame.percent for job_id, frame in frames if frame is not None}


async def back(default: str) -> Response:
    """To the page whose form this was: the form's own `next`, else where the browser says it came from."""
    form = await request.form
    if given := form.get("next"):
        return go(given)
    came_from = way_back()
    return go(default if came_from == "/" else came_from)


def field_errors(problem: Problem) -> dict[str, str]:
    """What a 422 or 409 says, by the name of the form's field; `form` for what is no field's. Raises it otherwise."""
    if problem.status not in {409, 422}:
        raise problem
    if not problem.errors:
        return {"form": problem.detail}
    return {_field(error.pointer): _sentence(error.detail) for error in problem.errors}


def _field(pointer: str) -> str:
    """The form's field: what is wrong with one entry of a list stands beside the list."""
    return re.sub(r"(/\d+)+\Z", "", pointer).strip("/").replace("/", ".")


def _sentence(text: str) -> str:
    """What an API says of a field, as one reads it below that field."""
    if text[:1].islower() and text.split(" ", 1)[0] in {"must", "is", "needs"}:
        text = f"{texts._('This')} {text}"
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


@route(blueprint, "/shell/badge", role="viewer")
async def badge() -> Response:
    """The number beside `Alerts`, and what the browser's tab shows."""
    counted = await services().reader.run(queries.open_alerts)
    return await fragment("shell/badge.html", shell=Shell(counted.open, counted.critical))
