"""The actor of one host.

Owns      its liveness, its running jobs, its live sockets, and which reports are on their way to disk.
Receives  frames from the gateway; answers of the rules; `Look` when something waits for it in the store.
Sends     reports and presence to the rules; hellos, notes and log lines to the store; frames to its links.
Restart   its sockets close, so that the agent comes back and says hello; running jobs are read again.
"""

import json
import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import assert_never

import trio

from rmactors import clock, ids, logs, reports, wire
from rmactors.clock import SECOND
from rmactors.errands import Errands
from rmactors.liveness import Liveness
from rmactors.mailbox import Mailbox, Outlet
from rmactors.messages.links import FromLink, Heard, HeardUnreadable, Link, LinkClosed
from rmactors.messages.reports import LostJob
from rmactors.messages.requests import HostGone, HostReturned, HostWentSilent, JudgeEnd, JudgeLoss, JudgeStart, Request
from rmactors.messages.writes import (
    Answer,
    Commit,
    Committed,
    Duplicate,
    Failed,
    NoteOnHost,
    RecordHello,
    Refused,
    Reply,
    SaveLogLines,
    Stale,
    no_reply,
)
from rmactors.store.memory import HostDesk, HostFacts, RunningJob, load_desk, load_running
from rmactors.store.reader import Reader

_log = logging.getLogger(__name__)

RETRY_SECONDS = 5.0
"""After a commit that failed, what only this actor knows is said again."""
LINES_HELD = 2_000
"""Log lines kept while the start of their job is on its way to disk; more are dropped, as lines may be."""
REPLACED_KEPT = 8
DEFAULT_MAX_RUNTIME = 86_400.0


@dataclass(frozen=True, slots=True)
class Look:
    """Something changed in the store that concerns this host."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The rules' answer to a report: what became of it."""

    what: tuple[str, str]
    answer: Answer


@dataclass(frozen=True, slots=True)
class SilenceJudged:
    answer: Answer


HostInbox = FromLink | Look | Judged | SilenceJudged


@dataclass(frozen=True, slots=True)
class HostSettings:
    """Durations in seconds; `not_before` on trio's clock: nobody is judged silent or late before."""

    heartbeat: float
    offline_alert: float
    stale_grace: float
    not_before: float


@dataclass(frozen=True, slots=True)
class HostPorts:
    """Whom a host actor talks to. `sign_of_life` notes (host, time) for the next flush."""

    to_rules: Outlet[Request]
    to_store: Outlet[Commit]
    reader: Reader
    progress: Callable[[wire.JobProgress], None]
    sign_of_life: Callable[[str, int], None]


@dataclass(slots=True)
class _Greeted:
    """What a link said in its hello."""

    link: Link
    hello: wire.Hello
    spooled: int
    owed: set[str] = field(default_factory=set)
    """Running jobs that the agent does not know, to be given up once the spooled reports are in."""


@dataclass(slots=True)
class _Pending:
    """A report on its way to disk, and who waits for its ack."""

    waiting: list[tuple[Link, int]]
    lines: list[tuple[int, str, str]] = field(default_factory=list)
    given_up: RunningJob | None = None


async def run(
    facts: HostFacts,
    running: list[RunningJob],
    inbox: Mailbox[HostInbox],
    ports: HostPorts,
    settings: HostSettings,
    last_sign: float,
) -> None:
    """Watch over one host until it is deleted. `last_sign` on trio's clock."""
    actor = _Host(facts, running, inbox, ports, settings, last_sign)
    try:
        while not actor.gone:
            message = None
            with trio.move_on_at(actor.next_deadline()):
                message = await inbox.receive()
            if message is None:
                await actor.deadline()
            else:
                await actor.take(message)
    finally:
        actor.close_links(
            wire.CLOSE_REVOKED if actor.gone else wire.CLOSE_GOING_AWAY, "revoked" if actor.gone else "restart"
        )


class _Host:
    def __init__(
        self,
        facts: HostFacts,
        running: list[RunningJob],
        inbox: Mailbox[HostInbox],
        ports: HostPorts,
        settings: HostSettings,
        last_sign: float,
    ) -> None:
        self.gone = False
        self._id, self._name = facts.id, facts.name
        self._token_hash = facts.token_hash
        self._inbox = inbox
        self._ports = ports
        self._settings = settings
        self._watched = facts.first_hello_at is not None
        self._liveness = Liveness(last_sign, settings.offline_alert, settings.not_before)
        self._silent_told = False
        self._said_since = facts.last_seen_at or 0
        self._links: dict[int, _Greeted] = {}
        self._agent: _Greeted | None = None
        self._replaced: list[str] = []
        self._pending: dict[tuple[str, str], _Pending] = {}
        self._running = {job.id: job for job in running}
        self._sent_rev: int | None = None
        self._errands = Errands()
        self._retry_at = float("inf")

    # ---- time

    def next_deadline(self) -> float:
        """On trio's clock: when to look again without being told anything."""
        candidates = [self._retry_at]
        if self._watched and not self._silent_told:
            candidates.append(self._liveness.deadline())
        if self._running:
            first = min(job.deadline_at for job in self._running.values())
            late = trio.current_time() + (first - clock.now()) / SECOND
            candidates.append(max(late, self._settings.not_before))
        return min(candidates)

    async def deadline(self) -> None:
        self._retry_at = float("inf")
        if self._watched and not self._silent_told and self._liveness.is_silent(trio.current_time()):
            self._silent_told = True
            await self._ports.to_rules.send(
                HostWentSilent(self._id, self._said_since, clock.now(), self._reply_silence)
            )
        at = clock.now()
        if trio.current_time() >= self._settings.not_before:
            for job in [job for job in self._running.values() if job.deadline_at <= at]:
                await self._give_up(job, at, "it has not ended within its longest run time")
        if self._agent is not None:
            await self._settle_owed(self._agent, at)

    def _reply_silence(self, answer: Answer) -> None:
        self._inbox.answer(SilenceJudged(answer))

    # ---- messages

    async def take(self, message: HostInbox) -> None:
        match message:
            case Heard():
                await self._heard(message)
            case HeardUnreadable():
                await self._refuse(message.link, message.problem, message.at)
            case LinkClosed():
                await self._closed(message.link, message.at)
            case Judged():
                await self._judged(message)
            case SilenceJudged():
                if isinstance(message.answer, Failed):
                    self._silent_told = False
                    self._liveness = Liveness(
                        self._liveness.last_sign, self._liveness.forgiven, trio.current_time() + RETRY_SECONDS
                    )
            case Look():
                await self._look()
            case _:
                assert_never(message)

    async def _heard(self, message: Heard) -> None:
        link, frame, at = message.link, message.frame, message.at
        greeted = self._links.get(link.number)
        if greeted is None and not isinstance(frame, wire.Hello):
            # This actor restarted and does not know the link any more.
            link.close(wire.CLOSE_GOING_AWAY, "say hello again")
            return
        if greeted is not None and greeted is self._agent:
            await self._alive(at)
        match frame:
            case wire.Hello():
                await self._hello(link, frame, at)
            case wire.Heartbeat():
                pass
            case wire.JobStarted() | wire.JobFinished():
                assert greeted is not None
                await self._report(greeted, frame, at)
            case wire.JobProgress():
                if frame.job_id in self._running:
                    self._ports.progress(frame)
            case wire.JobLog():
                self._lines(frame)
            case wire.Enroll():
                link.send(wire.Error("bad_message", "this host is enrolled already"))
                link.close(wire.CLOSE_BAD_MESSAGE, "bad_message")
            case _:
                assert_never(frame)

    async def _alive(self, at: int) -> None:
        self._liveness = Liveness(trio.current_time(), self._settings.offline_alert, self._settings.not_before)
        self._said_since = at
        self._ports.sign_of_life(self._id, at)
        if self._silent_told:  # silent for long enough to be told of, and not long enough to be cut off
            self._silent_told = False
            await self._ports.to_rules.send(HostReturned(self._id, at))

    # ---- hello and goodbye

    async def _hello(self, link: Link, hello: wire.Hello, at: int) -> None:
        greeted = _Greeted(link, hello, hello.spooled)
        self._links[link.number] = greeted
        as_agent = hello.purpose == "agent"
        self._say(logging.INFO if as_agent else logging.DEBUG, "agent.connected", greeted)
        if as_agent:
            await self._take_over(greeted, at)
            self._watched = True
            self._silent_told = False  # its return is told below, with the hello
            await self._alive(at)

        def reply(answer: Answer) -> None:
            if isinstance(answer, Failed):  # nobody would know that this host was here: let it say so again
                link.close(wire.CLOSE_GOING_AWAY, "the server cannot write")

        await self._ports.to_store.send(Commit((self._record(hello, at, as_agent),), reply))
        await self._ports.to_rules.send(HostReturned(self._id, at, report_only=not as_agent))
        desk = await self._desk()
        if desk is None:
            link.close(wire.CLOSE_GOING_AWAY, "the database cannot be read")
            return
        link.send(
            wire.Welcome(
                wire.PROTOCOL, self._id, wire.utc_now(), self._settings.heartbeat, desk.schedules_rev, desk.schedules
            )
        )
        if as_agent:
            self._sent_rev = desk.schedules_rev
            self._errands = Errands()
            self._send_errands(link, desk)
            greeted.owed = self._running.keys() - set(hello.running_jobs)
            await self._settle_owed(greeted, at)

    async def _take_over(self, greeted: _Greeted, at: int) -> None:
        """A newer connection of the same host wins."""
        older, self._agent = self._agent, greeted
        instance = greeted.hello.instance_id
        if instance in self._replaced:
            self._replaced.remove(instance)
            detail = (
                "An agent that another one had replaced came back. Two machines seem to use the same credential: "
                "was the host cloned? Rotate its token and enrol the copy under a name of its own."
            )
            await self._note("cloned_agent", detail, at)
        if older is None or older.link.number == greeted.link.number:
            return
        if older.hello.instance_id != instance:
            self._replaced = [*self._replaced, older.hello.instance_id][-REPLACED_KEPT:]
        self._links.pop(older.link.number, None)
        older.link.close(wire.CLOSE_REPLACED, "replaced by a newer connection")

    def _record(self, hello: wire.Hello, at: int, as_agent: bool) -> RecordHello:
        plans = [
            {"name": plan.name, "kind_hint": plan.kind_hint, "repository": plan.repository, "sources": plan.sources}
            for plan in hello.plans
        ]
        return RecordHello(
            self._id, at, not as_agent, hello.agent_version, hello.hostname, hello.os, hello.arch, hello.timezone,
            hello.restic.version if hello.restic else None, json.dumps(plans),
        )  # fmt: skip

    async def _closed(self, link: Link, at: int) -> None:
        greeted = self._links.pop(link.number, None)
        if greeted is not None:
            as_agent = greeted.hello.purpose == "agent"
            self._say(logging.INFO if as_agent else logging.DEBUG, "agent.disconnected", greeted)
        if greeted is not None and greeted is self._agent:
            self._agent = None
            await self._ports.to_rules.send(HostGone(self._id, at))

    def _say(self, level: int, event: str, greeted: _Greeted) -> None:
        if _log.isEnabledFor(level):
            told = logs.fields(
                event, host_id=self._id, host=self._name, address=greeted.link.address, link=greeted.link.number,
                agent_version=greeted.hello.agent_version,
            )  # fmt: skip
            _log.log(level, event, extra=told)

    def close_links(self, code: int, reason: str) -> None:
        for greeted in self._links.values():
            greeted.link.close(code, reason)

    # ---- reports

    async def _report(self, greeted: _Greeted, frame: wire.Report, at: int) -> None:
        is_end = isinstance(frame, wire.JobFinished)
        what = (frame.job_id, "end" if is_end else "start")
        pending = self._pending.get(what)
        if pending is not None:  # the same report again, while the first is on its way
            pending.waiting.append((greeted.link, frame.seq))
            await self._count(greeted, at)
            return
        reply = self._reply_to(what)
        try:
            if isinstance(frame, wire.JobFinished):
                request: Request = JudgeEnd(reports.end(self._id, frame, greeted.hello.spool_id, at), reply)
            else:
                request = JudgeStart(reports.start(self._id, frame, at), reply)
        except (reports.BadStats, OverflowError) as error:
            problem = wire.Unreadable("bad_report", str(error), frame.seq, frame.job_id)
            await self._refuse(greeted.link, problem, at)
            return
        self._pending[what] = _Pending([(greeted.link, frame.seq)])
        if isinstance(frame, wire.JobStarted):
            self._began(frame, request)
        await self._ports.to_rules.send(request)
        await self._count(greeted, at)

    def _began(self, frame: wire.JobStarted, request: Request) -> None:
        assert isinstance(request, JudgeStart)
        started = request.report.started_at
        longest = clock.seconds(DEFAULT_MAX_RUNTIME + self._settings.stale_grace)
        self._running.setdefault(
            frame.job_id,
            RunningJob(frame.job_id, frame.kind, frame.plan, frame.schedule_id, started, started + longest),
        )

    def _reply_to(self, what: tuple[str, str]) -> Reply:
        def reply(answer: Answer) -> None:
            self._inbox.answer(Judged(what, answer))

        return reply

    async def _judged(self, message: Judged) -> None:
        pending = self._pending.pop(message.what, None)
        if pending is None:
            return  # asked before a restart of this actor
        job_id, event = message.what
        match message.answer:
            case Committed() | Duplicate():
                for link, seq in pending.waiting:
                    link.send(wire.Ack(seq))
                if event == "end":
                    self._running.pop(job_id, None)
                    self._errands.forget(job_id)
                elif event == "start":
                    await self._learn_deadline(job_id, message.answer)
                if pending.lines:
                    self._save_lines(job_id, pending.lines)
            case Refused(code=code, detail=detail):
                if event == "start":
                    self._running.pop(job_id, None)
                for link, seq in pending.waiting:
                    await self._refuse_as(link, seq, code, detail, clock.now())
            case Failed() | Stale():
                # Not on disk: as if it had never come. The agent sends it again; a loss is judged again.
                if event == "start":
                    self._running.pop(job_id, None)
                if pending.given_up is not None:
                    self._running[job_id] = pending.given_up
                    self._retry_at = trio.current_time() + RETRY_SECONDS
                    if self._agent is not None and job_id not in self._agent.hello.running_jobs:
                        self._agent.owed.add(job_id)
            case _:
                assert_never(message.answer)

    async def _learn_deadline(self, job_id: str, answer: Committed | Duplicate) -> None:
        """When a job that is on disk now is overdue. One that was there already may have ended."""
        job = self._running.get(job_id)
        if isinstance(answer, Committed) and job is not None:
            deadline = next(value for value in answer.values if isinstance(value, int))
            self._running[job_id] = replace(job, deadline_at=deadline)
            return
        try:
            found = await self._ports.reader.run(load_running, self._id)
        except sqlite3.Error as error:
            said = logs.fields("host.unreadable", host_id=self._id)
            _log.warning("cannot read the running jobs of host %s: %s", self._id, error, extra=said)
            return
        if all(known.id != job_id for known in found):
            self._running.pop(job_id, None)

    async def _refuse(self, link: Link, problem: wire.Unreadable, at: int) -> None:
        assert problem.seq is not None
        if self._agent is not None and self._agent.link.number == link.number:
            await self._alive(at)
        if link.number not in self._links:
            link.close(wire.CLOSE_GOING_AWAY, "say hello again")
            return
        await self._refuse_as(link, problem.seq, problem.code, problem.detail, at)
        await self._count(self._links[link.number], at)

    async def _refuse_as(self, link: Link, seq: int, code: str, detail: str, at: int) -> None:
        """A report that can never be taken: the agent drops it, an operator sees it on the host's page."""
        link.send(wire.Ack(seq, refused=code, detail=detail))
        await self._note(code, f"A report was refused: {detail}", at)

    async def _note(self, code: str, detail: str, at: int) -> None:
        await self._ports.to_store.send(Commit((NoteOnHost(ids.new(), self._id, at, code, detail),), no_reply))

    # ---- lost jobs

    async def _count(self, greeted: _Greeted, at: int) -> None:
        """One of the spooled reports has come in; after the last, what is still owed is lost."""
        if greeted.spooled:
            greeted.spooled -= 1
            await self._settle_owed(greeted, at)

    async def _settle_owed(self, greeted: _Greeted, at: int) -> None:
        if greeted.spooled or greeted is not self._agent:
            return
        owed, greeted.owed = greeted.owed, set()
        for job_id in owed:
            job = self._running.get(job_id)
            if job is not None and (job_id, "end") not in self._pending:
                await self._give_up(job, at, "its agent came back and does not know of it")

    async def _give_up(self, job: RunningJob, at: int, detail: str) -> None:
        what = (job.id, "loss")
        if what in self._pending:
            return
        self._pending[what] = _Pending([], given_up=job)
        self._running.pop(job.id, None)
        loss = LostJob(self._id, job.id, job.kind, job.plan, job.schedule_id, job.started_at, at, detail)
        await self._ports.to_rules.send(JudgeLoss(loss, self._reply_to(what)))

    # ---- log lines

    def _lines(self, frame: wire.JobLog) -> None:
        lines: list[tuple[int, str, str]] = [
            (frame.first_line + n, line.stream, line.text) for n, line in enumerate(frame.lines)
        ]
        starting = self._pending.get((frame.job_id, "start"))
        if starting is not None:
            starting.lines += lines[: max(0, LINES_HELD - len(starting.lines))]
        else:
            self._save_lines(frame.job_id, lines)

    def _save_lines(self, job_id: str, lines: list[tuple[int, str, str]]) -> None:
        self._ports.to_store.offer(Commit((SaveLogLines(self._id, job_id, tuple(lines)),), no_reply))

    # ---- what waits in the store

    async def _desk(self) -> HostDesk | None:
        try:
            return await self._ports.reader.run(load_desk, self._id)
        except sqlite3.Error as error:
            said = logs.fields("host.unreadable", host_id=self._id)
            _log.warning("cannot read what waits for host %s: %s", self._id, error, extra=said)
            return None

    async def _look(self) -> None:
        desk = await self._desk()
        if desk is None:
            self._retry_at = trio.current_time() + RETRY_SECONDS
            return
        if desk.token_hash is None:
            self.gone = True
            return
        if desk.token_hash != self._token_hash:
            self._token_hash = desk.token_hash
            self.close_links(wire.CLOSE_REVOKED, "the credential was rotated")
            return
        if self._agent is None:
            return
        if desk.schedules_rev != self._sent_rev:
            self._sent_rev = desk.schedules_rev
            self._agent.link.send(wire.Schedules(desk.schedules_rev, desk.schedules))
        self._send_errands(self._agent.link, desk)

    def _send_errands(self, link: Link, desk: HostDesk) -> None:
        begun = self._running.keys() | {job_id for job_id, event in self._pending if event == "start"}
        for frame in self._errands.untold(desk.errands, begun):
            link.send(frame)
