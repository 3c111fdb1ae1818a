"""Channels, what they sent and what waits, as the API shows them."""

from typing import Literal

from msgspec import Struct, field

from rmactors.common.vocabulary import (
    Event,
    GroupBy,
    Priority,
    Severity,
    Weekday,
)
from rmactors.server.channels.registry import KindName
from rmactors.server.store.queries.channels import ChannelHealth, DeliveryRow, LogRow
from rmactors.server.web.api.shapes.rows import JsonObject, shaped
from rmactors.server.web.fields import Time


class Health(Struct):
    state: Literal["ok", "failing", "dead", "idle"]
    since: Time | None
    last_error: str | None
    queued: int
    oldest_queued_at: Time | None
    dead: int
    held_until: Time | None
    held_because: str | None


class QuietHours(Struct):
    """`from` and `to` as `HH:MM`; empty `days`: every day. The days are those on which they begin."""

    timezone: str
    from_: str = field(name="from")
    to: str
    days: list[Weekday]


class Digest(Struct):
    cron: str
    timezone: str


class Channel(Struct):
    """Secrets in `config` read as `{"set": true}`."""

    id: str
    kind: KindName
    name: str
    enabled: bool
    config: JsonObject
    default_priority: Priority | None
    min_severity: Severity
    events: list[Event]
    host_tags: list[str]
    group_seconds: float
    remind_hours: float
    group_by: GroupBy
    after_minutes: float
    quiet_hours: QuietHours | None
    digest: Digest | None
    created_at: Time
    updated_at: Time
    last_fired_at: Time | None
    health: Health


class LogEntry(Struct):
    id: str
    channel_id: str
    alert_id: str
    delivery_id: str
    event: Event
    attempt: int
    ok: bool
    status_code: int | None
    latency_ms: float
    error: str | None
    fired_at: Time


class Delivery(Struct):
    id: str
    channel_id: str
    alert_id: str
    event: Event
    state: Literal["queued", "delivered", "dead", "superseded"]
    attempts: int
    created_at: Time
    due_at: Time
    last_error: str | None
    finished_at: Time | None


def health(found: ChannelHealth, now: int) -> Health:
    """A hold that is over is none."""
    if found.held_until is None or found.held_until <= now:
        return shaped(Health, found, held_until=None, held_because=None)
    return shaped(Health, found)


def log_entry(row: LogRow) -> LogEntry:
    return shaped(LogEntry, row)


def delivery(row: DeliveryRow) -> Delivery:
    return shaped(Delivery, row)
