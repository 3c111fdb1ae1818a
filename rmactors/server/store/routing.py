"""Which channels take which notification, and what a silence holds back. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

from rmactors.common import cron
from rmactors.common.clock import MINUTE
from rmactors.common.vocabulary import SEVERITIES, Severity


@dataclass(frozen=True, slots=True)
class Filter:
    """What a channel wants to hear of. Empty `host_tags`: of every host; else any tag matches. What is about no host
    has no tags to go by, and so is for all."""

    min_severity: Severity
    events: frozenset[str]
    host_tags: frozenset[str]

    def takes(self, event: str, severity: Severity, host_tags: Sequence[str] | None) -> bool:
        """`host_tags`: of the host that it is about; None: it is about no host."""
        return (
            event in self.events
            and SEVERITIES.index(severity) >= SEVERITIES.index(self.min_severity)
            and (not self.host_tags or host_tags is None or not self.host_tags.isdisjoint(host_tags))
        )


@dataclass(frozen=True, slots=True)
class Recurrence:
    """A maintenance window that comes back: open for `minutes` from each time the expression fires."""

    cron: str
    timezone: str
    minutes: float

    @staticmethod
    def from_json(text: str) -> "Recurrence":
        found = json.loads(text)
        return Recurrence(found["cron"], found["timezone"], found["duration_minutes"])

    def open_at(self, at: int) -> bool:
        return (
            cron.previous_fire(self.cron, self.timezone, at, not_before=at - round(self.minutes * MINUTE) + 1)
            is not None
        )


@dataclass(frozen=True, slots=True)
class Silence:
    """Holds back notifications about what it selects; no selector selects everything. Times in microseconds."""

    id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: int
    ends_at: int | None
    recurrence: Recurrence | None
    reason: str

    def holds(self, at: int, host_id: str, kind: str, host_tags: Sequence[str] | None) -> bool:
        """Whether a notification at `at` about this alert is to be held back."""
        return (
            self.starts_at <= at
            and (self.ends_at is None or at < self.ends_at)
            and self.host_id in (None, host_id)
            and self.kind in (None, kind)
            and (self.tag is None or self.tag in (host_tags or ()))
            and (self.recurrence is None or self.recurrence.open_at(at))
        )
