"""What a host's actor decides: events and times in, effects out. Pure.

It owns the host's sessions, its silence, its jobs with their reports in flight, and what its agent was sent and asked.

The order of effects is a promise: a hello goes to the store, then to the rules, then what waits for the agent is read,
and the welcome, commands and losses follow. An ack follows the answer to its report.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import assert_never

from rmactors.common import clock, wire
from rmactors.common.clock import SECOND
from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events, translate
from rmactors.server.actors.host.commands import SentCommands
from rmactors.server.actors.host.events import Now
from rmactors.server.actors.host.log_lines import LogLines
from rmactors.server.actors.host.notes import Notes
from rmactors.server.actors.host.questions import OpenQuestions
from rmactors.server.actors.host.reports_in_flight import JobEvent, JobTracker, deadline_of
from rmactors.server.actors.host.sessions import REVOKED, Accepted, AgentSession, AgentSessions
from rmactors.server.actors.host.silence import HostClockMonitor, SilenceMonitor
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.connections import AgentConnection, ConnectionClosed, FrameReceived, UnreadableReport
from rmactors.server.messages.reports import EndReport, LostJob
from rmactors.server.messages.requests import HostClock, HostGone, HostReturned
from rmactors.server.runtime.rate_limits import PROGRESS, REPORTS, Bucket
from rmactors.server.state.host import HostFacts, PendingWork, RunningJob

RETRY_SECONDS = 5.0
"""After a commit or a read that failed, what only this actor knows is tried again."""
NEVER = float("inf")

Effects = Iterator[do.Effect]


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Durations in seconds."""

    heartbeat: float
    offline_alert: float
    stale_grace: float


class HostCore:
    """Of one host. `last_sign` and `grace_until` on the steady clock; `new_id` makes the id of a note."""

    def __init__(
        self,
        facts: HostFacts,
        running: Iterable[RunningJob],
        settings: HostSettings,
        last_sign: float,
        grace_until: float,
        now: Now,
        new_id: Callable[[], str],
    ) -> None:
        self.is_gone = False
        """The host was deleted."""
        self._id, self._token_hash = facts.id, facts.token_hash
        self._settings = settings
        self._grace_until = grace_until
        self._silence = SilenceMonitor(
            settings.offline_alert, grace_until, last_sign, watched=facts.first_hello_at is not None
        )
        self._last_seen_at = facts.last_seen_at or 0
        self._sessions = AgentSessions()
        self._jobs = JobTracker(facts.id, running, clock.seconds(DEFAULT_MAX_RUNTIME_SECONDS + settings.stale_grace))
        self._clock = HostClockMonitor()
        self._notes = Notes(facts.id, new_id)
        self._lines = LogLines(facts.id)
        self._progress = Bucket(*PROGRESS)
        self._sent_rev: int | None = None
        self._sent = SentCommands()
        self._questions = OpenQuestions()
        self._retry_at = NEVER
        self._work_unread = False
        self._now = now
        """The newest: how the two clocks stand to each other."""

    def is_full(self) -> bool:
        """Whether reports in flight have to be answered before anything else is taken in."""
        return len(self._jobs) >= REPORTS

    def next_deadline(self) -> float:
        """On the steady clock: when an `Alarm` is due."""
        deadline = min(self._retry_at, self._silence.deadline())
        overdue_at = self._jobs.first_deadline()
        if overdue_at is not None:
            steady = self._now.steady + (overdue_at - self._now.calendar) / SECOND
            deadline = min(deadline, max(steady, self._grace_until))
        return deadline

    def connections(self) -> list[AgentConnection]:
        """Those on which a hello was said and that are open, as far as is known."""
        return self._sessions.connections()

    def handle(self, event: events.HostEvent, now: Now) -> list[do.Effect]:
        """What has to be done now, in this order."""
        self._now = now
        return list(self._handle(event, now))

    def _handle(self, event: events.HostEvent, now: Now) -> Iterable[do.Effect]:
        match event:
            case FrameReceived(connection, frame, at):
                return self._frame(connection, frame, at, now)
            case events.ReportAnswered(job_event, answer):
                return self._answered(job_event, answer, now)
            case UnreadableReport(connection, problem, at):
                return self._unreadable(connection, problem, at, now)
            case ConnectionClosed(connection, at):
                return self._closed(connection, at)
            case events.Question() | events.NobodyWaits():
                return self._questions.handle(event, self._sessions.agent)
            case events.LinesWritten(dropped):
                return self._lines.written(dropped)
            case events.HostChanged():
                return [do.ReadPendingWork()]
            case events.PendingWorkRead(session, work):
                return self._changed(work, now) if session is None else self._welcome(session, work, now)
            case events.RunningJobsRead(job_id, running):
                if running is not None:
                    self._jobs.drop_unless_running(job_id, running)
                return []
            case events.HelloAnswered(connection, answer):
                if not isinstance(answer, Failed):
                    return []
                # Nothing on disk says that this host was here: let it say so again.
                return [do.CloseConnection(connection, wire.CLOSE_GOING_AWAY, "the server cannot write")]
            case events.SilenceAnswered(answer):
                if isinstance(answer, Failed):
                    self._silence.retry(now.steady + RETRY_SECONDS)
                return []
            case events.Alarm(grace_until):
                return self._alarm(grace_until, now)
            case _:
                assert_never(event)

    # ---- time

    def _alarm(self, grace_until: float, now: Now) -> Effects:
        self._retry_at = NEVER
        self._grace_until = grace_until
        self._silence.extend_grace(grace_until)
        if self._silence.is_newly_silent(now.steady):
            yield do.ReportSilence(self._last_seen_at, now.calendar)
        if now.steady >= grace_until:
            yield from self._lose(self._jobs.lose_overdue(now.calendar))
        yield from self._lose(self._jobs.lose_missing(now.calendar))
        if self._work_unread:
            yield do.ReadPendingWork()

    def _alive(self, at: int, now: Now) -> Effects:
        self._last_seen_at = at
        yield do.SignOfLife(at)
        if self._silence.on_sign(now.steady):  # silent too long for us, and not long enough to be cut off
            yield do.TellRules(HostReturned(self._id, at))

    # ---- frames

    def _frame(self, connection: AgentConnection, frame: wire.FromAgent, at: int, now: Now) -> Effects:
        session = self._sessions.find(connection)
        if session is None and not isinstance(frame, wire.Hello):
            # This actor restarted and does not know the connection any more.
            yield do.CloseConnection(connection, wire.CLOSE_GOING_AWAY, "say hello again")
            return
        if session is not None and session is self._sessions.agent:
            yield from self._alive(at, now)
        match frame:
            case wire.JobStarted() | wire.JobFinished():
                assert session is not None
                yield from self._report(session, frame, at, now)
            case wire.Heartbeat():
                yield from self._heartbeat(session, translate.clock_offset(frame.utc_now, at))
            case wire.JobLog():
                yield from self._log_lines(frame, at, now)
            case wire.JobProgress():
                yield from self._show_progress(frame, at, now)
            case wire.Response() | wire.AgentError():
                yield from self._questions.heard(frame, of_agent=session is self._sessions.agent)
            case wire.Hello():
                yield from self._hello(connection, frame, at, now)
            case wire.Enroll():
                yield do.SendFrame(connection, wire.Error("bad_message", "this host is enrolled already"))
                yield do.CloseConnection(connection, wire.CLOSE_BAD_MESSAGE, "bad_message")
            case _:
                assert_never(frame)

    def _heartbeat(self, session: AgentSession | None, offset: float | None) -> Effects:
        """It says the time too: the clock may have been set since the hello."""
        if offset is not None and session is self._sessions.agent and self._clock.has_changed(offset):
            yield do.ClockChanged(offset)
            yield do.TellRules(HostClock(self._id, offset))

    def _show_progress(self, frame: wire.JobProgress, at: int, now: Now) -> Effects:
        if not self._jobs.runs(frame.job_id):
            return
        if self._progress.take(1, now.steady):
            yield do.ShowProgress(frame)
        else:
            yield from self._notes.left_out("progress", 1, at)

    def _log_lines(self, frame: wire.JobLog, at: int, now: Now) -> Effects:
        """What is beyond the budget is seen as a gap in their numbers."""
        received = translate.log_lines(frame)
        lines = self._lines.admit(frame.job_id, received, now.steady)
        if left_out := len(received) - len(lines):
            yield from self._notes.left_out("log_lines", left_out, at)
        if not self._jobs.hold_lines(frame.job_id, lines):
            yield from self._lines.save(frame.job_id, lines)

    # ---- hello and goodbye

    def _hello(self, connection: AgentConnection, hello: wire.Hello, at: int, now: Now) -> Effects:
        if self._sessions.is_revoked(connection):
            yield do.CloseConnection(connection, wire.CLOSE_REVOKED, REVOKED)
            return
        accepted = self._sessions.accept(connection, hello)
        if accepted is None:  # its sender has left: it says nothing about the host
            text = "a hello came after that of a younger connection of the same agent"
            yield do.Log("debug", "agent.hello_late", text, {"link": connection.number})
            reason = "a younger connection of this agent said hello before"
            yield do.CloseConnection(connection, wire.CLOSE_REPLACED, reason)
            return
        session = accepted.session
        yield _log_session("agent.connected", session)
        if session.is_agent:
            yield from self._replace(accepted, at, now)
            self._jobs.agent_connected(hello.spooled, hello.running_jobs)
            self._silence.on_hello()  # its return is reported below, with the hello
            yield from self._alive(at, now)
        record = translate.hello(self._id, hello, at)
        yield do.SaveHello(connection, record)
        if session.is_agent or record.clock_offset_seconds is not None:
            self._clock.on_hello(record.clock_offset_seconds)
            yield do.TellRules(HostClock(self._id, record.clock_offset_seconds))
        plans = tuple(plan.name for plan in hello.plans) if session.is_agent else None
        yield do.TellRules(HostReturned(self._id, at, report_only=not session.is_agent, plans=plans))
        yield do.ReadPendingWork(session)

    def _replace(self, accepted: Accepted, at: int, now: Now) -> Effects:
        """A newer connection of the same host wins."""
        if accepted.cloned:
            yield from self._notes.cloned(at, now.steady)
        if (replaced := accepted.replaced) is not None:
            if accepted.another_instance:
                error = wire.Error(wire.ANOTHER_INSTANCE, "another agent uses this host's credential")
                yield do.SendFrame(replaced, error)
            yield do.CloseConnection(replaced, *accepted.closing)
            yield from self._questions.agent_left()

    def _welcome(self, session: AgentSession, work: PendingWork | None, now: Now) -> Effects:
        if work is None:
            yield do.CloseConnection(session.connection, wire.CLOSE_GOING_AWAY, "the database cannot be read")
            return
        if work.token_hash not in (None, session.connection.token_hash):
            yield do.CloseConnection(session.connection, wire.CLOSE_REVOKED, REVOKED)
            return
        welcome = translate.welcome(self._id, self._settings.heartbeat, work, now.calendar)
        yield do.SendFrame(session.connection, welcome)
        if session.is_agent:
            self._sent_rev = work.schedules_rev
            self._sent = SentCommands()
            yield from self._send_commands(session, work)
            yield from self._lose(self._jobs.reconcile(now.calendar))

    def _closed(self, connection: AgentConnection, at: int) -> Effects:
        session = self._sessions.find(connection)
        if session is None:
            return
        yield _log_session("agent.disconnected", session)
        if self._sessions.remove(session):
            self._jobs.agent_disconnected()
            yield from self._questions.agent_left()
            yield do.TellRules(HostGone(self._id, at))

    # ---- reports

    def _report(self, session: AgentSession, frame: wire.Report, at: int, now: Now) -> Effects:
        event = JobEvent(frame.job_id, "end" if isinstance(frame, wire.JobFinished) else "start")
        if not self._jobs.join(event, (session.connection, frame.seq)):
            try:
                judge = self._take_in(event, frame, session, at)
            except (translate.BadStats, OverflowError) as error:
                yield from self._refuse(session, frame.seq, "bad_report", str(error), at, now)
                return
            yield judge
            if isinstance(judge.report, EndReport) and (name := judge.report.unknown_schedule) is not None:
                yield from self._notes.unknown_schedule(name, at, now.steady)
        yield from self._count_spooled(session, event, at)

    def _take_in(self, event: JobEvent, frame: wire.Report, session: AgentSession, at: int) -> do.JudgeReport:
        """It is in flight from here on. Raises BadStats, OverflowError; then it is not."""
        waiter = (session.connection, frame.seq)
        if isinstance(frame, wire.JobFinished):
            end = translate.end(self._id, frame, session.hello.spool_id, at)
            self._jobs.on_end(end, waiter)
            return do.JudgeReport(event, end)
        start = translate.start(self._id, frame, at)
        self._jobs.on_start(start, waiter)
        return do.JudgeReport(event, start)

    def _answered(self, event: JobEvent, answer: Answer, now: Now) -> Effects:
        report = self._jobs.take(event)
        if report is None:
            return
        match answer:
            case Committed() | Duplicate():
                self._jobs.on_saved(event, deadline_of(answer))
                for connection, seq in report.waiting:
                    yield do.SendFrame(connection, wire.Ack(seq))
                lines = report.lines
                if event.kind == "end":
                    self._sent.forget(event.job_id)
                    lines = lines + self._lines.last_of(event.job_id)
                elif event.kind == "start" and isinstance(answer, Duplicate):  # it may have ended since
                    yield do.ReadRunningJobs(event.job_id)
                yield from self._lines.save(event.job_id, lines)
            case Refused(code=code, detail=detail):
                self._jobs.on_refused(event)
                for connection, seq in report.waiting:
                    yield from self._ack_refused(connection, seq, code, detail, now.calendar, now)
            case Failed() | Stale():  # no ack: the agent sends it again; a loss is reported again from here
                self._jobs.on_failed(event, report)
                if report.lost_job is not None:
                    self._retry_at = now.steady + RETRY_SECONDS
            case _:
                assert_never(answer)

    def _unreadable(self, connection: AgentConnection, problem: wire.Unreadable, at: int, now: Now) -> Effects:
        assert problem.seq is not None
        session = self._sessions.find(connection)
        if session is None:
            yield do.CloseConnection(connection, wire.CLOSE_GOING_AWAY, "say hello again")
            return
        if session is self._sessions.agent:
            yield from self._alive(at, now)
        yield from self._refuse(session, problem.seq, problem.code, problem.detail, at, now)

    def _refuse(self, session: AgentSession, seq: int, code: str, detail: str, at: int, now: Now) -> Effects:
        """A report that came in can never be taken."""
        yield from self._ack_refused(session.connection, seq, code, detail, at, now)
        yield from self._count_spooled(session, seq, at)

    def _ack_refused(self, connection: AgentConnection, seq: int, code: str, detail: str, at: int, now: Now) -> Effects:
        """The agent drops the report, an operator sees it on the host's page."""
        yield do.SendFrame(connection, wire.Ack(seq, refused=code, detail=detail))
        yield from self._notes.refused(code, detail, at, now.steady)

    def _count_spooled(self, session: AgentSession, report: JobEvent | int, at: int) -> Effects:
        """A report has come in; it may be one of those that the agent had spooled."""
        if session is self._sessions.agent:
            yield from self._lose(self._jobs.spooled_arrived(report, at))

    def _lose(self, losses: list[LostJob]) -> Effects:
        for loss in losses:
            yield do.JudgeReport(JobEvent(loss.job_id, "loss"), loss)

    # ---- what waits in the store

    def _changed(self, work: PendingWork | None, now: Now) -> Effects:
        self._work_unread = work is None
        if work is None:
            self._retry_at = now.steady + RETRY_SECONDS
            return
        if work.token_hash is None:
            self.is_gone = True
            return
        if work.token_hash != self._token_hash:
            for connection in self._sessions.revoke(self._token_hash, work.token_hash):
                yield do.CloseConnection(connection, wire.CLOSE_REVOKED, REVOKED)
            self._token_hash = work.token_hash
        agent = self._sessions.agent
        if agent is None or agent.connection.token_hash != work.token_hash:
            return
        if work.schedules_rev != self._sent_rev:
            self._sent_rev = work.schedules_rev
            yield do.SendFrame(agent.connection, wire.Schedules(work.schedules_rev, work.schedules))
        yield from self._send_commands(agent, work)

    def _send_commands(self, session: AgentSession, work: PendingWork) -> Effects:
        for frame in self._sent.undelivered(work.commands, self._jobs.started()):
            yield do.SendFrame(session.connection, frame)


def _log_session(event: str, session: AgentSession) -> do.Log:
    connection = session.connection
    details = {"address": connection.address, "link": connection.number, "agent_version": session.hello.agent_version}
    return do.Log("info" if session.is_agent else "debug", event, event, details)
