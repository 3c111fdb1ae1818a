"""What is old enough to go: how it is found, beside the writer, and how it goes, a little at a time.

Each kind is a pair of statements. The first runs on a reading connection, for as long as it takes, and names rows. The
second removes one of them by its key, and looks again whether it may go: between the two, a channel may have been
notified of an alert, or a schedule have run. So the writer never searches, and a step costs what its few rows cost.

What never goes, however old: unresolved alerts and what belongs to them, jobs that have not ended or that an
unresolved alert names, deliveries that still wait, and dead ones as long as their alert is there: those can be sent
again by hand. Log rows outlive their alert.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from rmactors.server.messages.retention import OldKind, Prune, Pruned
from rmactors.server.store.database import Database
from rmactors.server.store.transaction import Transaction, handles


@dataclass(frozen=True, slots=True)
class _Kind:
    """`find` takes :before, :most and the place (:after, :after_key), gives (number, key) in the order of places.
    `remove` takes :key, :before and, if one key may have many rows, :most."""

    find: str
    remove: str


Place = tuple[int, str]
"""How far a search has come: the number and the key of the last row it gave."""
START: Final[Place] = (-(1 << 62), "")

_KINDS: Final[Mapping[OldKind, _Kind]] = {
    "job_logs": _Kind(
        # From one job that has lines to the next, without reading the lines.
        "WITH RECURSIVE logged (job_id) AS ("
        " SELECT min(job_id) FROM job_logs WHERE job_id > :after_key"
        " UNION ALL"
        " SELECT (SELECT min(job_id) FROM job_logs WHERE job_id > logged.job_id) FROM logged"
        " WHERE logged.job_id IS NOT NULL)"
        " SELECT 0, logged.job_id FROM logged"
        " WHERE (SELECT finished_at FROM jobs WHERE jobs.id = logged.job_id) < :before LIMIT :most",
        "DELETE FROM job_logs WHERE job_id = :key AND line IN"
        " (SELECT line FROM job_logs WHERE job_id = :key ORDER BY line LIMIT :most)"
        " AND EXISTS (SELECT 1 FROM jobs WHERE jobs.id = :key AND jobs.finished_at < :before)",
    ),
    "jobs": _Kind(
        "SELECT sort_at, id FROM jobs WHERE (sort_at, id) > (:after, :after_key) AND sort_at < :before"
        " AND finished_at < :before AND id NOT IN"
        " (SELECT job_id FROM alerts WHERE resolved = 0 AND job_id IS NOT NULL)"
        " ORDER BY sort_at, id LIMIT :most",
        "DELETE FROM jobs WHERE id = :key AND finished_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM job_logs WHERE job_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE resolved = 0 AND host_id = jobs.host_id AND job_id = :key)",
    ),
    "held": _Kind(
        "SELECT DISTINCT 0, alert_id FROM held JOIN alerts ON alerts.id = alert_id"
        " WHERE alert_id > :after_key AND resolved_at < :before ORDER BY alert_id LIMIT :most",
        "DELETE FROM held WHERE alert_id = :key"
        " AND EXISTS (SELECT 1 FROM alerts WHERE id = :key AND resolved_at < :before)",
    ),
    "told": _Kind(
        "SELECT DISTINCT 0, alert_id FROM told JOIN alerts ON alerts.id = alert_id"
        " WHERE alert_id > :after_key AND resolved_at < :before ORDER BY alert_id LIMIT :most",
        "DELETE FROM told WHERE alert_id = :key"
        " AND EXISTS (SELECT 1 FROM alerts WHERE id = :key AND resolved_at < :before)",
    ),
    "group_windows": _Kind(
        "SELECT DISTINCT 0, host_id FROM group_windows"
        " WHERE host_id > :after_key AND until_at < :before ORDER BY host_id LIMIT :most",
        "DELETE FROM group_windows WHERE host_id = :key AND until_at < :before",
    ),
    "shared_windows": _Kind(
        "SELECT DISTINCT 0, about FROM shared_windows"
        " WHERE about > :after_key AND until_at < :before ORDER BY about LIMIT :most",
        "DELETE FROM shared_windows WHERE about = :key AND until_at < :before",
    ),
    "alerts": _Kind(
        "SELECT resolved_at, id FROM alerts WHERE resolved = 1 AND (resolved_at, id) > (:after, :after_key)"
        " AND resolved_at < :before"
        " ORDER BY resolved_at, id LIMIT :most",
        "DELETE FROM alerts WHERE id = :key AND resolved_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM deliveries WHERE alert_id = :key AND state = 'queued')",
    ),
    # The raise of an unresolved alert stays: whether a channel was sent it decides whether it is sent the end.
    "deliveries": _Kind(
        "SELECT 0, deliveries.id FROM deliveries LEFT JOIN alerts ON alerts.id = deliveries.alert_id"
        " WHERE deliveries.id > :after_key AND state IN ('delivered', 'superseded') AND finished_at < :before"
        " AND (event <> 'alert.raised' OR coalesce(alerts.resolved, 1) = 1) ORDER BY deliveries.id LIMIT :most",
        "DELETE FROM deliveries WHERE id = :key AND state IN ('delivered', 'superseded') AND finished_at < :before"
        " AND (event <> 'alert.raised' OR NOT EXISTS"
        " (SELECT 1 FROM alerts WHERE alerts.id = deliveries.alert_id AND resolved = 0))",
    ),
    "dead_deliveries": _Kind(
        "SELECT 0, id FROM deliveries WHERE id > :after_key AND state = 'dead' AND finished_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.id = deliveries.alert_id) ORDER BY id LIMIT :most",
        "DELETE FROM deliveries WHERE id = :key AND state = 'dead' AND finished_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.id = deliveries.alert_id)",
    ),
    "notification_log": _Kind(
        "SELECT n, id FROM notification_log WHERE n > :after AND fired_at < :before ORDER BY n LIMIT :most",
        "DELETE FROM notification_log WHERE id = :key AND fired_at < :before",
    ),
    "audit": _Kind(
        "SELECT n, id FROM audit WHERE n > :after AND at < :before ORDER BY n LIMIT :most",
        "DELETE FROM audit WHERE id = :key AND at < :before",
    ),
    "sessions": _Kind(
        "SELECT 0, id FROM sessions WHERE id > :after_key AND expires_at < :before ORDER BY id LIMIT :most",
        "DELETE FROM sessions WHERE id = :key AND expires_at < :before",
    ),
    "enrollment_tokens": _Kind(
        "SELECT 0, id FROM enrollment_tokens WHERE id > :after_key AND expires_at < :before ORDER BY id LIMIT :most",
        "DELETE FROM enrollment_tokens WHERE id = :key AND expires_at < :before",
    ),
    "silences": _Kind(
        "SELECT 0, id FROM silences WHERE id > :after_key"
        " AND (deleted_at < :before OR (recurrence IS NULL AND ends_at < :before)) ORDER BY id LIMIT :most",
        "DELETE FROM silences WHERE id = :key AND (deleted_at < :before OR (recurrence IS NULL AND ends_at < :before))",
    ),
    # What the rules knew of a host that is gone has no use. Its schedules and itself stay until their jobs are gone.
    "tracks": _Kind(
        "SELECT 0, id FROM hosts WHERE id > :after_key AND deleted_at < :before"
        " AND EXISTS (SELECT 1 FROM tracks WHERE host_id = hosts.id) ORDER BY id LIMIT :most",
        "DELETE FROM tracks WHERE host_id = :key"
        " AND EXISTS (SELECT 1 FROM hosts WHERE id = :key AND deleted_at < :before)",
    ),
    "host_notes": _Kind(
        "SELECT 0, id FROM hosts WHERE id > :after_key AND deleted_at < :before"
        " AND EXISTS (SELECT 1 FROM host_notes WHERE host_id = hosts.id) ORDER BY id LIMIT :most",
        "DELETE FROM host_notes WHERE host_id = :key"
        " AND EXISTS (SELECT 1 FROM hosts WHERE id = :key AND deleted_at < :before)",
    ),
    "good_ends": _Kind(
        "SELECT 0, id FROM hosts WHERE id > :after_key AND deleted_at < :before"
        " AND EXISTS (SELECT 1 FROM good_ends WHERE host_id = hosts.id) ORDER BY id LIMIT :most",
        "DELETE FROM good_ends WHERE host_id = :key"
        " AND EXISTS (SELECT 1 FROM hosts WHERE id = :key AND deleted_at < :before)",
    ),
    "repository_sizes": _Kind(
        "SELECT DISTINCT 0, repository_id FROM repository_sizes"
        " WHERE repository_id > :after_key AND at < :before ORDER BY repository_id LIMIT :most",
        "DELETE FROM repository_sizes WHERE repository_id = :key AND at < :before",
    ),
    # One that no host has any more, and of which no size is left.
    "repositories": _Kind(
        "SELECT 0, id FROM repositories WHERE id > :after_key AND first_seen_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM repository_uses WHERE repository_id = repositories.id)"
        " AND NOT EXISTS (SELECT 1 FROM repository_sizes WHERE repository_id = repositories.id)"
        " ORDER BY id LIMIT :most",
        "DELETE FROM repositories WHERE id = :key AND first_seen_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM repository_uses WHERE repository_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM repository_sizes WHERE repository_id = :key)",
    ),
    "schedules": _Kind(
        "SELECT 0, id FROM schedules WHERE id > :after_key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE schedule_id = schedules.id) ORDER BY id LIMIT :most",
        "DELETE FROM schedules WHERE id = :key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE schedule_id = :key)",
    ),
    "policies": _Kind(
        "SELECT 0, id FROM policies WHERE id > :after_key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM schedules WHERE policy_id = policies.id) ORDER BY id LIMIT :most",
        "DELETE FROM policies WHERE id = :key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM schedules WHERE policy_id = :key)",
    ),
    "hosts": _Kind(
        "SELECT 0, id FROM hosts WHERE id > :after_key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE host_id = hosts.id)"
        " AND NOT EXISTS (SELECT 1 FROM schedules WHERE host_id = hosts.id) ORDER BY id LIMIT :most",
        "DELETE FROM hosts WHERE id = :key AND deleted_at < :before"
        " AND NOT EXISTS (SELECT 1 FROM jobs WHERE host_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM schedules WHERE host_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM tracks WHERE host_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM host_notes WHERE host_id = :key)"
        " AND NOT EXISTS (SELECT 1 FROM good_ends WHERE host_id = :key)",
    ),
}


def find_old(db: Database, what: OldKind, before: int, after: Place, most: int) -> tuple[list[str], Place | None]:
    """Keys of at most `most` rows older than `before` (microseconds) past `after`, and where to go on (None: end)."""
    values = {"before": before, "after": after[0], "after_key": after[1], "most": most}
    rows = db.execute(_KINDS[what].find, values).fetchall()
    return [row[1] for row in rows], ((rows[-1][0], rows[-1][1]) if len(rows) == most else None)


@handles
def prune(tx: Transaction, write: Prune) -> Pruned:
    """Remove what of `keys` may still go, at most about `most` rows."""
    removed = 0
    for key in write.keys:
        left = write.most - removed
        if left <= 0:
            break
        values = {"key": key, "before": write.before, "most": left}
        removed += tx.execute(_KINDS[write.what].remove, values).rowcount
    if removed:
        tx.wake.count("pruned", write.what, number=removed)
        if write.what == "silences":
            tx.forget("silences")
    return Pruned(removed)
