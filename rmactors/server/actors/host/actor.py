"""The actor of one host.

Owns      when it is silent (`silence`), its live sockets (`sessions`), its running jobs and the reports of them that
          are not on disk yet (`reports_in_flight`), and which commands its agent was sent (`commands`).
Receives  frames from the gateway; answers of the rules; `HostChanged` when something waits for it in the store.
Sends     reports and presence to the rules; hellos, notes and log lines to the store; frames to its links.
Restart   its sockets close, so that the agent comes back and says hello; running jobs are read again.
"""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, assert_never

import trio

from rmactors.common import clock, ids, logs, wire
from rmactors.common.clock import SECOND
from rmactors.server.actors.host import translate
from rmactors.server.actors.host.commands import SentCommands
from rmactors.server.actors.host.inbox import HostChanged, HostInbox, LinesWritten, ReportAnswered, SilenceAnswered
from rmactors.server.actors.host.log_lines import LogLines
from rmactors.server.actors.host.notes import Notes
from rmactors.server.actors.host.reports_in_flight import JobEvent, JobTracker, Waiter
from rmactors.server.actors.host.sessions import AgentSession, AgentSessions
from rmactors.server.actors.host.silence import HostClockMonitor, SilenceMonitor
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Reply, Stale, no_reply
from rmactors.server.messages.connections import AgentConnection, ConnectionClosed, FrameReceived, UnreadableReport
from rmactors.server.messages.hosts import NoteOnHost
from rmactors.server.messages.reports import LostJob
from rmactors.server.messages.requests import (
    HostClock,
    HostGone,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Request,
)
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, Outlet, receive_first
from rmactors.server.runtime.rate_limits import PROGRESS, REPORTS, Bucket
from rmactors.server.state.host import HostFacts, PendingWork, RunningJob
from rmactors.server.store.load_hosts import load_pending_work, load_running
from rmactors.server.store.reader import Reader

R = TypeVar("R")

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""After a commit that failed, what only this actor knows is said again."""
DEFAULT_MAX_RUNTIME = 86_400.0


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Durations in seconds."""

    heartbeat: float
    offline_alert: float
    stale_grace: float


@dataclass(frozen=True, slots=True)
class HostPorts:
    """Whom a host actor talks to. `sign_of_life` notes (host, time), `clock_changed` (host, offset in seconds) for the
    next flush. `not_before` tells on trio's clock from when on hosts are judged silent or late; it may move. `count`
    takes what was left out, for `/metrics`: ("left_out", what) → number."""

    to_rules: Outlet[Request]
    to_store: Outlet[Commit]
    reader: Reader
    progress: Callable[[wire.JobProgress], None]
    sign_of_life: Callable[[str, int], None]
    clock_changed: Callable[[str, float], None]
    not_before: Callable[[], float]
    count: Callable[[dict[tuple[str, ...], int]], None] = lambda _: None


async def run(
    facts: HostFacts,
    running: list[RunningJob],
    inbox: Mailbox[HostInbox],
    ports: HostPorts,
    settings: HostSettings,
    last_sign: float,
) -> None:
    """Serve one host until it is deleted. `last_sign` on trio's clock.

    While as many of its reports as may be are on their way to disk, only their answers are looked at.
    """
    answers: Mailbox[HostInbox] = Mailbox("answers", 0, beside=inbox)
    actor = _Host(facts, running, answers, ports, settings, last_sign)
    try:
        while not actor.gone:
            message = None
            boxes = (answers,) if actor.is_full() else (answers, inbox)
            with trio.move_on_at(actor.next_deadline()):
                message = await receive_first(*boxes)
            if message is None:
                await actor.deadline()
            else:
                await actor.take(message)
    finally:
        actor.close_connections(
            wire.CLOSE_REVOKED if actor.gone else wire.CLOSE_GOING_AWAY, "revoked" if actor.gone else "restart"
        )


class _Host:
    def __init__(
        self,
        facts: HostFacts,
        running: list[RunningJob],
        answers: Mailbox[HostInbox],
        ports: HostPorts,
        settings: HostSettings,
        last_sign: float,
    ) -> None:
        self.gone = False
        self._id, self._name = facts.id, facts.name
        self._token_hash = facts.token_hash
        self._answers = answers
        self._ports = ports
        self._settings = settings
        self._not_before = ports.not_before()
        self._watch = SilenceMonitor(
            settings.offline_alert, self._not_before, last_sign, watched=facts.first_hello_at is not None
        )
        self._last_seen_at = facts.last_seen_at or 0
        self._sessions = AgentSessions()
        self._jobs = JobTracker(facts.id, running, clock.seconds(DEFAULT_MAX_RUNTIME + settings.stale_grace))
        self._clock = HostClockMonitor()
        self._notes = Notes(facts.id, ids.new)
        self._log = LogLines(
            facts.id, ports.to_store.put_aside, lambda: answers.put_unbounded(LinesWritten()), ports.count
        )
        self._progress = Bucket(*PROGRESS)
        self._sent_rev: int | None = None
        self._sent = SentCommands()
        self._retry_at = float("inf")

    # ---- time

    def next_deadline(self) -> float:
        """On trio's clock: when to look again without being told anything."""
        candidates = [self._retry_at, self._watch.deadline()]
        overdue_at = self._jobs.first_deadline()
        if overdue_at is not None:
            late = trio.current_time() + (overdue_at - clock.now()) / SECOND
            candidates.append(max(late, self._not_before))
        return min(candidates)

    async def deadline(self) -> None:
        self._retry_at = float("inf")
        self._not_before = self._ports.not_before()
        self._watch.extend_grace(self._not_before)
        if self._watch.is_newly_silent(trio.current_time()):
            await self._ports.to_rules.send(
                HostWentSilent(self._id, self._last_seen_at, clock.now(), self._reply_silence)
            )
        at = clock.now()
        if trio.current_time() >= self._not_before:
            await self._lose(self._jobs.lose_overdue(at))
        await self._lose(self._jobs.lose_missing(at))

    def _reply_silence(self, answer: Answer) -> None:
        self._answers.put_unbounded(SilenceAnswered(answer))

    # ---- messages

    def is_full(self) -> bool:
        """Whether what is under way has to arrive first."""
        return len(self._jobs) >= REPORTS

    async def take(self, message: HostInbox) -> None:
        match message:
            case FrameReceived():
                await self._heard(message)
            case UnreadableReport():
                await self._refuse(message.connection, message.problem, message.at)
            case ConnectionClosed():
                await self._closed(message.connection, message.at)
            case ReportAnswered():
                await self._judged(message.event, message.answer)
            case SilenceAnswered():
                if isinstance(message.answer, Failed):
                    self._watch.report_again(trio.current_time() + RETRY_SECONDS)
            case LinesWritten():
                self._log.go_on()
            case HostChanged():
                await self._look()
            case _:
                assert_never(message)

    async def _heard(self, message: FrameReceived) -> None:
        connection, frame, at = message.connection, message.frame, message.at
        session = self._sessions.find(connection)
        if session is None and not isinstance(frame, wire.Hello):
            # This actor restarted and does not know the connection any more.
            connection.close(wire.CLOSE_GOING_AWAY, "say hello again")
            return
        if session is not None and session is self._sessions.agent:
            await self._alive(at)
        match frame:
            case wire.Hello():
                await self._hello(connection, frame, at)
            case wire.Heartbeat():
                await self._tell_clock(session, translate.clock_offset(frame.utc_now, at))
            case wire.JobStarted() | wire.JobFinished():
                assert session is not None
                await self._report(session, frame, at)
            case wire.JobProgress():
                if not self._jobs.runs(frame.job_id):
                    return
                if self._progress.take(1, trio.current_time()):
                    self._ports.progress(frame)
                else:
                    await self._left_out("progress", 1, at)
            case wire.JobLog():
                await self._lines(frame, at)
            case wire.Enroll():
                connection.send(wire.Error("bad_message", "this host is enrolled already"))
                connection.close(wire.CLOSE_BAD_MESSAGE, "bad_message")
            case _:
                assert_never(frame)

    async def _alive(self, at: int) -> None:
        self._last_seen_at = at
        self._ports.sign_of_life(self._id, at)
        if self._watch.sign(trio.current_time()):  # silent too long for us, and not long enough to be cut off
            await self._ports.to_rules.send(HostReturned(self._id, at))

    async def _tell_clock(self, session: AgentSession | None, offset: float | None) -> None:
        """A heartbeat says the time too: the clock may have been set since the hello."""
        if offset is not None and session is self._sessions.agent and self._clock.has_changed(offset):
            self._ports.clock_changed(self._id, offset)
            await self._ports.to_rules.send(HostClock(self._id, offset))

    # ---- hello and goodbye

    async def _hello(self, connection: AgentConnection, hello: wire.Hello, at: int) -> None:
        if self._sessions.is_late(connection, hello):  # its sender has left: it says nothing about the host
            said = logs.fields("agent.hello_late", host_id=self._id, host=self._name, link=connection.number)
            _log.debug("a hello came after that of a younger connection of the same agent", extra=said)
            connection.close(wire.CLOSE_REPLACED, "a younger connection of this agent said hello before")
            return
        session = self._sessions.greet(connection, hello)
        self._say("agent.connected", session)
        if session.is_agent:
            await self._take_over(session, at)
            self._jobs.agent_connected(hello.spooled, hello.running_jobs)
            self._watch.begin()  # its return is told below, with the hello
            await self._alive(at)

        def reply(answer: Answer) -> None:
            if isinstance(answer, Failed):  # nobody would know that this host was here: let it say so again
                connection.close(wire.CLOSE_GOING_AWAY, "the server cannot write")

        record = translate.hello(self._id, hello, at)
        await self._ports.to_store.send(Commit((record,), reply))
        if session.is_agent or record.clock_offset_seconds is not None:
            self._clock.on_hello(record.clock_offset_seconds)
            await self._ports.to_rules.send(HostClock(self._id, record.clock_offset_seconds))
        plans = tuple(plan.name for plan in hello.plans) if session.is_agent else None
        await self._ports.to_rules.send(HostReturned(self._id, at, report_only=not session.is_agent, plans=plans))
        desk = await self._read(load_pending_work, "what waits for")
        if desk is None:
            connection.close(wire.CLOSE_GOING_AWAY, "the database cannot be read")
            return
        connection.send(
            wire.Welcome(
                wire.PROTOCOL, self._id, wire.utc_now(), self._settings.heartbeat, desk.schedules_rev, desk.schedules
            )
        )
        if session.is_agent:
            self._sent_rev = desk.schedules_rev
            self._sent = SentCommands()
            self._send_commands(connection, desk)
            await self._lose(self._jobs.reconcile(at))

    async def _take_over(self, session: AgentSession, at: int) -> None:
        """A newer connection of the same host wins."""
        follows = self._sessions.take_over(session)
        if follows.cloned:
            await self._note(self._notes.cloned(at, trio.current_time()))
        if follows.replaced is not None and follows.another_instance:
            follows.replaced.send(wire.Error(wire.ANOTHER_INSTANCE, "another agent uses this host's credential"))
        if follows.replaced is not None:
            follows.replaced.close(wire.CLOSE_REPLACED, "replaced by a newer connection")

    async def _closed(self, connection: AgentConnection, at: int) -> None:
        session = self._sessions.find(connection)
        if session is None:
            return
        self._say("agent.disconnected", session)
        if self._sessions.remove(session):
            self._jobs.agent_disconnected()
            await self._ports.to_rules.send(HostGone(self._id, at))

    def _say(self, event: str, session: AgentSession) -> None:
        level = logging.INFO if session.is_agent else logging.DEBUG
        if _log.isEnabledFor(level):
            told = logs.fields(
                event, host_id=self._id, host=self._name, address=session.connection.address,
                link=session.connection.number, agent_version=session.hello.agent_version,
            )  # fmt: skip
            _log.log(level, event, extra=told)

    def close_connections(self, code: int, reason: str) -> None:
        for connection in self._sessions.all():
            connection.close(code, reason)

    # ---- reports

    async def _report(self, session: AgentSession, frame: wire.Report, at: int) -> None:
        event = JobEvent(frame.job_id, "end" if isinstance(frame, wire.JobFinished) else "start")
        waiter = (session.connection, frame.seq)
        if not self._jobs.join(event, waiter):
            try:
                request = self._set_out(event, frame, session, waiter, at)
            except (translate.BadStats, OverflowError) as error:
                problem = wire.Unreadable("bad_report", str(error), frame.seq, frame.job_id)
                await self._refuse(session.connection, problem, at)
                return
            await self._ports.to_rules.send(request)
            if isinstance(request, JudgeEnd) and (name := request.report.unknown_schedule) is not None:
                await self._note(self._notes.unknown_schedule(name, at, trio.current_time()))
        await self._count(session, event, at)

    def _set_out(self, event: JobEvent, frame: wire.Report, session: AgentSession, waiter: Waiter, at: int) -> Request:
        if isinstance(frame, wire.JobFinished):
            end = translate.end(self._id, frame, session.hello.spool_id, at)
            self._jobs.on_end(end, waiter)
            return JudgeEnd(end, self._reply_to(event))
        start = translate.start(self._id, frame, at)
        self._jobs.on_start(start, waiter)
        return JudgeStart(start, self._reply_to(event))

    def _reply_to(self, event: JobEvent) -> Reply:
        def reply(answer: Answer) -> None:
            self._answers.put_unbounded(ReportAnswered(event, answer))

        return reply

    async def _judged(self, event: JobEvent, answer: Answer) -> None:
        report = self._jobs.resolve(event, answer)
        if report is None:
            return  # asked before a restart of this actor
        match answer:
            case Committed() | Duplicate():
                for connection, seq in report.waiting:
                    connection.send(wire.Ack(seq))
                if event.kind == "end":
                    self._sent.forget(event.job_id)
                elif event.kind == "start" and isinstance(answer, Duplicate):
                    await self._look_whether_it_runs(event.job_id)
                ends = event.kind == "end"
                self._log.save(event.job_id, report.lines + (self._log.last_of(event.job_id) if ends else []))
            case Refused(code=code, detail=detail):
                for connection, seq in report.waiting:
                    await self._refuse_as(connection, seq, code, detail, clock.now())
            case Failed() | Stale():  # no ack: the agent sends it again; a loss is told again from here
                if report.lost_job is not None:
                    self._retry_at = trio.current_time() + RETRY_SECONDS
            case _:
                assert_never(answer)

    async def _look_whether_it_runs(self, job_id: str) -> None:
        """A start that was on disk already: the job may have ended since."""
        running = await self._read(load_running, "the running jobs of")
        if running is not None:
            self._jobs.drop_unless_running(job_id, running)

    async def _refuse(self, connection: AgentConnection, problem: wire.Unreadable, at: int) -> None:
        assert problem.seq is not None
        agent, session = self._sessions.agent, self._sessions.find(connection)
        if agent is not None and agent.connection.number == connection.number:
            await self._alive(at)
        if session is None:
            connection.close(wire.CLOSE_GOING_AWAY, "say hello again")
            return
        await self._refuse_as(connection, problem.seq, problem.code, problem.detail, at)
        await self._count(session, problem.seq, at)

    async def _refuse_as(self, connection: AgentConnection, seq: int, code: str, detail: str, at: int) -> None:
        """A report that can never be taken: the agent drops it, an operator sees it on the host's page."""
        connection.send(wire.Ack(seq, refused=code, detail=detail))
        note = self._notes.refused(code, detail, at, trio.current_time())
        if note is None:
            await self._left_out("notes", 1, at)
        await self._note(note)

    async def _note(self, note: NoteOnHost | None) -> None:
        if note is not None:
            await self._ports.to_store.send(Commit((note,), no_reply))

    async def _left_out(self, what: str, number: int, at: int) -> None:
        """Beyond the host's budget: counted, and told once a day."""
        if number:
            self._ports.count({("left_out", what): number})
            await self._note(self._notes.too_much(at))

    # ---- lost jobs

    async def _count(self, session: AgentSession, report: JobEvent | int, at: int) -> None:
        """A report has come in; it may be one of those that the agent had spooled."""
        if session is self._sessions.agent:
            await self._lose(self._jobs.spooled_arrived(report, at))

    async def _lose(self, losses: list[LostJob]) -> None:
        for loss in losses:
            await self._ports.to_rules.send(JudgeLoss(loss, self._reply_to(JobEvent(loss.job_id, "loss"))))

    # ---- log lines

    async def _lines(self, frame: wire.JobLog, at: int) -> None:
        """What is beyond the budget is seen as a gap in their numbers."""
        said = translate.log_lines(frame)
        lines = self._log.admit(frame.job_id, said, trio.current_time())
        await self._left_out("log_lines", len(said) - len(lines), at)
        if not self._jobs.hold_lines(frame.job_id, lines):
            self._log.save(frame.job_id, lines)

    # ---- what waits in the store

    async def _read(self, load: Callable[[sqlite3.Connection, str], R], what: str) -> R | None:
        """None where the database cannot be read."""
        try:
            return await self._ports.reader.run(load, self._id)
        except sqlite3.Error as error:
            said = logs.fields("host.unreadable", host_id=self._id)
            _log.warning("cannot read %s host %s: %s", what, self._id, error, extra=said)
            return None

    async def _look(self) -> None:
        desk = await self._read(load_pending_work, "what waits for")
        if desk is None:
            self._retry_at = trio.current_time() + RETRY_SECONDS
            return
        if desk.token_hash is None:
            self.gone = True
            return
        if desk.token_hash != self._token_hash:
            self._token_hash = desk.token_hash
            self.close_connections(wire.CLOSE_REVOKED, "the credential was rotated")
            return
        agent = self._sessions.agent
        if agent is None:
            return
        if desk.schedules_rev != self._sent_rev:
            self._sent_rev = desk.schedules_rev
            agent.connection.send(wire.Schedules(desk.schedules_rev, desk.schedules))
        self._send_commands(agent.connection, desk)

    def _send_commands(self, connection: AgentConnection, desk: PendingWork) -> None:
        for frame in self._sent.undelivered(desk.commands, self._jobs.started()):
            connection.send(frame)
