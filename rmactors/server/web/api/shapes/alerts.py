"""Alerts and their timelines, as the API shows them."""

from typing import Literal

from msgspec import Struct

from rmactors.common.vocabulary import (
    Severity,
)
from rmactors.server.store.queries.alerts import AlertRow, AlertStatus, Counts, TimelineEntry
from rmactors.server.web.api.shapes.rows import shaped
from rmactors.server.web.fields import Time


class Alert(Struct):
    """`host_id` and `host_name` are null where it is about a channel, `channel:<id>` as its subject."""

    id: str
    host_id: str | None
    host_name: str | None
    kind: str
    subject: str
    severity: Severity
    status: AlertStatus
    message: str
    occurrences: int
    job_id: str | None
    created_at: Time
    last_seen_at: Time
    acknowledged_at: Time | None
    acknowledged_by: str | None
    acknowledged_note: str | None
    resolved_at: Time | None
    resolved_by: str | None
    resolved_note: str | None
    link: str


class TimelineItem(Struct, omit_defaults=True):
    """One thing that happened to an alert. Keys that say nothing here are left out."""

    at: Time
    event: Literal[
        "raised", "worsened", "acknowledged", "resolved", "silenced", "unsilenced", "reminded", "escalated",
        "delivered", "attempt_failed", "superseded", "dead",
    ]  # fmt: skip
    by: str | None = None
    note: str | None = None
    message: str | None = None
    channel_id: str | None = None
    channel_name: str | None = None
    delivery_id: str | None = None
    attempt: int | None = None
    status_code: int | None = None
    latency_ms: float | None = None
    error: str | None = None


class AlertWithTimeline(Alert):
    timeline: list[TimelineItem]


class AlertCounts(Struct):
    open: int
    acknowledged: int
    resolved_24h: int


class AlertListing(Struct):
    items: list[Alert]
    next_cursor: str | None
    counts: AlertCounts


def alert(row: AlertRow, public_url: str) -> Alert:
    return shaped(Alert, row, status=row.status, link=f"{public_url}/alerts/{row.id}", **_about(row))


def alert_with_timeline(row: AlertRow, entries: list[TimelineEntry], public_url: str) -> AlertWithTimeline:
    link = f"{public_url}/alerts/{row.id}"
    items = [shaped(TimelineItem, entry) for entry in entries]
    return shaped(AlertWithTimeline, row, status=row.status, link=link, timeline=items, **_about(row))


def _about(row: AlertRow) -> dict[str, str | None]:
    return {"host_id": row.host_id, "host_name": row.host_name} if row.host_id else {"host_id": None, "host_name": None}


def alert_counts(counts: Counts) -> AlertCounts:
    return shaped(AlertCounts, counts)
