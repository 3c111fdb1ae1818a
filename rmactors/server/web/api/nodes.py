"""`/api/nodes`: who leads, who waits, and how the database is replicated."""

from functools import partial

from quart import Blueprint, Response

from rmactors.server.store.queries.rows import Page
from rmactors.server.web.access import route
from rmactors.server.web.api.bodies import PAGING, Listing, arguments, cursor_of, json_response, limit_of, listing
from rmactors.server.web.api.shapes import nodes as shapes
from rmactors.server.web.operations import nodes

blueprint = Blueprint("api_nodes", __name__)


@route(blueprint, "/api/nodes", role="viewer", answer=Listing[shapes.Node], query=PAGING)
async def list_nodes() -> Response:
    """By name. On PostgreSQL those that were seen within a week; else this server alone."""
    given = arguments(*PAGING)
    limit, after = limit_of(given), cursor_of(given, (str,))
    found = await nodes.look()
    left = [node for node in found.items if after is None or node.row.name > after[0]]
    page = Page(left[:limit], (left[limit - 1].row.name,) if len(left) > limit else None)
    return json_response(listing(page, partial(shapes.node, replication=found.replication)))
