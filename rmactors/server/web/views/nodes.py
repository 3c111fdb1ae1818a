"""Nodes as lines of a page. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

from rmactors.common.clock import SECOND
from rmactors.server.store.node_list import Node, Nodes
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State


@dataclass(frozen=True, slots=True)
class NodeLine:
    """`since` is set for the one that leads, `seen` for one that is away: when it was seen last."""

    name: str
    url: str
    state: State
    since: Time | None
    seen: Time | None
    version: str
    warnings: list[str]


def node_line(node: Node, now: Moment) -> NodeLine:
    row = node.row
    seen = now.ago(row.seen_at) if node.away else None
    since = now.clock_time(node.since_at) if node.since_at is not None else None
    return NodeLine(row.name, row.url, _state(node), since, seen, row.version, list(_warnings(node)))


def replication_warning(found: Nodes) -> str:
    """What is said above the list; empty where there is nothing to say."""
    if found.replication != "async":
        return ""
    return _(
        "Replication of the database is asynchronous: what was reported last can be lost when a standby takes over."
    )


def _state(node: Node) -> State:
    if node.leads:
        return State("ok", _("Leads"))
    if node.away:
        return State("off", _("Not seen"))
    return State("info", _("Waits"))


def _warnings(node: Node) -> Iterator[str]:
    seconds = abs(node.clock_off) / SECOND
    if node.clock_off > 0:
        yield _("Its clock is %.1f s ahead of the database's.") % seconds
    elif node.clock_off < 0:
        yield _("Its clock is %.1f s behind the database's.") % seconds
    if node.other_keys:
        yield _("Its key file is not the leader's.")
    if node.other_version:
        yield _("Its version is not the leader's.")
