"""Nodes, as the API shows them."""

from typing import Literal

from msgspec import Struct

from rmactors.common import clock
from rmactors.server.store.engines.postgres_facts import Replication
from rmactors.server.store.node_list import Node as NodeView
from rmactors.server.web.fields import Time


class Node(Struct):
    """`epoch` counts the leaders so far; null for one that waits. `replication` is the database's, the same for every
    node: `none` without a standby, null where it has none or the database's user may not see it."""

    name: str
    url: str
    leader: bool
    epoch: int | None
    seen_at: Time
    version: str
    replication: Literal["none", "async", "sync"] | None


def node(view: NodeView, replication: Replication | None) -> Node:
    row = view.row
    at = clock.to_rfc3339(row.seen_at)
    return Node(row.name, row.url, view.leads, view.epoch, at, row.version, replication)
