"""Status pages: made, ended, and what a secret address leads to.

Who asks with an address is a stranger. Each answer is made of what was read at most some seconds ago, once for all
pages and askers, so that a badge in a popular place costs the server next to nothing. An address is looked up by its
digest in memory: a wrong one costs no query, and takes as long as a right one.
"""

from dataclasses import dataclass, field
from typing import Annotated, Final, Literal

import trio
from msgspec import Meta, Struct
from quart import current_app

from rmactors.common import clock, ids
from rmactors.server.config import tokens
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.messages.status_pages import CreateStatusPage, DeleteStatusPage
from rmactors.server.store.queries import status_pages as queries
from rmactors.server.store.queries.status_pages import StatusPageRow, Watched
from rmactors.server.web.access import actor, audit, client_address, is_id, services
from rmactors.server.web.auth.throttle import Throttle
from rmactors.server.web.html import in_thread
from rmactors.server.web.problems import Problem, invalid_field, not_found, raise_for_answer, too_many
from rmactors.server.web.validation import one_line_each
from rmactors.server.web.views import status_pages as views
from rmactors.server.web.views.status_pages import StatusView
from rmactors.server.web.views.texts import _

MOST_PAGES: Final = 200
HEADERS: Final = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex, nofollow"}
"""Of all that has a secret address."""
FRESH: Final = 5 * clock.SECOND
"""How old what is shown may be."""
_WRONG_AT_ONCE: Final = 20
_WRONG_SECONDS: Final = 3.0
_KEY: Final = "rmactors.status_pages"

Tag = Annotated[str, Meta(min_length=1, max_length=100)]


class StatusPageBody(Struct, forbid_unknown_fields=True):
    """`host_tags`: any of them matches, none means every host. `overview` shows numbers, `hosts` names too."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    host_tags: Annotated[list[Tag], Meta(max_length=100)] = []
    show: Literal["overview", "hosts"] = "overview"


@dataclass(frozen=True, slots=True)
class Created:
    """A new page, and the secret of its address, which is told once."""

    row: StatusPageRow
    token: str


async def create(body: StatusPageBody) -> Created:
    """Raises Problem 409 or 422."""
    name = body.name.strip()
    if not name:
        raise invalid_field("/name", "must not be empty")
    one_line_each("/name", name)
    one_line_each("/host_tags", *body.host_tags)
    page_id, token, at = ids.new(), tokens.make(tokens.STATUS), services().now()
    record = audit("status_page.create", "status_page", page_id, f"{name}, shows {body.show}")
    tags = tuple(dict.fromkeys(body.host_tags))
    write = CreateStatusPage(page_id, name, tags, body.show, tokens.digest(token), actor().name, at, MOST_PAGES, record)
    raise_for_answer(await services().ask_store(write), "status page")
    _known().forget()
    return Created(await require(page_id), token)


async def remove(page_id: str) -> None:
    """Raises Problem 404."""
    row = await require(page_id)
    record = audit("status_page.delete", "status_page", page_id, row.name)
    raise_for_answer(await services().ask_store(DeleteStatusPage(page_id, record)), "status page")
    _known().forget()


async def require(page_id: str) -> StatusPageRow:
    """The page, or the 404."""
    row = await services().reader.run(queries.status_page, page_id) if is_id(page_id) else None
    if row is None:
        raise not_found("status page")
    return row


def address(token: str) -> str:
    """What is handed on."""
    return f"{services().settings.public_url}/status/{token}"


async def at_address(token: str) -> StatusView:
    """What the secret address leads to. Raises Problem 404, or 429 where an address tries many that lead nowhere."""
    known, now = _known(), services().now()
    row = (await known.pages(now)).get(tokens.digest(token))
    if row is None:
        wait = known.wrong.wait(throttle_key(client_address()), now)
        if wait:
            raise too_many(_("Too many requests. Wait a moment."), -(-wait // clock.SECOND))
        raise Problem(404, _("There is no status page at this address: it was cut off, or the page has ended."))
    return await known.view(row, now)


@dataclass
class _Known:
    """What was read lately, for all who ask."""

    wrong: Throttle = field(default_factory=lambda: Throttle(_WRONG_AT_ONCE, _WRONG_SECONDS))
    _reading: trio.Lock = field(default_factory=trio.Lock)
    _pages: dict[str, StatusPageRow] | None = None
    _pages_at: int = 0
    _changes: int = 0
    _watched: Watched | None = None
    _watched_at: int = 0
    _views: dict[str, StatusView] = field(default_factory=dict)

    def forget(self) -> None:
        """A page was made or ended: what is being read may lack it, or have it still."""
        self._pages = None
        self._changes += 1

    async def pages(self, now: int) -> dict[str, StatusPageRow]:
        async with self._reading:
            if self._pages is None or not 0 <= now - self._pages_at < FRESH:
                changes = self._changes
                found = await services().reader.run(queries.by_digest)
                if changes == self._changes:
                    self._pages, self._pages_at = found, now
                return found
            return self._pages

    async def view(self, row: StatusPageRow, now: int) -> StatusView:
        async with self._reading:
            if self._watched is None or not 0 <= now - self._watched_at < FRESH:
                self._watched = await services().reader.run(queries.watched)
                self._watched_at = now
                self._views.clear()
            found = self._views.get(row.id)
            if found is None:
                watched, at = self._watched, self._watched_at
                found = self._views[row.id] = await in_thread(lambda: views.judged(row, watched, at))
            return found


def _known() -> _Known:
    found: _Known = current_app.extensions.setdefault(_KEY, _Known())
    return found
