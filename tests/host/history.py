"""A host's core and what happens to it, at times that the test says. What the core decides comes back as effects."""

from dataclasses import dataclass, field
from typing import Any, TypeVar

from rmactors.common import clock, wire
from rmactors.common.clock import DAY, SECOND
from rmactors.common.vocabulary import LiveRequest
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events
from rmactors.server.actors.host.core import HostCore, HostSettings
from rmactors.server.actors.host.events import Now
from rmactors.server.actors.host.reports_in_flight import JobEvent, Kind
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.connections import AgentConnection, ConnectionClosed, FrameReceived, UnreadableReport
from rmactors.server.messages.hosts import NoteOnHost
from rmactors.server.messages.live_requests import LiveAnswer
from rmactors.server.state.host import HostFacts, PendingCommand, PendingWork, RunningJob

E = TypeVar("E")

START_AT = 1_000_000 * SECOND
"""The calendar when the steady clock shows 0."""


def connection(number: int = 1, token_hash: str = "hash") -> AgentConnection:
    def never(*_: object) -> None:
        raise AssertionError("the core neither sends nor closes")

    return AgentConnection(number, "192.0.2.7", never, never, token_hash)


def work(*commands: PendingCommand, token_hash: str | None = "hash", schedules_rev: int = 1) -> PendingWork:
    return PendingWork(token_hash, schedules_rev, [], list(commands))


def queued(job_id: str) -> PendingCommand:
    return PendingCommand(job_id, "backup", None, {}, True, False)


def runs(job_id: str = "job", deadline_at: int = START_AT + DAY) -> RunningJob:
    return RunningJob(job_id, "backup", "home", None, START_AT, deadline_at)


def only(effects: list[do.Effect], kind: type[E]) -> list[E]:
    return [effect for effect in effects if isinstance(effect, kind)]


def frames(effects: list[do.Effect]) -> list[wire.FromServer]:
    """What is sent, to any connection."""
    return [effect.frame for effect in only(effects, do.SendFrame)]


def notes(effects: list[do.Effect]) -> list[str]:
    return [effect.note.code for effect in only(effects, do.SaveNote)]


def lost(effects: list[do.Effect]) -> set[str]:
    return {effect.event.job_id for effect in only(effects, do.JudgeReport) if effect.event.kind == "loss"}


@dataclass
class History:
    """Of one host that said hello before. `seconds` is the time on the steady clock; set it to let time pass."""

    running: list[RunningJob] = field(default_factory=list)
    first_hello_at: int | None = START_AT
    grace_until: float = 0.0
    seconds: float = 0.0

    def __post_init__(self) -> None:
        facts = HostFacts("host", "nas1", "hash", self.first_hello_at, START_AT)
        settings = HostSettings(heartbeat=30.0, offline_alert=900.0, stale_grace=300.0)
        self.core = HostCore(facts, self.running, settings, 0.0, self.grace_until, self.now, lambda: "note")

    @property
    def at(self) -> int:
        return START_AT + clock.seconds(self.seconds)

    @property
    def now(self) -> Now:
        return Now(self.seconds, self.at)

    def happens(self, event: events.HostEvent) -> list[do.Effect]:
        return self.core.handle(event, self.now)

    def says(self, link: AgentConnection, frame: wire.FromAgent) -> list[do.Effect]:
        return self.happens(FrameReceived(link, frame, self.at))

    def says_rubbish(self, link: AgentConnection, seq: int = 1) -> list[do.Effect]:
        return self.happens(UnreadableReport(link, wire.Unreadable("bad_report", "it is wrong", seq), self.at))

    def hangs_up(self, link: AgentConnection) -> list[do.Effect]:
        return self.happens(ConnectionClosed(link, self.at))

    def says_hello(self, link: AgentConnection, **changes: Any) -> list[do.Effect]:
        return self.says(
            link, wire.Hello(**{"protocol": wire.ProtocolRange(1, 1), "instance_id": "instance", **changes})
        )

    def connects(self, number: int = 1, waits: PendingWork | None = None, **hello: Any) -> AgentConnection:
        """A hello, and the answer to the read that follows."""
        link = connection(number)
        self.is_read(self.says_hello(link, **hello), waits or work())
        return link

    def is_read(self, effects: list[do.Effect], found: PendingWork | None) -> list[do.Effect]:
        """The read of what waits that is the last of these effects."""
        read = effects[-1]
        assert isinstance(read, do.ReadPendingWork)
        return self.happens(events.PendingWorkRead(read.session, found))

    def starts(self, link: AgentConnection, job_id: str = "job", seq: int = 1) -> list[do.Effect]:
        return self.says(link, wire.JobStarted(seq, job_id, "backup", clock.to_datetime(self.at)))

    def ends(self, link: AgentConnection, job_id: str = "job", seq: int = 2, **changes: Any) -> list[do.Effect]:
        at = clock.to_datetime(self.at)
        return self.says(link, wire.JobFinished(seq, job_id, "backup", "succeeded", "ok", at, at, **changes))

    def answered(self, kind: Kind, answer: Answer, job_id: str = "job") -> list[do.Effect]:
        return self.happens(events.ReportAnswered(JobEvent(job_id, kind), answer))

    def is_asked(self, request_id: str = "question", kind: LiveRequest = "browse") -> list[do.Effect]:
        return self.happens(events.Question(request_id, kind, {"plan": "home"}))

    def responds(self, link: AgentConnection, request_id: str = "question", **changes: Any) -> list[do.Effect]:
        return self.says(link, wire.Response(**{"request_id": request_id, "ok": True, **changes}))

    def alarm(self, grace_until: float = 0.0) -> list[do.Effect]:
        return self.happens(events.Alarm(grace_until))


def answers(effects: list[do.Effect]) -> dict[str, LiveAnswer]:
    """What those who asked are told, by the question."""
    return {effect.request_id: effect.answer for effect in only(effects, do.AnswerQuestion)}


def refused_note(at: int) -> NoteOnHost:
    return NoteOnHost("note", "host", at, "bad_report", "A report was refused: it is wrong")
