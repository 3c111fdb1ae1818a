"""Reads of repositories: whom to ask about them, and what is known of each."""

import sqlite3

from rmactors.server.state.repositories import DueHost, ToMeasure


def hosts_to_ask(db: sqlite3.Connection, now: int, heard_since: int, most: int) -> list[DueHost]:
    """Hosts whose agents are due, are there, and may tell or do not say whether; the longest due first."""
    rows = db.execute(
        "SELECT id, name, repositories_failures FROM hosts INDEXED BY hosts_repositories_due"
        " WHERE deleted_at IS NULL AND first_hello_at IS NOT NULL AND repositories_due_at <= ?"
        " AND coalesce(last_seen_at, 0) >= ? AND (allow IS NULL OR allow LIKE '%\"browse\"%')"
        " ORDER BY repositories_due_at, id LIMIT ?",
        (now, heard_since, most),
    )
    return [DueHost(*row) for row in rows]


def to_measure(db: sqlite3.Connection, host_id: str, fresh_since: int) -> list[ToMeasure]:
    """Of the repositories that this host can open, those that were not measured since, or that somebody wants measured
    again: one name for each."""
    rows = db.execute(
        "SELECT min(uses.name), repositories.id FROM repository_uses uses"
        " JOIN repositories ON repositories.id = uses.repository_id"
        " WHERE uses.host_id = ? AND uses.error IS NULL AND (coalesce(repositories.measured_at, 0) < ?"
        " OR repositories.wanted_at > repositories.measured_at) GROUP BY repositories.id ORDER BY 1",
        (host_id, fresh_since),
    )
    return [ToMeasure(*row) for row in rows]
