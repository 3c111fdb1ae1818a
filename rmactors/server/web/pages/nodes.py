"""`/settings/nodes`: which node leads, which wait, and what is wrong with one."""

from quart import Blueprint, Response

from rmactors.server.web import rows
from rmactors.server.web.access import route
from rmactors.server.web.operations import nodes
from rmactors.server.web.pages.rendering import moment, page
from rmactors.server.web.views import nodes as views

blueprint = Blueprint("nodes", __name__)


@route(blueprint, "/settings/nodes", role="viewer")
async def node_list() -> Response:
    """Several share a PostgreSQL; with SQLite, this server is the only one."""
    found, now = await nodes.look(), moment()
    lines = rows.each(found.items, lambda node: views.node_line(node, now), rows.line(views.NodeLine))
    return await page(
        "settings/nodes.html", "settings", tab="nodes", nodes=lines, warning=views.replication_warning(found)
    )
