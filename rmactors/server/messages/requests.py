"""What the rules actor is asked. Everything that can raise, touch or end an alert goes through it."""

from msgspec import Struct

from rmactors.server.messages.answers import Reply
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence


class JudgeStart(Struct, frozen=True):
    """A run began. Answer: Committed, Duplicate, Refused or Failed."""

    report: StartReport
    reply: Reply


class JudgeEnd(Struct, frozen=True):
    """A run ended. Answer: Committed, Duplicate, Refused or Failed."""

    report: EndReport
    reply: Reply


class JudgeLoss(Struct, frozen=True):
    """A run will not be heard of again."""

    loss: LostJob
    reply: Reply


class HostReturned(Struct, frozen=True):
    """A host said hello, as an agent or only to deliver reports; or is heard again after it was reported silent.

    `plans` are the names of those that its agent has; None if it did not say.
    """

    host_id: str
    at: int
    report_only: bool = False
    plans: tuple[str, ...] | None = None


class HostClock(Struct, frozen=True):
    """How far a host's clock is from the server's: its time minus ours, in seconds; None if it does not say."""

    host_id: str
    offset_seconds: float | None


class HostWentSilent(Struct, frozen=True):
    """No sign of life since `since` for longer than is forgiven. `reply` tells whether it is on disk."""

    host_id: str
    since: int
    at: int
    reply: Reply


class HostGone(Struct, frozen=True):
    """The connection ended or fell silent: its schedules are not judged until the next hello."""

    host_id: str
    at: int


class Acknowledge(Struct, frozen=True):
    """By an operator. Refused `not_found`, or `conflict` if it is resolved; acknowledged twice is once."""

    alert_id: str
    by: str
    note: str | None
    at: int
    audit: Audit
    reply: Reply


class Resolve(Struct, frozen=True):
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


class Change(Struct, frozen=True):
    """An operator's change that the rules must know of, and that may end alerts."""

    write: SaveSchedule | DeleteSchedule | DeleteHost | CreateSilence | DeleteSilence
    reply: Reply


class Tick(Struct, frozen=True):
    """`judges`: not in the grace after a start or a pause of the server, when no host is judged late."""

    at: int
    judges: bool = True


class ZonesChanged(Struct, frozen=True):
    """The time zone data is newer: what is due next may be due at another time."""


Asked = JudgeStart | JudgeEnd | JudgeLoss | HostWentSilent | Acknowledge | Resolve | Change
"""What is answered, once."""

Request = Asked | HostReturned | HostGone | HostClock | Tick | ZonesChanged
