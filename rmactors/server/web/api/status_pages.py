"""`/api/status-pages`: how the backups are, for people without an account who were given an address."""

from quart import Blueprint, Response

from rmactors.server.store.queries import status_pages as queries
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    no_content,
)
from rmactors.server.web.api.shapes import status_pages as shapes
from rmactors.server.web.operations import status_pages
from rmactors.server.web.operations.status_pages import StatusPageBody
from rmactors.server.web.problems import Problem, problem_response
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_status_pages", __name__)


@route(blueprint, "/api/status-pages", role="viewer", answer=Listing[shapes.StatusPage], query=PAGING)
async def list_status_pages() -> Response:
    """Newest first, without their addresses."""
    given = arguments(*PAGING)
    page = await services().reader.run(queries.status_pages, limit_of(given), cursor_of(given, (int, str)))
    return json_response(listing(page, shapes.status_page))


@route(
    blueprint, "/api/status-pages", role="operator", methods=["POST"], body=StatusPageBody,
    answer=shapes.NewStatusPage, status=201,
)  # fmt: skip
async def create_status_page() -> Response:
    """A page under an address that is a secret and is told once."""
    body = convert(await json_body(), StatusPageBody, read_only=("id", "created_by", "created_at"))
    made = await status_pages.create(body)
    return json_response(shapes.new_status_page(made.row, made.token, status_pages.address(made.token)), 201)


@route(blueprint, "/api/status-pages/<page_id>", role="viewer", answer=shapes.StatusPage)
async def show_status_page(page_id: str) -> Response:
    """One page, without its address."""
    return json_response(shapes.status_page(await status_pages.require(page_id)))


@route(blueprint, "/api/status-pages/<page_id>", role="operator", methods=["DELETE"], fresh=True, status=204)
async def delete_status_page(page_id: str) -> Response:
    """Ends it: its address leads nowhere from then on."""
    await no_body()
    await status_pages.remove(page_id)
    return no_content()


@route(blueprint, "/status/<address>.json", role="public", secret_address=True)
async def status_json(address: str) -> Response:
    """What the page at this address says, for programs."""
    try:
        response = json_response(shapes.told(await status_pages.at_address(address)))
    except Problem as problem:
        response = problem_response(problem)
    response.headers.update(status_pages.HEADERS)
    return response
