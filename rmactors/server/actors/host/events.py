"""What a host's actor takes from its mailboxes, and what its core is given beside that. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

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


@dataclass(frozen=True, slots=True)
class HostChanged:
    """Something changed in the store that concerns this host."""


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody waits for what the agent answers to this."""

    request_id: str
    kind: LiveRequest
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class NobodyWaits:
    """Any more, for the answer to this question: it took too long, or who asked has left."""

    request_id: str


@dataclass(frozen=True, slots=True)
class ReportAnswered:
    """The rules' answer to a report or a loss."""

    event: JobEvent
    answer: Answer


@dataclass(frozen=True, slots=True)
class SilenceAnswered:
    """The rules' answer to the report that the host is silent."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class HelloAnswered:
    """The store's answer to what was said in a hello on this connection."""

    connection: AgentConnection
    answer: Answer


@dataclass(frozen=True, slots=True)
class LinesWritten:
    """One write of log lines is done. `dropped` of them found no place at the store."""

    dropped: int = 0


@dataclass(frozen=True, slots=True)
class Alarm:
    """The deadline that the core gave has passed. `grace_until`, on the steady clock: until then no host is judged."""

    grace_until: float


@dataclass(frozen=True, slots=True)
class PendingWorkRead:
    """What `ReadPendingWork` found; None if the database could not be read."""

    session: AgentSession | None
    work: PendingWork | None


@dataclass(frozen=True, slots=True)
class RunningJobsRead:
    """What `ReadRunningJobs` found; None if the database could not be read."""

    job_id: str
    running: list[RunningJob] | None


HostInbox = (
    FromConnection | HostChanged | Question | NobodyWaits | ReportAnswered | SilenceAnswered | HelloAnswered
    | LinesWritten
)  # fmt: skip
"""What comes through mailboxes."""
HostEvent = HostInbox | Alarm | PendingWorkRead | RunningJobsRead
