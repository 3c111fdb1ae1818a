"""Hosts that somebody chose, by id or by tag, to do something to all of them."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import columns, placeholders, read


@dataclass(frozen=True, slots=True)
class ChosenHost:
    """A host that is not deleted. `tags` and `plans` are JSON lists as text."""

    id: str
    name: str
    tags: str
    plans: str


_SELECT = f"SELECT {columns(ChosenHost)} FROM hosts WHERE deleted_at IS NULL"


def by_id(db: Database, host_ids: Sequence[str]) -> list[ChosenHost]:
    """Those of them that are there, by name."""
    return read(
        ChosenHost, db.execute(f"{_SELECT} AND id IN ({placeholders(host_ids)}) ORDER BY name_key, id", host_ids)
    )


def by_tag(db: Database, tags: Collection[str]) -> list[ChosenHost]:
    """All that have any of the tags, by name."""
    wanted = frozenset(tags)
    found = read(ChosenHost, db.execute(f"{_SELECT} AND tags <> '[]' ORDER BY name_key, id"))
    return [host for host in found if not wanted.isdisjoint(json.loads(host.tags))]
