"""The lease that makes one node the leader, and what nodes say of themselves. All times are the database's own.

Each function is one transaction on a connection that does nothing else.
"""

import json
from dataclasses import dataclass
from typing import Final

from rmactors.common.clock import SECOND
from rmactors.server.store.database import Connection, Database
from rmactors.server.store.transaction import atomic

_NOW: Final = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
_FORGOTTEN: Final = 7 * 24 * 3600 * SECOND
"""A node that was not seen for so long is not listed any more."""
_END_STALLED: Final = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND usename = current_user AND pid IN (SELECT pid FROM pg_locks WHERE relation = to_regclass('turn') AND granted)"
    " AND state = 'active' AND wait_event = 'ClientRead'"
    " AND state_change < clock_timestamp() - make_interval(secs => 5)"
)
"""A writer that was frozen or cut off in the middle of what it sends keeps its lock: to PostgreSQL it is not idle, so
that no timeout ends it."""
RECENT: Final = 600 * SECOND
"""A node that was seen since then may come back any moment: nothing is done that it could not go on with."""


@dataclass(frozen=True, slots=True)
class Lease:
    """`node` and `url` are who had it last, None where nobody ever had it. `left`: microseconds until it runs out.
    `since_at`: when it was taken last."""

    node: str | None
    url: str | None
    epoch: int
    left: int
    since_at: int | None


@dataclass(frozen=True, slots=True)
class NodeRow:
    """A node as it said itself. `clock_off`: its clock minus the database's, in microseconds; `seen_at` by the
    database's clock."""

    id: str
    name: str
    url: str
    version: str
    key_ids: str
    clock_off: int
    seen_at: int

    @property
    def keys(self) -> frozenset[str]:
        """The ids of the keys in its key file; none where it could not read it."""
        return frozenset(json.loads(self.key_ids))


def look(db: Database) -> Lease:
    """Raises DatabaseError."""
    row = db.execute(
        f"SELECT node, url, epoch, until_at - {_NOW} AS left, since_at FROM leader WHERE name = 'server'"  # noqa: S608
    ).fetchone()
    return Lease(row["node"], row["url"], row["epoch"], row["left"], row["since_at"])


def take(db: Connection, node: str, url: str, seconds: float) -> int | None:
    """The turn of who leads from now on, if the lease had run out: a number that no other leader has or had. What the
    leader before is writing ends first. Raises DatabaseError.

    By the clock, not by counting: under asynchronous replication a failover may set the tables back, and two leaders
    would count to the same number.
    """
    db.execute(_END_STALLED)
    with atomic(db):
        row = db.execute(
            f"UPDATE leader SET node = ?, url = ?, epoch = epoch + 1, since_at = {_NOW},"  # noqa: S608
            f" until_at = {_NOW} + CAST(? AS BIGINT)"
            f" WHERE name = 'server' AND until_at <= {_NOW} RETURNING epoch",
            (node, url, round(seconds * SECOND)),
        ).fetchone()
        if row is not None:
            row = db.execute(
                f"UPDATE turn SET number = CASE WHEN number < {_NOW} THEN {_NOW} ELSE number + 1 END"  # noqa: S608
                " WHERE name = 'server' RETURNING number"
            ).fetchone()
    return None if row is None else int(row["number"])


_OURS: Final = "name = 'server' AND (SELECT number FROM turn WHERE name = 'server') = ?"


def renew(db: Database, turn: int, seconds: float) -> bool:
    """Waits for no writer: one after the other would overtake it, on a busy machine until the lease has run out. False
    if another node has taken it. Raises DatabaseError."""
    row = db.execute(
        f"UPDATE leader SET until_at = {_NOW} + CAST(? AS BIGINT) WHERE {_OURS} RETURNING epoch",  # noqa: S608
        (round(seconds * SECOND), turn),
    ).fetchone()
    return row is not None


def give_back(db: Database, turn: int) -> None:
    """Another node may take it at once. Raises DatabaseError."""
    db.execute(f"UPDATE leader SET until_at = 0 WHERE {_OURS}", (turn,))  # noqa: S608


def say(db: Database, name: str, url: str, version: str, key_ids: str, clock_off: int) -> None:
    """This node is there, under its name. Raises DatabaseError."""
    db.execute(
        f"INSERT INTO nodes (id, name, url, version, key_ids, clock_off, seen_at) VALUES (?, ?, ?, ?, ?, ?, {_NOW})"  # noqa: S608
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, url = excluded.url, version = excluded.version,"
        " key_ids = excluded.key_ids, clock_off = excluded.clock_off, seen_at = excluded.seen_at",
        (name, name, url, version, key_ids, clock_off),
    )
    db.execute(f"DELETE FROM nodes WHERE seen_at < {_NOW} - {_FORGOTTEN}")  # noqa: S608


def nodes(db: Database) -> list[NodeRow]:
    """By name. Raises DatabaseError."""
    rows = db.execute("SELECT id, name, url, version, key_ids, clock_off, seen_at FROM nodes ORDER BY name, id")
    return [NodeRow(*row) for row in rows]


def now(db: Database) -> int:
    """Raises DatabaseError."""
    return int(db.execute(f"SELECT {_NOW}").fetchone()[0])


def recent(db: Database) -> list[NodeRow]:
    """Those that lead or were seen lately. Raises DatabaseError."""
    lease, since = look(db), now(db) - RECENT
    return [node for node in nodes(db) if node.seen_at > since or (lease.left > 0 and node.name == lease.node)]
