"""Reads of the channels of one kind, for those that belong to users."""

# ruff: noqa: S608 - what is put into the SQL here are column names of dataclasses; values are always bound

from rmactors.server.store.database import Database
from rmactors.server.store.queries.channels import ChannelRow
from rmactors.server.store.queries.rows import columns, read


def channels_of_kind(db: Database, kind: str) -> list[ChannelRow]:
    """In the order in which they were made."""
    rows = db.execute(f"SELECT {columns(ChannelRow)} FROM channels WHERE kind = ? ORDER BY created_at, id", (kind,))
    return read(ChannelRow, rows.fetchall())
