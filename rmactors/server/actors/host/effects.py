"""What a host's core asks its actor to do; the actor does it in the order given. Pure."""

from dataclasses import dataclass
from typing import Literal, assert_never

from rmactors.common import wire
from rmactors.server.actors.host.reports_in_flight import JobEvent
from rmactors.server.actors.host.sessions import AgentSession
from rmactors.server.messages.answers import Reply
from rmactors.server.messages.connections import AgentConnection
from rmactors.server.messages.hosts import NoteOnHost, RecordHello
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.messages.live_requests import LiveAnswer
from rmactors.server.messages.reports import EndReport, LostJob, StartReport
from rmactors.server.messages.requests import HostClock, HostGone, HostReturned, JudgeEnd, JudgeLoss, JudgeStart

LeftOut = Literal["log_lines", "notes", "progress", "responses"]

# ---- to agents


@dataclass(frozen=True, slots=True)
class SendFrame:
    connection: AgentConnection
    frame: wire.FromServer


@dataclass(frozen=True, slots=True)
class CloseConnection:
    connection: AgentConnection
    code: int
    reason: str


# ---- to who waits for an answer


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    request_id: str
    answer: LiveAnswer


# ---- to the rules


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """The answer comes back as `ReportAnswered`."""

    event: JobEvent
    report: StartReport | EndReport | LostJob

    def request(self, reply: Reply) -> JudgeStart | JudgeEnd | JudgeLoss:
        match self.report:
            case EndReport():
                return JudgeEnd(self.report, reply)
            case StartReport():
                return JudgeStart(self.report, reply)
            case LostJob():
                return JudgeLoss(self.report, reply)
            case _:
                assert_never(self.report)


@dataclass(frozen=True, slots=True)
class ReportSilence:
    """No sign of life since `since`. The answer comes back as `SilenceAnswered`."""

    since: int
    at: int


@dataclass(frozen=True, slots=True)
class TellRules:
    """No answer comes."""

    request: HostReturned | HostGone | HostClock


# ---- to the store


@dataclass(frozen=True, slots=True)
class SaveHello:
    """The answer comes back as `HelloAnswered`."""

    connection: AgentConnection
    hello: RecordHello


@dataclass(frozen=True, slots=True)
class SaveNote:
    """No answer comes: the next note makes good for one that is not saved."""

    note: NoteOnHost


@dataclass(frozen=True, slots=True)
class SaveLines:
    """`LinesWritten` comes back, at once if the store takes no more lines."""

    write: SaveLogLines


@dataclass(frozen=True, slots=True)
class ReadPendingWork:
    """`PendingWorkRead` comes back before any other event. `session`: the one whose hello this follows, if any."""

    session: AgentSession | None = None


@dataclass(frozen=True, slots=True)
class ReadRunningJobs:
    """`RunningJobsRead` comes back before any other event. `job_id`: the job that the read is about."""

    job_id: str


# ---- to what is kept in memory, and to the log


@dataclass(frozen=True, slots=True)
class SignOfLife:
    at: int


@dataclass(frozen=True, slots=True)
class ClockChanged:
    """The host's clock minus the server's."""

    offset_seconds: float


@dataclass(frozen=True, slots=True)
class ShowProgress:
    progress: wire.JobProgress


@dataclass(frozen=True, slots=True)
class CountLeftOut:
    """For `/metrics`: so many were left out."""

    what: LeftOut
    number: int


@dataclass(frozen=True, slots=True)
class Log:
    """`details` are the fields beside the host's id and name."""

    level: Literal["debug", "info"]
    event: str
    text: str
    details: dict[str, object]


Effect = (
    SendFrame | CloseConnection | AnswerQuestion | JudgeReport | ReportSilence | TellRules | SaveHello | SaveNote
    | SaveLines | ReadPendingWork | ReadRunningJobs | SignOfLife | ClockChanged | ShowProgress | CountLeftOut | Log
)  # fmt: skip
