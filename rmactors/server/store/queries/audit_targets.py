"""What entries of the audit trail are about, by name."""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

_NAMES: Final = {
    "host": "SELECT hosts.id, name FROM hosts",
    "schedule": "SELECT schedules.id, name FROM schedules",
    "policy": "SELECT policies.id, name FROM policies",
    "channel": "SELECT channels.id, name FROM channels",
    "user": "SELECT users.id, username FROM users",
    "token": "SELECT api_tokens.id, name FROM api_tokens",
    "alert": "SELECT alerts.id, host_name FROM alerts",
    "job": "SELECT jobs.id, hosts.name FROM jobs JOIN hosts ON hosts.id = jobs.host_id",
    "delivery": "SELECT deliveries.id, channels.name FROM deliveries JOIN channels ON channels.id = channel_id",
}


def target_names(db: sqlite3.Connection, targets: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Names by (kind, id), of what is still there; of a deleted host, schedule or policy as well."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for kind, target_id in targets:
        if kind in _NAMES and target_id:
            wanted[kind].add(target_id)
    found: dict[tuple[str, str], str] = {}
    for kind, ids in wanted.items():
        column = _NAMES[kind].split()[1].rstrip(",")
        marks = ", ".join("?" * len(ids))
        rows = db.execute(f"{_NAMES[kind]} WHERE {column} IN ({marks})", tuple(ids))
        found.update({(kind, row[0]): row[1] for row in rows})
    return found
