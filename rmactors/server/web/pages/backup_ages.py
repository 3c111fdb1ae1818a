"""`/backups`: how old the newest good backup of each plan is against its limit, as a page and as a file."""

from typing import Final

from quart import Blueprint, Response, request

from rmactors.server.store.queries import backup_ages as queries
from rmactors.server.store.queries import pages as page_queries
from rmactors.server.store.queries.backup_ages import AgeRow, place_shape
from rmactors.server.web import rows
from rmactors.server.web.access import route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import in_thread
from rmactors.server.web.pages.lists import cursor, more_href
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.views import backup_ages as views
from rmactors.server.web.views import sheets

blueprint = Blueprint("backup_ages", __name__)

_PAGE: Final = 100
_EXPORTED: Final = 50_000


@route(blueprint, "/backups", role="viewer")
async def backup_list() -> Response:
    """100 at a time; `state`, `tag` and `host` narrow it, `sort` is a column, with `-` in front the other way round."""
    asked, now = views.query_from(request.args), moment()
    after = cursor(place_shape(asked.order.by))
    found = await services().reader.run(queries.backup_ages, asked.wanted, asked.order, now.now, _PAGE, after)
    tags = await services().reader.run(page_queries.tags_in_use)
    view = await in_thread(lambda: views.table(found, asked, tags, now))
    return await page(
        "backups.html", "dashboard", fragments={"age-list": "backups/list.html"}, view=view,
        more=more_href(cursor_text(found.after)),
    )  # fmt: skip


@route(blueprint, "/backups.csv", role="viewer")
async def export() -> Response:
    """All rows under the same filters, in the same order."""
    asked, now = views.query_from(request.args), services().now()
    found = await services().reader.run(queries.backup_ages, asked.wanted, asked.order, now, _EXPORTED)

    def instead(row: AgeRow) -> list[str]:
        return [*[""] * (len(views.SHEET) - 1), f"{rows.cannot()}: {row.age.host.id}"]

    def write() -> str:
        return sheets.table(views.SHEET, rows.each(found.items, lambda row: views.cells(row, now), instead))

    return Response(
        await in_thread(write), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="backups.csv"'},
    )  # fmt: skip
