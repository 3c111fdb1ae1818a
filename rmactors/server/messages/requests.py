"""What the rules actor is asked. Everything that can raise, touch or end an alert goes through it."""

from dataclasses import dataclass

from rmactors.server.messages.answers import Reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence


@dataclass(frozen=True, slots=True)
class JudgeStart:
    """A run began. Answer: Committed, Duplicate, Refused or Failed."""

    report: StartReport
    reply: Reply


@dataclass(frozen=True, slots=True)
class JudgeEnd:
    """A run ended. Answer: Committed, Duplicate, Refused or Failed."""

    report: EndReport
    reply: Reply


@dataclass(frozen=True, slots=True)
class JudgeLoss:
    """A run will not be heard of again."""

    loss: LostJob
    reply: Reply


@dataclass(frozen=True, slots=True)
class HostReturned:
    """A host said hello, as an agent or only to deliver reports; or is heard again after it was reported silent.

    `plans` are the names of those that its agent has; None if it did not say.
    """

    host_id: str
    at: int
    report_only: bool = False
    plans: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class HostClock:
    """How far a host's clock is from the server's: its time minus ours, in seconds; None if it does not say."""

    host_id: str
    offset_seconds: float | None


@dataclass(frozen=True, slots=True)
class HostWentSilent:
    """No sign of life since `since` for longer than is forgiven. `reply` tells whether it is on disk."""

    host_id: str
    since: int
    at: int
    reply: Reply


@dataclass(frozen=True, slots=True)
class HostGone:
    """The connection ended or fell silent: its schedules are not judged until the next hello."""

    host_id: str
    at: int


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """By an operator. Refused `not_found`, or `conflict` if it is resolved; acknowledged twice is once."""

    alert_id: str
    by: str
    note: str | None
    at: int
    audit: Audit
    reply: Reply


@dataclass(frozen=True, slots=True)
class Resolve:
    """By an operator. Refused `not_found`; resolved twice is once.

    `meant`: the backup that looks wrong (`backup_suspicious`) is as it should be, and is the measure from now on. It
    says nothing about other kinds.
    """

    alert_id: str
    by: str
    note: str | None
    at: int
    audit: Audit
    reply: Reply
    meant: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """An operator's change that the rules must know of, and that may end alerts."""

    write: SaveSchedule | DeleteSchedule | DeleteHost | CreateSilence | DeleteSilence
    reply: Reply


@dataclass(frozen=True, slots=True)
class Tick:
    """`judges`: not in the grace after a start or a pause of the server, when no host is judged late."""

    at: int
    judges: bool = True


@dataclass(frozen=True, slots=True)
class ZonesChanged:
    """The time zone data is newer: what is due next may be due at another time."""


Asked = JudgeStart | JudgeEnd | JudgeLoss | HostWentSilent | Acknowledge | Resolve | Change
"""What is answered, once."""

Request = Asked | HostReturned | HostGone | HostClock | Tick | ZonesChanged
