"""Writes about alerts and what the rules remember between them."""

from msgspec import Struct

from rmactors.common.vocabulary import (
    AlertKind,
    Severity,
)
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reasons import Reason


class RaiseAlert(Struct, frozen=True):
    """Expects no unresolved alert for (host, kind, subject). Queues a notification for every channel that takes it.

    `known_partial`: it tells of nothing worse than a partial run.
    """

    alert_id: str
    host_id: str
    kind: AlertKind
    subject: str
    severity: Severity
    message: str
    at: int
    job_id: str | None = None
    known_partial: bool = False
    reason: Reason | None = None


class WorsenAlert(Struct, frozen=True):
    """Expects the alert unresolved. Adds an occurrence, takes back the acknowledgement, and queues another raise
    for every channel that takes it. `notice` is the message that they are sent."""

    alert_id: str
    message: str
    notice: str
    at: int
    job_id: str | None = None
    reason: Reason | None = None


class TouchAlert(Struct, frozen=True):
    """Expects the alert unresolved. `again` adds an occurrence. Sends nothing."""

    alert_id: str
    message: str
    at: int
    again: bool
    job_id: str | None = None


class AcknowledgeAlert(Struct, frozen=True):
    """Expects the alert unresolved and not acknowledged. `known_partial`: what the operator knows of is no worse
    than a partial run; None if the rules do not say."""

    alert_id: str
    at: int
    by: str
    note: str | None
    audit: Audit | None
    known_partial: bool | None = None


class ResolveAlert(Struct, frozen=True):
    """Expects the alert unresolved. `by` is a user name, `token:<name>` or `rule`."""

    alert_id: str
    at: int
    by: str
    note: str | None
    message: str | None = None
    audit: Audit | None = None
    reason: Reason | None = None


class TouchConditions(Struct, frozen=True):
    """Moves `last_seen_at` of every unresolved alert about a condition that lasts, in one statement."""

    at: int


class SaveAlertState(Struct, frozen=True):
    """What the rules remember of (host, kind of alert, subject). `last`, `good` and `usual` are JSON or None.

    Expects the version before `version` on disk (1: none there yet), so that no decision is built on one that failed.
    """

    host_id: str
    kind: AlertKind
    subject: str
    version: int
    last: str | None
    good: str | None
    last_good_at: int | None
    suppressed_until_clear: bool
    usual: str | None = None


class ExpectAlertState(Struct, frozen=True):
    """Changes nothing. Expects that version of an alert's state on disk (0: none there): a decision that leaves it
    alone is built on it too."""

    host_id: str
    kind: AlertKind
    subject: str
    version: int


class ForgetAlertState(Struct, frozen=True):
    """Removes what the rules remember of (host, kind of alert, subject). Expects that version of it on disk."""

    host_id: str
    kind: AlertKind
    subject: str
    version: int


class ExpectOpen(Struct, frozen=True):
    """Changes nothing. Expects that the host's open alerts, `too_many_alerts` aside, are `most` or more (`reached`), or
    fewer."""

    host_id: str
    most: int
    reached: bool
