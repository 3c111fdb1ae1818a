"""What entries of the audit trail are about, by name."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final, NamedTuple

from rmactors.server.store.database import Database
from rmactors.server.store.queries.rows import placeholders

_NAMES: Final = {
    "host": "SELECT hosts.id, name, deleted_at IS NULL FROM hosts",
    "schedule": "SELECT schedules.id, name, deleted_at IS NULL FROM schedules",
    "policy": "SELECT policies.id, name, deleted_at IS NULL FROM policies",
    "channel": "SELECT channels.id, name, 1 FROM channels",
    "user": "SELECT users.id, username, 1 FROM users",
    "token": "SELECT api_tokens.id, name, 1 FROM api_tokens",
    "alert": "SELECT alerts.id, host_name, 1 FROM alerts",
    "job": "SELECT jobs.id, hosts.name, 1 FROM jobs JOIN hosts ON hosts.id = jobs.host_id",
    "delivery": "SELECT deliveries.id, channels.name, 1 FROM deliveries JOIN channels ON channels.id = channel_id",
}


class Target(NamedTuple):
    """`there`: it has a page."""

    name: str
    there: bool


def target_names(db: Database, targets: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Target]:
    """By (kind, id), of what is still there; of a deleted host, schedule or policy as well."""
    wanted: dict[str, set[str]] = defaultdict(set)
    for kind, target_id in targets:
        if kind in _NAMES and target_id:
            wanted[kind].add(target_id)
    found: dict[tuple[str, str], Target] = {}
    for kind, ids in wanted.items():
        column = _NAMES[kind].split()[1].rstrip(",")
        rows = db.execute(f"{_NAMES[kind]} WHERE {column} IN ({placeholders(ids)})", tuple(ids))
        found.update({(kind, row[0]): Target(row[1], bool(row[2])) for row in rows})
    return found
