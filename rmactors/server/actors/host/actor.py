"""The actor of one host: it takes messages, asks its core (`core`), and does what that says, in order.

Owns      the core, and with it the host's sockets, running jobs, and reports that are not on disk yet.
Receives  frames from the gateway; questions from the web; answers of rules and store; `HostChanged`.
Sends     reports and presence to the rules; hellos, notes and log lines to the store; frames to its connections.
Restart   its sockets close, so that the agent comes back and says hello; running jobs are read again.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

import trio

from rmactors.common import clock, ids, logs, wire
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host import events
from rmactors.server.actors.host.core import HostCore, HostSettings
from rmactors.server.messages.answers import Answer, Reply, no_reply
from rmactors.server.messages.live_requests import LiveAnswer
from rmactors.server.messages.requests import HostWentSilent, Request
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, Outlet, receive_first, take_first
from rmactors.server.state.host import HostFacts, PendingWork, RunningJob
from rmactors.server.store.load_hosts import load_running
from rmactors.server.store.read_together import ReadTogether
from rmactors.server.store.reader import Reader, if_readable

_log = logging.getLogger(__name__)
AT_A_STRETCH: Final = 64
"""Messages that a host's actor takes before others run: as many as wait for it at most."""
_LEVELS: Final = {"debug": logging.DEBUG, "info": logging.INFO}


@dataclass(frozen=True, slots=True)
class HostPorts:
    """What a host actor talks to. `pending_work` is asked by a host's id. `sign_of_life` notes (host, time),
    `clock_changed` (host, offset in seconds) for the next flush. `grace_until` gives the time on trio's clock before
    which no host is judged silent or late; it may move. `answer` takes (request id, answer), `count` what was left out,
    for `/metrics`: ("left_out", what) → number."""

    to_rules: Outlet[Request]
    to_store: Outlet[Commit]
    reader: Reader
    pending_work: ReadTogether[str, PendingWork]
    progress: Callable[[wire.JobProgress], None]
    sign_of_life: Callable[[str, int], None]
    clock_changed: Callable[[str, float], None]
    grace_until: Callable[[], float]
    answer: Callable[[str, LiveAnswer], None]
    count: Callable[[dict[tuple[str, ...], int]], None] = lambda _: None


async def run(
    facts: HostFacts,
    running: list[RunningJob],
    inbox: Mailbox[events.HostInbox],
    ports: HostPorts,
    settings: HostSettings,
    last_sign: float,
) -> None:
    """Serve one host until it is deleted. `last_sign` on trio's clock.

    While as many of its reports as may be are in flight, only answers are taken.
    """
    answers: Mailbox[events.HostInbox] = Mailbox("answers", 0, beside=inbox)
    core = HostCore(facts, running, settings, last_sign, ports.grace_until(), _now(), ids.new)
    actor = _Host(facts, core, answers, ports)

    def boxes() -> tuple[Mailbox[events.HostInbox], ...]:
        return (answers,) if core.is_full() else (answers, inbox)

    try:
        while not core.is_gone:
            event = await receive_first(*boxes(), deadline=core.next_deadline())
            await actor.handle(events.Alarm(ports.grace_until()) if event is None else event)
            for _ in range(AT_A_STRETCH):  # what is there already: one look at the clock for all of it
                if core.is_gone or (more := take_first(*boxes())) is None:
                    break
                await actor.handle(more)
    finally:
        end = (wire.CLOSE_REVOKED, "revoked") if core.is_gone else (wire.CLOSE_GOING_AWAY, "restart")
        for connection in core.connections():
            connection.close(*end)


def _now() -> events.Now:
    return events.Now(trio.current_time(), clock.now())


class _Host:
    """Does what the core says."""

    def __init__(self, facts: HostFacts, core: HostCore, answers: Mailbox[events.HostInbox], ports: HostPorts) -> None:
        self._id, self._name = facts.id, facts.name
        self._core = core
        self._answers = answers
        self._ports = ports

    async def handle(self, event: events.HostEvent) -> None:
        for effect in self._core.handle(event, _now()):
            await self._do(effect)

    async def _do(self, effect: do.Effect) -> None:
        ports = self._ports
        match effect:
            case do.SignOfLife(at):
                ports.sign_of_life(self._id, at)
            case do.JudgeReport():
                await ports.to_rules.send(effect.request(self._reply(partial(events.ReportAnswered, effect.event))))
            case do.SendFrame(connection, frame):
                connection.send(frame)
            case do.CloseConnection(connection, code, reason):
                connection.close(code, reason)
            case do.AnswerQuestion(request_id, answer):
                ports.answer(request_id, answer)
            case do.TellRules(request):
                await ports.to_rules.send(request)
            case do.ReportSilence(since, at):
                await ports.to_rules.send(HostWentSilent(self._id, since, at, self._reply(events.SilenceAnswered)))
            case do.SaveHello(connection, hello):
                await ports.to_store.send(Commit((hello,), self._reply(partial(events.HelloAnswered, connection))))
            case do.SaveNote(note):
                await ports.to_store.send(Commit((note,), no_reply))
            case do.SaveLines(write):
                if not ports.to_store.put_aside(Commit((write,), self._reply(lambda _: events.LinesWritten()))):
                    self._answers.put_unbounded(events.LinesWritten(dropped=len(write.lines)))
            case do.ReadPendingWork(session):
                work = await if_readable(ports.pending_work.read(self._id))
                await self.handle(events.PendingWorkRead(session, work))
            case do.ReadRunningJobs(job_id):
                running = await ports.reader.run_if_readable(load_running, self._id)
                await self.handle(events.RunningJobsRead(job_id, running))
            case do.ShowProgress(progress):
                ports.progress(progress)
            case do.ClockChanged(offset):
                ports.clock_changed(self._id, offset)
            case do.CountLeftOut(what, number):
                ports.count({("left_out", what): number})
            case do.Log(level, name, text, details):
                _log.log(_LEVELS[level], text, extra=logs.fields(name, host_id=self._id, host=self._name, **details))
            case _:
                assert_never(effect)

    def _reply(self, event: Callable[[Answer], events.HostInbox]) -> Reply:
        """The answer comes back as this event."""
        return lambda answer: self._answers.put_unbounded(event(answer))
