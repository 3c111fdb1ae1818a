"""`/api/repositories`: how large they are, who uses them, when they were last checked; asking about one now."""

from collections.abc import Mapping
from typing import cast

from quart import Blueprint, Response

from rmactors.server.store.queries import repository_lists as queries
from rmactors.server.store.queries.repository_lists import SORTS, Sort
from rmactors.server.web.access import route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_response,
    limit_of,
    listing,
    no_body,
    one_of,
)
from rmactors.server.web.api.shapes import repositories as shapes
from rmactors.server.web.operations import repositories
from rmactors.server.web.views.repository_figures import key_shape

blueprint = Blueprint("api_repositories", __name__)

QUERY: Mapping[str, object] = {"sort": Sort, **PAGING}


@route(blueprint, "/api/repositories", role="viewer", answer=Listing[shapes.Repository], query=QUERY)
async def list_repositories() -> Response:
    """One row for each repository, however many hosts use it; by name unless `sort` says otherwise. `growth` has a size
    a week here, and one a day by itself."""
    given = arguments(*QUERY)
    sort = cast("Sort", one_of(given, "sort", SORTS) or "name")
    limit, after = limit_of(given), cursor_of(given, key_shape(sort))
    page = await services().reader.run(queries.listed, queries.RepositoryFilter(), sort, limit, after)
    return json_response(listing(page, shapes.repository))


@route(blueprint, "/api/repositories/<repository_id>", role="viewer", answer=shapes.Repository)
async def show_repository(repository_id: str) -> Response:
    """One repository, by restic's own id of it."""
    return json_response(shapes.repository(await repositories.require(repository_id)))


@route(
    blueprint, "/api/repositories/<repository_id>/refresh", role="operator", methods=["POST"],
    answer=shapes.Repository, status=202,
)  # fmt: skip
async def refresh_repository(repository_id: str) -> Response:
    """Asks one of its hosts to measure it now, which may take minutes. 409 where none can be asked."""
    await no_body()
    await repositories.refresh(await repositories.require(repository_id))
    return json_response(shapes.repository(await repositories.require(repository_id)), 202)
