"""The log of notifications: one row an attempt."""

from rmactors.server.messages.notifications import Attempt
from rmactors.server.store.transaction import Transaction


def log_attempt(
    tx: Transaction,
    log_id: str,
    channel_id: str,
    alert_id: str,
    delivery_id: str,
    event: str,
    attempt: int,
    result: Attempt,
    at: int,
) -> None:
    tx.execute(
        "INSERT INTO notification_log (id, n, channel_id, alert_id, delivery_id, event, attempt, ok, dead, status_code,"
        " latency_ms, error, fired_at)"
        " VALUES (?, (SELECT coalesce(max(n), 0) + 1 FROM notification_log), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            log_id, channel_id, alert_id, delivery_id, event, attempt, int(result.verdict == "delivered"),
            int(result.verdict == "dead"), result.status_code, result.latency_ms, result.error, at,
        ),
    )  # fmt: skip
