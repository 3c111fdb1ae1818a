"""The nodes of this server: several on PostgreSQL, one on SQLite."""

from pathlib import Path

from rmactors import __version__
from rmactors.server.store import node_list
from rmactors.server.store.node_list import Nodes
from rmactors.server.web.access import services


async def look() -> Nodes:
    """As they are now. Raises DatabaseError."""
    settings = services().settings
    if isinstance(settings.place, Path):
        return node_list.alone(settings.own_node_name, settings.own_node_url, __version__, services().now())
    return await services().reader.run(node_list.nodes)
