"""Reads of the newest good end of each kind of job and plan, which outlives its job."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from dataclasses import dataclass

from rmactors.common.vocabulary import JobKind
from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import columns, placeholders, read


@dataclass(frozen=True, slots=True)
class GoodEnd:
    """The newest job of its kind that succeeded. `plan` is empty if it named none; `stats` is its JSON object.

    `kept`: the job itself is still there.
    """

    host_id: str
    plan: str
    job_id: str
    at: int
    stats: str
    kept: int = 1


def good_ends(db: Database, kind: JobKind, host_ids: list[str]) -> dict[str, list[GoodEnd]]:
    """Of each of these hosts, by plan."""
    found: dict[str, list[GoodEnd]] = {host_id: [] for host_id in host_ids}
    rows = db.execute(
        f"SELECT {columns(GoodEnd).removesuffix('kept')} EXISTS (SELECT 1 FROM jobs WHERE id = good_ends.job_id)"
        f" FROM good_ends WHERE host_id IN ({placeholders(host_ids)}) AND kind = ?"
        " ORDER BY host_id, plan",
        (*host_ids, kind),
    )
    for row in read(GoodEnd, rows):
        found[row.host_id].append(row)
    return found
