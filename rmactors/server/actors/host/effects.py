"""What a host's core asks its actor to do; the actor does it in the order given. Pure."""

from typing import Literal, assert_never

from msgspec import Struct

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


class SendFrame(Struct, frozen=True):
    connection: AgentConnection
    frame: wire.FromServer


class CloseConnection(Struct, frozen=True):
    connection: AgentConnection
    code: int
    reason: str


# ---- to who waits for an answer


class AnswerQuestion(Struct, frozen=True):
    request_id: str
    answer: LiveAnswer


# ---- to the rules


class JudgeReport(Struct, frozen=True):
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


class ReportSilence(Struct, frozen=True):
    """No sign of life since `since`. The answer comes back as `SilenceAnswered`."""

    since: int
    at: int


class TellRules(Struct, frozen=True):
    """No answer comes."""

    request: HostReturned | HostGone | HostClock


# ---- to the store


class SaveHello(Struct, frozen=True):
    """The answer comes back as `HelloAnswered`."""

    connection: AgentConnection
    hello: RecordHello


class SaveNote(Struct, frozen=True):
    """No answer comes: the next note makes good for one that is not saved."""

    note: NoteOnHost


class SaveLines(Struct, frozen=True):
    """`LinesWritten` comes back, at once if the store takes no more lines."""

    write: SaveLogLines


class ReadPendingWork(Struct, frozen=True):
    """`PendingWorkRead` comes back before any other event. `session`: the one whose hello this follows, if any."""

    session: AgentSession | None = None


class ReadRunningJobs(Struct, frozen=True):
    """`RunningJobsRead` comes back before any other event. `job_id`: the job that the read is about."""

    job_id: str


# ---- to what is kept in memory, and to the log


class SignOfLife(Struct, frozen=True):
    at: int


class ClockChanged(Struct, frozen=True):
    """The host's clock minus the server's."""

    offset_seconds: float


class ShowProgress(Struct, frozen=True):
    progress: wire.JobProgress


class CountLeftOut(Struct, frozen=True):
    """For `/metrics`: so many were left out."""

    what: LeftOut
    number: int


class Log(Struct, frozen=True):
    """`details` are the fields beside the host's id and name."""

    level: Literal["debug", "info"]
    event: str
    text: str
    details: dict[str, object]


Effect = (
    SendFrame | CloseConnection | AnswerQuestion | JudgeReport | ReportSilence | TellRules | SaveHello | SaveNote
    | SaveLines | ReadPendingWork | ReadRunningJobs | SignOfLife | ClockChanged | ShowProgress | CountLeftOut | Log
)  # fmt: skip
