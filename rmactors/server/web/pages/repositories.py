"""`/repositories`: which there are and which one fills the disk, one with its growth, asking about it now."""

from quart import Blueprint, Response, request

from rmactors.server.store.queries import repositories as queries
from rmactors.server.store.queries.repositories import RepositoryView
from rmactors.server.web import rows
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import go, in_thread
from rmactors.server.web.operations import repositories
from rmactors.server.web.pages.lists import cursor, more_href
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import repositories as views
from rmactors.server.web.views import repository_figures as figures
from rmactors.server.web.views import sheets
from rmactors.server.web.views.repository_figures import Sort

blueprint = Blueprint("repositories", __name__)

_PAGE = 100
_SILENT = 50


@route(blueprint, "/repositories", role="viewer")
async def repository_list() -> Response:
    """Sorted by `sort`: the largest first unless it says otherwise."""
    sort = _sort()
    every = await repositories.every(sort)
    found = repositories.some(every, _PAGE, cursor(figures.key_shape(sort)))
    silent = await services().reader.run(queries.silent_hosts, _SILENT)
    now = moment()
    return await page(
        "repositories.html", "repositories", fragments={"repository-list": "repositories/list.html"},
        repositories=rows.each(found.items, lambda view: views.line(view, now), rows.line(views.RepositoryLine)),
        lede=views.lede([view for _key, view in every]), columns=views.columns(sort), sort=sort,
        silent=views.silent(silent), more=more_href(cursor_text(found.after)),
    )  # fmt: skip


@route(blueprint, "/repositories.csv", role="viewer")
async def repository_sheet() -> Response:
    """The same list as a table for spreadsheets."""
    found = [view for _key, view in await repositories.every(_sort())]

    def instead(view: RepositoryView) -> tuple[str, ...]:
        return (view.id, rows.cannot(), *[""] * (len(views.COLUMNS) - 2))

    def write() -> str:
        return sheets.table(views.COLUMNS, rows.each(found, views.cells, instead))

    return Response(
        await in_thread(write), content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="repositories.csv"'},
    )  # fmt: skip


@route(blueprint, "/repositories/<repository_id>", role="viewer")
async def repository_detail(repository_id: str) -> Response:
    return await _detail(await repositories.require(repository_id))


@route(blueprint, "/repositories/<repository_id>/refresh", role="operator", methods=["POST"])
async def refresh_repository(repository_id: str) -> Response:
    """Ask about it now."""
    view = await repositories.require(repository_id)
    try:
        await repositories.refresh(view)
    except Problem as problem:
        if problem.status != 409:
            raise
        return await _detail(view, status=409, error=problem.detail)
    return go(f"/repositories/{view.id}")


async def _detail(view: RepositoryView, *, status: int = 200, error: str = "") -> Response:
    shown = views.page(view, moment(), services().settings.offline_after_seconds)
    return await page(
        "repository.html", "repositories", status=status, fragments={"repository-detail": "repositories/detail.html"},
        repository=shown, error=error, may_act=actor().may("operator"),
    )  # fmt: skip


def _sort() -> Sort:
    given = request.args.get("sort", "")
    return next((sort for sort in figures.SORTS if sort == given), "-size")
