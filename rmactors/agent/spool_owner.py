"""Reports of the host that this machine was before: they wait in the same file, and are never sent as another host's.

Works inside a transaction of the spool. What is set aside comes back when the machine is enrolled as that host again.
Raises sqlite3.Error.
"""

import sqlite3
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Returned:
    """A report, or a part of a log, that is this host's again. `frame` is as it was kept."""

    job_id: str
    frame: str


def owner(db: sqlite3.Connection) -> str | None:
    """The host that the reports are about; None if nobody has said so yet."""
    row = db.execute("SELECT value FROM meta WHERE name = 'host_id'").fetchone()
    return str(row[0]) if row is not None else None


def count(db: sqlite3.Connection) -> int:
    """Reports of other hosts."""
    (number,) = db.execute("SELECT count(*) FROM aside WHERE is_log = 0").fetchone()
    return int(number)


def change_owner(db: sqlite3.Connection, host_id: str) -> list[Returned]:
    """From here on the reports are about that host. What is here is set aside if it is about another one; a job that
    runs is the other's until its end. Gives the reports that come back, oldest first; logs come back by themselves."""
    before = owner(db)
    if before == host_id:
        return []
    db.execute(
        "INSERT INTO meta (name, value) VALUES ('host_id', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (host_id,),
    )
    if before is None:
        return []
    for table, is_log, order in (("logs", 1, "n"), ("reports", 0, "seq")):
        db.execute(
            f"INSERT INTO aside (host_id, is_log, job_id, frame) SELECT ?, ?, job_id, frame FROM {table}"  # noqa: S608 - constants
            f" ORDER BY {order}",
            (before, is_log),
        )
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
    db.execute(
        "INSERT INTO jobs_of_others (job_id, host_id) SELECT job_id, ? FROM unfinished WHERE true"
        " ON CONFLICT (job_id) DO NOTHING",
        (before,),
    )
    db.execute("DELETE FROM jobs_of_others WHERE host_id = ?", (host_id,))
    db.execute(
        "INSERT INTO logs (job_id, frame) SELECT job_id, frame FROM aside WHERE host_id = ? AND is_log = 1 ORDER BY n",
        (host_id,),
    )
    back = db.execute(
        "SELECT job_id, frame FROM aside WHERE host_id = ? AND is_log = 0 ORDER BY n", (host_id,)
    ).fetchall()
    db.execute("DELETE FROM aside WHERE host_id = ?", (host_id,))
    return [Returned(*row) for row in back]


def keep_if_of_another(db: sqlite3.Connection, job_id: str, frame: str, *, is_log: bool = False) -> bool:
    """Set this aside if its job began when this machine was another host. False if it is this host's."""
    row = db.execute("SELECT host_id FROM jobs_of_others WHERE job_id = ?", (job_id,)).fetchone()
    if row is None:
        return False
    db.execute(
        "INSERT INTO aside (host_id, is_log, job_id, frame) VALUES (?, ?, ?, ?)", (row[0], int(is_log), job_id, frame)
    )
    return True
