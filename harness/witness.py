"""Who wrote what while who led: kept by the drill's database itself, row by row, in the order of the commits.

Writers take turns by the lock of the leader's row, which they hold to the end of their transaction: so the numbers are
in the order of the commits. Each node has a name of its own as its `application_name`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from harness.postgres import PostgresServer

TABLES: Final = ("jobs", "alerts", "alert_events", "deliveries", "notification_log")
_MADE: Final = (
    "CREATE TABLE written (n BIGSERIAL PRIMARY KEY, what TEXT, epoch BIGINT, leader TEXT, writer TEXT, backend TEXT)",
    "CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
    " INSERT INTO written (what, epoch, leader, writer, backend)"
    " SELECT TG_TABLE_NAME, epoch, node, current_setting('application_name'), (SELECT pid || ' of ' || backend_start"
    " FROM pg_stat_activity WHERE pid = pg_backend_pid()) FROM leader; RETURN NULL; END $$",
    *(
        f"CREATE TRIGGER witness AFTER INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION write_down()"
        for table in TABLES
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Written:
    """One row of `what`. `epoch` and `leader` are of the lease at that moment, `writer` and `backend` who wrote."""

    what: str
    epoch: int
    leader: str
    writer: str
    backend: str


def install(server: PostgresServer, database: str) -> None:
    for sql in _MADE:
        server.execute(sql, database=database)


def written(server: PostgresServer, database: str) -> list[Written]:
    rows = server.execute("SELECT what, epoch, leader, writer, backend FROM written ORDER BY n", database=database)
    return [Written(*row) for row in rows]


def by_an_old_leader(rows: Iterable[Written]) -> Iterator[str]:
    """Each row that another than the one who led has written, or the same one by a connection of an earlier lease."""
    newest, epoch_of = 0, dict[str, int]()
    for row in rows:
        if row.epoch < newest:
            yield f"a row of {row.what} of epoch {row.epoch} after one of epoch {newest}"
        newest = max(newest, row.epoch)
        if row.writer != row.leader:
            yield f"a row of {row.what} by {row.writer} while {row.leader} led (epoch {row.epoch})"
        began = epoch_of.setdefault(row.backend, row.epoch)
        if began != row.epoch:
            yield f"a row of {row.what} in epoch {row.epoch} by a connection that wrote in epoch {began}"
