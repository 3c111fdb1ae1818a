"""The nodes as pages, API and `doctor` show them, and what may be wrong with one of them. Times are the database's."""

from dataclasses import dataclass
from typing import Final

from rmactors.common.clock import SECOND
from rmactors.server.store import leadership
from rmactors.server.store.database import Database
from rmactors.server.store.engines import postgres_facts
from rmactors.server.store.engines.postgres_facts import CLOCK_DOUBTFUL, Replication
from rmactors.server.store.leadership import Lease, NodeRow

_AWAY: Final = 60 * SECOND
"""One that waits says every five seconds that it is there."""


@dataclass(frozen=True, slots=True)
class Node:
    """`epoch` and `since_at` are set for the one that leads. `away`: it was not seen for a minute. The rest is said of
    one that is not away alone: `clock_off`, in microseconds, where its clock is wrong, else 0; `other_keys` and
    `other_version`: not those of the leader."""

    row: NodeRow
    epoch: int | None
    away: bool
    since_at: int | None = None
    clock_off: int = 0
    other_keys: bool = False
    other_version: bool = False

    @property
    def leads(self) -> bool:
        return self.epoch is not None


@dataclass(frozen=True, slots=True)
class Nodes:
    """`items` by name. `replication` is the database's, None where it has none or the role may not see it."""

    items: list[Node]
    replication: Replication | None


def nodes(db: Database) -> Nodes:
    """As they are now; of a PostgreSQL. Raises DatabaseError."""
    rows, lease, now = leadership.nodes(db), leadership.look(db), leadership.now(db)
    return Nodes(judged(rows, lease, now), postgres_facts.replication(db))


# ---- what follows. Pure.


def judged(rows: list[NodeRow], lease: Lease, now: int) -> list[Node]:
    """What is to be said of each."""
    leader = next((row for row in rows if lease.left > 0 and row.name == lease.node), None)
    found = []
    for row in rows:
        if row is not leader and now - row.seen_at > _AWAY:
            found.append(Node(row, None, away=True))
            continue
        found.append(
            Node(
                row,
                lease.epoch if row is leader else None,
                away=False,
                since_at=lease.since_at if row is leader else None,
                clock_off=row.clock_off if abs(row.clock_off) > CLOCK_DOUBTFUL else 0,
                other_keys=leader is not None and row.keys != leader.keys,
                other_version=leader is not None and row.version != leader.version,
            )
        )
    return found


def alone(name: str, url: str, version: str, now: int) -> Nodes:
    """The one server of a database that is a file."""
    row = NodeRow(name, name, url, version, "[]", 0, now)
    return Nodes([Node(row, 0, away=False)], None)
