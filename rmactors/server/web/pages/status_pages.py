"""`/settings/status`: status pages for people without an account, made and ended here."""

from collections.abc import Mapping

from quart import Blueprint, Response, request

from rmactors.server.store.queries import status_pages as queries
from rmactors.server.web import rows
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go
from rmactors.server.web.operations import hosts, status_pages
from rmactors.server.web.operations.status_pages import MOST_PAGES, StatusPageBody
from rmactors.server.web.pages.rendering import field_errors, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.validation import convert
from rmactors.server.web.views import status_pages as views

blueprint = Blueprint("status_pages", __name__)


@route(blueprint, "/settings/status", role="viewer")
async def status_page_list() -> Response:
    return await _page({}, {})


@route(blueprint, "/settings/status", role="operator", methods=["POST"])
async def create_status_page() -> Response:
    """A new page (form `name`, `tags`, `show`); its address stands on the answer alone."""
    form = await request.form
    body = {
        "name": form.get("name", "").strip(),
        "host_tags": list(hosts.tags_typed(form.get("tags", ""))),
        "show": form.get("show", "overview"),
    }
    try:
        made = await status_pages.create(convert(body, StatusPageBody))
    except Problem as problem:
        return await _page(field_errors(problem), dict(form.items()), status=422)
    return await _page({}, {}, address=status_pages.address(made.token), made=made.row.name)


@route(blueprint, "/settings/status/<page_id>/delete", role="operator", methods=["POST"], fresh=True)
async def delete_status_page(page_id: str) -> Response:
    """Its address leads nowhere from then on."""
    await status_pages.remove(page_id)
    return go("/settings/status")


async def _page(
    errors: dict[str, str], typed: Mapping[str, str], *, status: int = 200, address: str = "", made: str = ""
) -> Response:
    found = await services().reader.run(queries.status_pages, MOST_PAGES)
    now = moment()
    return await page(
        "settings/status_pages.html", "settings", status=status, tab="status", errors=errors, typed=typed,
        address=address, made=made, may_act=actor().may("operator"),
        pages=rows.each(found.items, lambda row: views.page_line(row, now), rows.line(views.PageLine)),
    )  # fmt: skip
