"""What a host's actor takes from its mailboxes, and what its core is given beside that. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from rmactors.common.vocabulary import LiveRequest
from rmactors.server.actors.host.reports_in_flight import JobEvent
from rmactors.server.actors.host.sessions import AgentSession
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.connections import AgentConnection, FromConnection
from rmactors.server.state.host import PendingWork, RunningJob


class Now(NamedTuple):
    """`steady` in seconds on a clock that never jumps, `calendar` in microseconds."""

    steady: float
    calendar: int


class HostChanged(Struct, frozen=True):
    """Something changed in the store that concerns this host."""


class Question(Struct, frozen=True):
    """Somebody waits for what the agent answers to this."""

    request_id: str
    kind: LiveRequest
    params: Mapping[str, Any]


class NobodyWaits(Struct, frozen=True):
    """Any more, for the answer to this question: it took too long, or who asked has left."""

    request_id: str


class ReportAnswered(Struct, frozen=True):
    """The rules' answer to a report or a loss."""

    event: JobEvent
    answer: Answer


class SilenceAnswered(Struct, frozen=True):
    """The rules' answer to the report that the host is silent."""

    answer: Answer


class HelloAnswered(Struct, frozen=True):
    """The store's answer to what was said in a hello on this connection."""

    connection: AgentConnection
    answer: Answer


class LinesWritten(Struct, frozen=True):
    """One write of log lines is done. `dropped` of them found no place at the store."""

    dropped: int = 0


class Alarm(Struct, frozen=True):
    """The deadline that the core gave has passed. `grace_until`, on the steady clock: until then no host is judged."""

    grace_until: float


class PendingWorkRead(Struct, frozen=True):
    """What `ReadPendingWork` found; None if the database could not be read."""

    session: AgentSession | None
    work: PendingWork | None


class RunningJobsRead(Struct, frozen=True):
    """What `ReadRunningJobs` found; None if the database could not be read."""

    job_id: str
    running: list[RunningJob] | None


HostInbox = (
    FromConnection | HostChanged | Question | NobodyWaits | ReportAnswered | SilenceAnswered | HelloAnswered
    | LinesWritten
)  # fmt: skip
"""What comes through mailboxes."""
HostEvent = HostInbox | Alarm | PendingWorkRead | RunningJobsRead
