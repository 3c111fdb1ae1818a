"""HTML: the one environment of templates, rendered in a thread, and how an answer leads to another page.

Rendering happens beside the event loop, so that a large page delays no notification.
"""

from collections.abc import Callable
from functools import cache, lru_cache
from pathlib import Path
from typing import Final, TypeVar

import jinja2
import jinja2.meta
import trio
from quart import Response, request

from rmactors import PRODUCT, __version__
from rmactors.server.config import resources
from rmactors.server.web.access import actor_or_none, is_htmx, services
from rmactors.server.web.problems import Problem
from rmactors.server.web.security import safe_next
from rmactors.server.web.static_files import static
from rmactors.server.web.views import texts
from rmactors.server.web.views.fleet import HostLine
from rmactors.server.web.views.shell import TABS
from rmactors.server.web.views.storage import Storage, storage
from rmactors.server.web.views.zones import zone_groups

T = TypeVar("T")

THEME_COOKIE: Final = "rm-theme"
_LIMITER: Final = trio.CapacityLimiter(1)
"""Pages rendered at once: rendering is the processor's work. More threads would not make it faster, and each would take
its turn before an ack has its next."""
_FIRST: Final = ("dashboard.html", "hosts/row.html")
"""What people open first after a start."""
_ROWS_KEPT: Final = 2048
"""About 1 KiB each."""


async def render(template: str, **context: object) -> str:
    """The template's text, rendered in a thread. `user` is None on pages of those who are not signed in."""
    user = actor_or_none()
    query = request.query_string.decode("ascii", "ignore")
    everywhere = {
        "product": PRODUCT,
        "version": __version__,
        "user": user,
        "theme": theme_of(user.theme if user is not None else None),
        "cookie_warning": not services().settings.cookie_secure,
        "storage": await _storage() if user is not None else None,
        "several_nodes": not isinstance(services().settings.place, Path),
        "here": request.path + (f"?{query}" if query else ""),
    }
    return await in_thread(lambda: environment().get_template(template).render(**(everywhere | context)))


async def _storage() -> Storage | None:
    found = services()
    place = found.settings.place
    return storage(place) if isinstance(place, Path) else await found.server_storage.look(found.reader)


def theme_of(chosen: str | None) -> str:
    """`light`, `dark`, or empty: as the system says. What the user chose, else what this browser did before."""
    said = chosen or request.cookies.get(THEME_COOKIE, "")
    return said if said in ("light", "dark") else ""


async def piece(template: str, **context: object) -> str:
    """A template that needs nothing of the request; also outside of one."""
    return await in_thread(lambda: environment().get_template(template).render(**context))


async def in_thread(build: Callable[[], T]) -> T:
    """For view models of large pages."""
    return await trio.to_thread.run_sync(build, limiter=_LIMITER)


async def html(template: str, status: int = 200, problem: Problem | None = None, **context: object) -> Response:
    """A whole answer. With a problem its status and headers count."""
    text = await render(template, **context)
    response = Response(text, status, content_type="text/html; charset=utf-8")
    if problem is not None:
        response.status_code = problem.status
        response.headers.update(problem.headers)
    return response


def go(path: str) -> Response:
    """303 to a page of ours; for htmx 204 with `HX-Redirect`."""
    target = safe_next(path)
    if is_htmx():
        response = Response("", 204, {"HX-Redirect": target})
        response.headers.pop("Content-Type", None)
        return response
    return Response("", 303, {"Location": target})


async def compile_first_page() -> None:
    """Before people can ask for it: it would take them three times as long while ten thousand hosts are loaded."""
    await in_thread(_compile_first_page)


def _compile_first_page() -> None:
    templates = environment()
    loader = templates.loader
    assert loader is not None
    left, compiled = list(_FIRST), set[str]()
    while left:
        name = left.pop()
        compiled.add(name)
        templates.get_template(name)
        source, _, _ = loader.get_source(templates, name)
        found = jinja2.meta.find_referenced_templates(templates.parse(source))
        left += {other for other in found if other is not None} - compiled


@cache
def environment() -> jinja2.Environment:
    """All templates, and what is in reach of each."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(resources.path("web/templates")), autoescape=True,
        trim_blocks=True, lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )  # fmt: skip
    made.install_gettext_translations(texts.translations, newstyle=True)  # type: ignore[attr-defined]
    made.globals |= {
        "tabs": TABS, "static": static, "zone_groups": zone_groups,
        "host_row": _kept(made, "hosts/row.html", "host_row"),
    }  # fmt: skip
    return made


def _kept(templates: jinja2.Environment, template: str, macro: str) -> Callable[[HostLine, bool, str], str]:
    """A template's macro that remembers what it made of which line: lists are fetched again and again, and most of
    their rows look as they did before. What it gives is markup."""

    @lru_cache(maxsize=_ROWS_KEPT)
    def made(line: HostLine, pick: bool = False, group: str = "") -> str:
        row: str = getattr(templates.get_template(template).module, macro)(line, pick, group)
        return row

    return made
