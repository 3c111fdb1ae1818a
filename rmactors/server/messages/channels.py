"""Writes about channels and what was sent through them."""

from dataclasses import dataclass
from typing import Literal

from rmactors.common.vocabulary import (
    Event,
    GroupBy,
    Priority,
    Severity,
)
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.notifications import Attempt


@dataclass(frozen=True, slots=True)
class SaveChannel:
    """Makes the channel or replaces what it says. `config` is encrypted already.

    `quiet_hours` and `digest` are JSON. Disabling ends what is queued. Refused `not_found`, or `conflict`
    if the kind would change.
    """

    channel_id: str
    kind: str
    name: str
    enabled: bool
    config: bytes
    default_priority: Priority | None
    min_severity: Severity
    events: tuple[Event, ...]
    host_tags: tuple[str, ...]
    group_seconds: float
    remind_hours: float
    at: int
    create: bool
    audit: Audit
    group_by: GroupBy = "host"
    after_minutes: float = 0.0
    quiet_hours: str | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class DeleteChannel:
    channel_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class SettleAttempt:
    """One attempt and its end. `carried` are the deliveries that the same message stands for as well, and how
    they end with it: `delivered` for the members of a group, `superseded` for what a resolution made moot."""

    log_id: str
    delivery_id: str
    channel_id: str
    alert_id: str
    event: str
    attempt: int
    result: Attempt
    at: int
    due_at: int | None
    carried: tuple[tuple[str, Literal["delivered", "superseded"]], ...] = ()


@dataclass(frozen=True, slots=True)
class LogTest:
    """A test send and its end, in the log alone."""

    log_id: str
    channel_id: str
    alert_id: str
    delivery_id: str
    result: Attempt
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class RetryDelivery:
    """Makes a dead delivery due again. Refused `not_found`, or `conflict`: it is not dead, or its channel is off."""

    delivery_id: str
    at: int
    audit: Audit
