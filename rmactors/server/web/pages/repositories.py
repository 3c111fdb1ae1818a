"""`/repositories`: which there are and which one fills the disk, one with its growth, asking about it now."""

from typing import Any

from quart import Blueprint, Response, request

from rmactors.server.store.queries import pages as page_queries
from rmactors.server.store.queries import repositories as queries
from rmactors.server.store.queries import repository_lists as list_queries
from rmactors.server.store.queries.repositories import RepositoryView, SilentHost
from rmactors.server.store.queries.repository_lists import RepositoryFilter
from rmactors.server.store.queries.rows import Page
from rmactors.server.web import rows
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go, in_thread
from rmactors.server.web.operations import repositories
from rmactors.server.web.pages.lists import EXPORTED, followed, sheet
from rmactors.server.web.pages.rendering import moment, page, wants_fragment
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import lists, sheets
from rmactors.server.web.views import repositories as views

blueprint = Blueprint("repositories", __name__)

_PAGE = 100
_SILENT = 50


@route(blueprint, "/repositories", role="viewer")
async def repository_list() -> Response:
    """100 at a time, the largest first. `q` and `tag` narrow it, `sort` is a column."""
    asked, now = lists.asked(views.REPOSITORIES, request.args), moment()
    wanted = RepositoryFilter(asked.get("q"), asked.get("tag"))

    bare = wants_fragment("repository-list")  # the filters stay as they are

    def look(db: Any) -> tuple[Page[RepositoryView], list_queries.Totals, list[SilentHost], list[str]]:
        found = list_queries.looked_up(db, wanted)
        return (
            list_queries.listed(db, found, asked.sort, _PAGE, None, (asked.page - 1) * _PAGE),
            list_queries.totals(db, found), [] if asked.narrowed else queries.silent_hosts(db, _SILENT),
            [] if bare else page_queries.tags_in_use(db),
        )  # fmt: skip

    found, totals, silent, tags = await services().reader.run(look)
    lines = await in_thread(
        lambda: rows.each(found.items, lambda view: views.line(view, now), rows.line(views.RepositoryLine))
    )
    answer = await page(
        "repositories.html", "repositories", fragments={"repository-list": "repositories/list.html"},
        repositories=lines, asked=asked, lede=views.lede(totals, narrowed=asked.narrowed), heads=views.heads(asked),
        silent=views.silent(silent), pages=lists.pages(asked, totals.matching, _PAGE), known=totals.every,
        tags=lists.choices(asked, "tag", [(tag, tag) for tag in tags]), csv_href=asked.href("/repositories.csv"),
    )  # fmt: skip
    return followed(answer, asked)


@route(blueprint, "/repositories.csv", role="viewer")
async def repository_sheet() -> Response:
    """All under the same filters, in the same order, as a table for spreadsheets."""
    asked = lists.asked(views.REPOSITORIES, request.args)
    wanted = RepositoryFilter(asked.get("q"), asked.get("tag"))
    found = (await services().reader.run(list_queries.listed, wanted, asked.sort, EXPORTED)).items

    def instead(view: RepositoryView) -> tuple[str, ...]:
        return (view.id, rows.cannot(), *[""] * (len(views.COLUMNS) - 2))

    return await sheet("repositories", lambda: sheets.table(views.COLUMNS, rows.each(found, views.cells, instead)))


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
