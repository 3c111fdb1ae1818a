"""How pages become HTML: templates rendered in a thread, fragments for htmx, where a form leads back to.

Rendering happens beside the event loop, so that a large page delays no notification.
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar, cast

import jinja2
import trio
from quart import Blueprint, Quart, Response, current_app, request
from quart.blueprints import BlueprintSetupState

from rmactors import PRODUCT, __version__
from rmactors.common import clock
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web.access import actor, is_htmx, route, services, way_back
from rmactors.server.web.problems import Problem
from rmactors.server.web.security import safe_next
from rmactors.server.web.views import people, texts
from rmactors.server.web.views.fleet import HostLine
from rmactors.server.web.views.shell import TABS, Section, Shell
from rmactors.server.web.views.storage import storage
from rmactors.server.web.views.times import Moment, zone_named

T = TypeVar("T")

blueprint = Blueprint("shell", __name__)
_LIMITER: Final = trio.CapacityLimiter(2)
"""Pages rendered at once: rendering is the processor's work, more threads would not make it faster."""
_ALARM_STANDS: Final = 7 * clock.DAY
"""How long pages tell of codes that were tried, unless the password changes sooner."""
_ROWS_KEPT: Final = 2048
"""About 1 KiB each."""


def _prepare(setup: BlueprintSetupState) -> None:
    """Give the templates their texts, and pages an environment that renders without the event loop."""
    app = cast(Quart, setup.app)
    app.jinja_env.add_extension("jinja2.ext.i18n")
    app.jinja_env.install_gettext_translations(texts.translations, newstyle=True)  # type: ignore[attr-defined]
    app.jinja_env.globals["tabs"] = TABS
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    pages = app.jinja_env.overlay(enable_async=False)
    app.extensions["rmactors.pages"] = pages
    pages.globals["host_row"] = _kept(pages, "hosts/row.html", "host_row")


def _kept(environment: jinja2.Environment, template: str, macro: str) -> Callable[[HostLine], str]:
    """A template's macro that remembers what it made of which line: lists are fetched again and again, and most of
    their rows look as they did before. What it gives is markup."""

    @lru_cache(maxsize=_ROWS_KEPT)
    def made(line: HostLine) -> str:
        row: str = getattr(environment.get_template(template).module, macro)(line)
        return row

    return made


blueprint.record_once(_prepare)


def moment() -> Moment:
    """The present, in the zone of whoever looks."""
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
        return await fragment(fragments[wanted], status=status, **context)
    now = moment()
    counted, tried = await services().reader.run(queries.around_a_page, now.now - _ALARM_STANDS)
    shell = Shell(counted.open, counted.critical)
    alarms = people.alarms(tried, actor().may("admin"), actor().id, now)
    return _html(await render(template, section=section, shell=shell, alarms=alarms, **context), status)


async def fragment(template: str, *, status: int = 200, **context: Any) -> Response:
    """A piece of a page."""
    return _html(await render(template, **context), status)


async def render(template: str, **context: Any) -> str:
    """The template's text, rendered in a thread."""
    environment = cast(jinja2.Environment, current_app.extensions["rmactors.pages"])
    query = request.query_string.decode("ascii", "ignore")
    everywhere = {
        "product": PRODUCT,
        "version": __version__,
        "user": actor(),
        "cookie_warning": not services().settings.cookie_secure,
        "storage": storage(services().settings.database),
        "here": request.path + (f"?{query}" if query else ""),
    }
    return await in_thread(lambda: environment.get_template(template).render(**everywhere, **context))


async def in_thread(build: Callable[[], T]) -> T:
    """For view models of large pages."""
    return await trio.to_thread.run_sync(build, limiter=_LIMITER)


def known_progress(running: Mapping[str, JobRow]) -> dict[str, float]:
    """How far these jobs are, in percent by job, as far as agents said."""
    frames = ((job.id, services().progress(job.id)) for job in running.values())
    return {job_id: frame.percent for job_id, frame in frames if frame is not None}


def go(path: str) -> Response:
    """303 to a page of ours; for htmx 204 with `HX-Redirect`."""
    target = safe_next(path)
    if is_htmx():
        response = Response("", 204, {"HX-Redirect": target})
        response.headers.pop("Content-Type", None)
        return response
    return Response("", 303, {"Location": target})


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


def _html(text: str, status: int) -> Response:
    return Response(text, status, content_type="text/html; charset=utf-8", headers={"Vary": "HX-Request, HX-Target"})
