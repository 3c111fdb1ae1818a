"""`/hosts`: the fleet, narrowed, sorted and page by page; the same as a sheet; names for fields that take a host."""

from typing import Any

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.server.store.queries import host_lists as list_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries.host_lists import TagCount
from rmactors.server.store.queries.pages import Fleet
from rmactors.server.web import rows
from rmactors.server.web.access import route, services
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.lists import EXPORTED, followed, sheet
from rmactors.server.web.pages.rendering import fragment, known_progress, moment, page, wants_fragment
from rmactors.server.web.views import fleet, host_lists, lists, sheets, strips
from rmactors.server.web.views.host_lists import HostTable
from rmactors.server.web.views.lists import Asked
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("host_lists", __name__)

_PAGE = 100
_NAMES = 20


@route(blueprint, "/hosts", role="viewer")
async def host_list() -> Response:
    """100 at a time. `q`, `tag` and `status` narrow it, `sort` is a column, with `-` in front the other way round;
    `group=tag` puts the hosts of each tag together."""
    asked = lists.asked(host_lists.HOSTS, request.args)
    _found, table = await host_table(asked, moment(), _PAGE)
    answer = await page("hosts.html", "hosts", fragments={"host-list": "hosts/list.html"}, view=table, **around())
    return followed(answer, asked)


@route(blueprint, "/hosts.csv", role="viewer")
async def host_sheet() -> Response:
    """All hosts under the same filters, in the same order."""
    asked = lists.asked(host_lists.HOSTS, request.args)
    now, silence = services().now(), services().settings.offline_after_seconds
    wanted = host_lists.wanted(asked, now, silence, EXPORTED)
    found = await services().reader.run(
        list_queries.sheet, wanted.wanted, wanted.sort, wanted.heard_since, EXPORTED
    )  # fmt: skip

    def instead(row: list_queries.SheetRow) -> list[str]:
        return [rows.cannot(), *[""] * (len(host_lists.SHEET) - 2), row.id]

    def write() -> str:
        cells = rows.each(found, lambda row: host_lists.cells(row, now, silence), instead)
        return sheets.table(host_lists.SHEET, cells)

    return await sheet("hosts", write)


@route(blueprint, "/hosts/names", role="viewer")
async def host_names() -> Response:
    """Options for a field that takes a host's name: those that have what was typed (`host`) in them."""
    q = request.args.get("host", "").replace("\0", "")[: lists.LONGEST]
    found = await services().reader.run(queries.names_like, q, _NAMES)
    return await fragment("hosts/names.html", names=found)


async def host_table(asked: Asked, now: Moment, size: int) -> tuple[Fleet, HostTable]:
    """The part of a page that lists hosts."""
    silence = services().settings.offline_after_seconds
    wanted = host_lists.wanted(asked, now.now, silence, size)
    spans = strips.window(now).spans()

    bare = wants_fragment("host-list")  # the filters stay as they are

    def look(db: Any) -> tuple[Fleet, list[TagCount]]:
        tags = [] if bare else list_queries.tag_counts(db)
        return queries.fleet(db, spans, now.now - clock.DAY, wanted), tags

    found, tags = await services().reader.run(look)
    percents = known_progress(found.running)

    def build() -> HostTable:
        return host_lists.table(found, fleet.host_lines(found, now, silence, percents), asked, tags, size)

    return found, await in_thread(build)


def around() -> dict[str, Any]:
    """What the list's template shows beside its rows."""
    return {"legend": strips.legend()}
