"""What the model is made of: channels, alerts, outcomes, schedules. Times in microseconds."""

import json
from collections import Counter
from dataclasses import dataclass, field

from rmactors.common.clock import HOUR, MINUTE, SECOND
from rmactors.server.messages.schedules import SaveSchedule

LEAST_GRACE = 300 * SECOND
CRONS = {"0 3 * * *": (24 * HOUR, 3 * HOUR), "0 * * * *": (HOUR, 0), "*/30 * * * *": (30 * MINUTE, 0)}
"""Expression → (interval, offset), all in UTC."""
FAILURES = {"backup": "backup_failed", "forget": "forget_failed", "prune": "prune_failed", "check": "check_failed"}
LASTING = ("agent_offline", "stale_schedule")
Key = tuple[str, str, str]
"""(host, kind of alert, subject)"""


@dataclass(eq=False)
class Channel:
    """What it takes: events, of hosts with a tag (None: of all), only critical ones; reminders every `remind`;
    raises of what nobody has looked after for `after`."""

    events: tuple[str, ...]
    tag: str | None = None
    critical_only: bool = False
    remind: int = 0
    after: int = 0


@dataclass(eq=False)
class Alert:
    """`told` is what each channel is sent, in order, `answered` how many of those arrived or never will.

    `held` channels have not been told of the raise: nobody looks after it since then. `silenced` are those of them that
    a silence holds back (as well).
    """

    key: Key
    raised_at: int
    seen_at: int
    occurrences: int = 1
    acknowledged_by: str | None = None
    resolved_by: str | None = None
    timeline: list[str] = field(default_factory=list)
    told: dict[str, list[str]] = field(default_factory=dict)
    told_at: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    silenced: set[str] = field(default_factory=set)
    answered: Counter[str] = field(default_factory=Counter)
    never_arrived: Counter[str] = field(default_factory=Counter)
    """How many of the raises told to a channel."""
    known_partial: bool = False
    """The worst that people were told of, or acknowledged, was a partial run."""
    counts: int | None = None
    """How many others it speaks for, where it says that there are too many."""


@dataclass
class End:
    """One outcome. `good` None: it says nothing. `plan` is what it was about, as far as that is known."""

    job: str
    good: bool | None
    at: int
    spool: str | None = None
    seq: int | None = None
    lost: bool = False
    plan: str | None = None
    partial: bool = False
    told_by: Alert | None = None
    """A failure that raised nothing, because of too many alerts: the one that tells of it."""

    def is_newer_than(self, other: "End") -> bool:
        if self.spool is not None and self.spool == other.spool:
            return (self.seq or 0) > (other.seq or 0)
        return self.at >= other.at


@dataclass
class Schedule:
    """As it was saved last, and every run of it: (slot it was for, start)."""

    saved: SaveSchedule
    runs: list[tuple[int | None, int]] = field(default_factory=list)
    deleted: bool = False
    last_good_at: int | None = None

    @property
    def plan(self) -> str | None:
        found: str | None = json.loads(self.saved.params).get("plan")
        return found

    def grace(self) -> int:
        interval, _ = CRONS[self.saved.cron]
        return max(round(self.saved.grace_seconds * SECOND), LEAST_GRACE, min(interval // 10, 6 * HOUR))

    def missed(self, now: int) -> bool:
        """Whether the newest slot whose grace is over had no run."""
        interval, offset = CRONS[self.saved.cron]
        slot = (now - self.grace() - 1 - offset) // interval * interval + offset
        ran = any(start >= slot - MINUTE if of is None else of >= slot for of, start in self.runs)
        return slot > self.saved.anchor_at and not ran

    def slot_of(self, claimed: int | None, now: int) -> int | None:
        """The slot that a run says it is for, if it is one and no later than the next."""
        interval, offset = CRONS[self.saved.cron]
        true = claimed is not None and (claimed - offset) % interval == 0 and claimed - interval <= now
        return claimed if true else None
