"""A past for a stopped server: resolved alerts by the ten thousand, written straight into its database.

The one place where a measurement touches the schema: making them by reports would take a minute each time.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from rmactors.common import clock, ids


def add_resolved_alerts(database: Path, count: int, host_id: str, host_name: str, every: float = 20.0) -> None:
    """Alerts of one host, raised and resolved during the last weeks, one `every` so many seconds."""
    now = clock.now()
    rows = []
    for n in range(count):
        created = now - (n + 1) * clock.seconds(every)
        ended = created + 10 * clock.SECOND
        message = f"Backup of /srv/data-{n} on {host_name} failed: unable to open config file: connection refused"
        rows.append((ids.new(), host_id, host_name, f"plan:past-{n}", message, created, created, ended))
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO alerts (id, host_id, host_name, kind, subject, severity, message, pos, created_at,"
            " last_seen_at, resolved_at, resolved_by, resolved)"
            " VALUES (?, ?, ?, 'backup_failed', ?, 'warning', ?, 2, ?, ?, ?, 'rule', 1)",
            rows,
        )
