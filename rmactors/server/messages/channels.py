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

WhatIsQueued = Literal["ask", "drop", "keep"]
"""`drop`: it is dead, and so is what was kept before. `keep`: it goes out when the channel is on again. `ask`: where
disabling leaves something queued, it is refused."""


@dataclass(frozen=True, slots=True)
class SaveChannel:
    """Makes the channel or replaces what it says. `config` is encrypted already.

    `quiet_hours` and `digest` are JSON. `queued`: what becomes of what waits while it is off, see `WhatIsQueued`.
    Refused `not_found`, `conflict` if the kind would change, or `queued`.
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
    queued: WhatIsQueued = "ask"


@dataclass(frozen=True, slots=True)
class DeleteChannel:
    channel_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class SettleAttempt:
    """One attempt and its end. `carried` are the deliveries that the same message stands for as well, and how
    they end with it: `delivered` for the members of a group, `superseded` for what a resolution made moot.
    `settings_at`: of when the channel's settings were under which it was made; None: as they are now."""

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
    settings_at: int | None = None


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
class DismissDelivery:
    """A dead delivery that nobody wants any more: it stays dead and counts no longer. Dismissed twice is once. Refused
    `not_found`, or `conflict`: it is not dead."""

    delivery_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DismissAll:
    """All that is dead of a channel so far. Refused `not_found`."""

    channel_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class RetryDelivery:
    """Makes a dead delivery due again. Refused `not_found`, or `conflict`: it is not dead, or its channel is off."""

    delivery_id: str
    at: int
    audit: Audit
