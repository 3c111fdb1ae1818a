"""The rules actor.

Owns      what is remembered of every (host, kind of alert, subject), the schedules, and what is due when.
Receives  `Request`s from host actors, the web part and the ticker; answers of the store.
Sends     `Commit`s to the store; answers to whoever asked.
Restart   rebuilds from the store. What was in the mailbox is still there; what was asked before is answered.

Decisions are pipelined: the next is made on the state that the last one leads to, before that one is on disk.
Each says what it expects of the database. When one fails, its host is set aside until nothing of it is under way,
read again, and what had to wait is decided anew. A change of a schedule or host is decided when nothing of that host is
under way, and what follows it waits: an outcome must not be judged by a schedule that never came to be.
"""

import heapq
import logging
import sqlite3
from dataclasses import dataclass, field
from typing import Literal, assert_never

import trio

from rmactors.common import ids
from rmactors.common.clock import seconds
from rmactors.server.actors.rules import overdue
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.actors.rules.missed_runs import check_missed_run
from rmactors.server.actors.rules.operators import plain
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchConditions
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Reply, Stale, no_reply
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.outbox import QueueReminders, ReleaseHeld
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostClock,
    HostGone,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Request,
    Resolve,
    Tick,
    ZonesChanged,
)
from rmactors.server.messages.schedules import DeleteSchedule, MarkGood, SaveSchedule
from rmactors.server.messages.writes import Commit, Write
from rmactors.server.runtime.mailbox import Mailbox, Outlet
from rmactors.server.state.alert_state import AlertKey
from rmactors.server.state.clocks import believed
from rmactors.server.state.host_state import HostState, Schedule
from rmactors.server.store.load_rules import load_rules
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

AT_A_STRETCH = 16
"""Messages judged before others run. All reports come through here: with one in each turn of everybody, a host with
many busy connections would make those turns long, and all reports slow."""
TRIES = 5
"""Decisions made anew on stale state before the asker is told to come back later."""


Presence = Literal["away", "online", "reports_only"]
Question = Literal["slot", "age"]
"""What is looked at when a schedule is due: whether a slot of it was missed, or its newest good backup is too old."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The store's answer to a decision. `generation` is the run of this actor that asked."""

    generation: int
    host_id: str
    request: Request
    answer: Answer
    tries: int
    reload: bool


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations in microseconds, from the settings. `started_at` is when the server did."""

    started_at: int
    restart_grace: int
    stale_grace_seconds: float


@dataclass(slots=True)
class RulesState:
    """What `/healthz` and `/metrics` read of the rules, and what outlives a restart of the actor."""

    ticked_at: float = 0.0
    generation: int = 0
    reloads: int = 0
    presence: dict[str, tuple[Presence, int]] = field(default_factory=dict)
    """Which hosts are here, and since when: an agent says hello to the server, not to each run of this actor."""


@dataclass(slots=True)
class _Desk:
    """One host's book, and what is under way about it."""

    host: HostState
    presence: Presence = "away"
    present_since: int = 0
    in_flight: int = 0
    broken: bool = False
    ended: list[str] = field(default_factory=list)  # alerts whose resolution is under way
    waiting: list[tuple[Decidable, int]] = field(default_factory=list)


async def run(
    inbox: Mailbox[Request | Answered],
    to_store: Outlet[Commit],
    reader: Reader,
    timing: Timing,
    state: RulesState,
    most_open: int = 0,
) -> None:
    """Judge what comes. `most_open` is the bound of open alerts of a host; 0: none."""
    state.generation += 1
    actor = _Rules(inbox, to_store, reader, timing, state, most_open)
    await actor.load()
    state.ticked_at = trio.current_time()
    try:
        while True:
            message = await inbox.receive(AT_A_STRETCH)
            try:
                await actor.take(message)
            except Exception:
                if not isinstance(message, Answered):
                    _reply_of(message)(Failed("the rules stopped"))
                raise
    finally:
        actor.let_go()


class _Rules:
    def __init__(
        self,
        inbox: Mailbox[Request | Answered],
        to_store: Outlet[Commit],
        reader: Reader,
        timing: Timing,
        state: RulesState,
        most_open: int,
    ) -> None:
        self._inbox = inbox
        self._to_store = to_store
        self._reader = reader
        self._timing = timing
        self._state = state
        self._most_open = most_open
        self._desks: dict[str, _Desk] = {}
        self._alerts: dict[str, str] = {}  # open alert → host
        self._schedules: dict[str, str] = {}  # schedule → host
        self._due: list[tuple[int, str, Question]] = []  # heap of (when, schedule, what to look at)
        self._due_at: dict[tuple[str, Question], int] = {}  # → its one valid entry in the heap
        self._returns: list[HostReturned] = []  # not on disk: nobody waits for an answer, so they are decided again

    async def load(self) -> None:
        """Read every book, once what an earlier run of this actor had sent is on disk, or is known not to be."""
        answered = trio.Event()
        await self._to_store.send(Commit((), lambda _: answered.set()))
        await answered.wait()
        for host in (await self._reader.run(load_rules)).values():
            desk = self._open_book(host)
            if host.host_id in self._state.presence:
                desk.presence, desk.present_since = self._state.presence[host.host_id]
                self._watch_all(desk)
                if desk.presence == "online" and AlertKey(host.host_id, "agent_offline", "") in host.alert_states:
                    # It was on its way to disk when the last run ended, and may not have got there.
                    self._returns.append(HostReturned(host.host_id, desk.present_since))

    def let_go(self) -> None:
        """This run ends: nobody is left waiting for a decision that had to wait."""
        for desk in self._desks.values():
            _give_up(desk.waiting)

    # ---- messages

    async def take(self, message: Request | Answered) -> None:
        match message:
            case Answered():
                await self._answered(message)
            case Tick():
                await self._tick(message)
            case HostReturned() | HostGone():
                await self._presence(message)
            case HostClock():
                await self._clock(message)
            case ZonesChanged():
                for desk in self._desks.values():
                    self._watch_all(desk)
            case Acknowledge() | Resolve():
                host_id = self._alerts.get(message.alert_id)
                if host_id is None:  # not open as far as is known: the store knows what became of it
                    await self._to_store.send(Commit((plain(message),), message.reply))
                else:
                    await self._decide(host_id, message)
            case JudgeStart() | JudgeEnd():
                await self._decide(message.report.host_id, message)
            case JudgeLoss():
                await self._decide(message.loss.host_id, message)
            case HostWentSilent():
                await self._decide(message.host_id, message)
            case Change(write=SaveSchedule() | DeleteHost() as write):
                await self._decide(write.host_id, message)
            case Change(write=DeleteSchedule() as write):
                host_id = self._schedules.get(write.schedule_id)
                if host_id is None:
                    message.reply(Refused("not_found", "there is no such schedule"))
                else:
                    await self._decide(host_id, message)
            case Change():  # of a silence: no alert begins or ends by it
                await self._to_store.send(Commit((message.write,), message.reply))
            case _:
                assert_never(message)

    async def _decide(self, host_id: str, request: Decidable, tries: int = 0) -> None:
        """Decide now, or when the host's book is in order again."""
        desk = self._desks.get(host_id) or await self._find(host_id)
        if desk is None:
            _reply_of(request)(Refused("not_found", "there is no such host"))
            return
        if desk.in_flight and (isinstance(request, Change) or self._is_ending(desk, request)):
            desk.broken = True
        if desk.broken:
            desk.waiting.append((request, tries))
            if not desk.in_flight:
                await self._reload(desk)
            return
        decision = decide(desk.host, request, ids.new(), self._timing.stale_grace_seconds)
        _log.debug("host %s: %s", host_id, decision.why)
        if not decision.writes:
            _reply_of(request)(Committed())
            return
        await self._commit(desk, decision.writes, request, tries, changed=decision.changed)
        if isinstance(request, Change):
            desk.broken = True  # what follows is decided when this is on disk, or is known not to be

    @staticmethod
    def _is_ending(desk: _Desk, request: Decidable) -> bool:
        """Asked about an alert whose resolution is not on disk yet: should that fail, the alert is open after all."""
        return isinstance(request, Acknowledge | Resolve) and desk.host.key_of(request.alert_id) is None

    async def _commit(
        self, desk: _Desk, writes: tuple[Write, ...], request: Request, tries: int, *, changed: bool
    ) -> None:
        """Put a decision on its way to disk; `changed` says that the book is wrong if it does not get there."""
        self._follow(desk, writes)
        desk.in_flight += 1
        generation, host_id = self._state.generation, desk.host.host_id

        def reply(answer: Answer) -> None:
            self._inbox.put_unbounded(Answered(generation, host_id, request, answer, tries, changed))

        await self._to_store.send(Commit(writes, reply))

    async def _answered(self, message: Answered) -> None:
        """A decision is on disk, or is not."""
        desk = self._desks.get(message.host_id)
        if message.generation != self._state.generation or desk is None:
            # Asked by a run of this actor that is gone: nothing here was built on it.
            again = isinstance(message.answer, Stale)
            _reply_of(message.request)(Failed("decided on old state") if again else message.answer)
            return
        desk.in_flight -= 1
        match message.answer:
            case Committed():
                _reply_of(message.request)(message.answer)
            case Duplicate() | Refused():
                desk.broken |= message.reload
                _reply_of(message.request)(message.answer)
            case Stale():
                desk.broken = True
                if message.tries < TRIES and not isinstance(
                    message.request, Tick | HostGone | HostClock | ZonesChanged
                ):
                    desk.waiting.append((message.request, message.tries + 1))
                else:
                    self._failed(message.request, Failed(message.answer.detail))
            case Failed():
                desk.broken = True
                self._failed(message.request, message.answer)
            case _:
                assert_never(message.answer)
        if not desk.in_flight:
            self._forget_ended(desk)
            if desk.broken:
                await self._reload(desk)

    def _forget_ended(self, desk: _Desk) -> None:
        for alert_id in desk.ended:
            self._alerts.pop(alert_id, None)
        desk.ended.clear()

    def _failed(self, request: Request, answer: Failed) -> None:
        """It is not on disk. Who asked asks again, but for a host's return, which is told once."""
        if isinstance(request, HostReturned):
            self._returns.append(request)
        else:
            _reply_of(request)(answer)

    async def _reload(self, desk: _Desk) -> None:
        """Read a host again, and decide what had to wait."""
        self._state.reloads += 1
        host_id = desk.host.host_id
        try:
            found = await self._reader.run(load_rules, host_id)
        except sqlite3.Error as error:
            _log.warning("cannot read host %s again: %s", host_id, error)
            waiting, desk.waiting = desk.waiting, []
            for request, _ in waiting:
                self._failed(request, Failed(str(error)))
            return  # still broken: the next request tries again
        self._close_book(desk)
        if host_id in found:
            fresh = self._open_book(found[host_id])
            fresh.presence, fresh.present_since = desk.presence, desk.present_since
            fresh.host.clock_offset = desk.host.clock_offset  # a new one gets to disk by another way, later
            self._watch_all(fresh)
        else:
            self._state.presence.pop(host_id, None)
        while desk.waiting:
            request, tries = desk.waiting.pop(0)
            try:
                await self._decide(host_id, request, tries)
            except Exception:
                _give_up([(request, tries), *desk.waiting])
                raise

    # ---- time and presence

    async def _tick(self, tick: Tick) -> None:
        """What is due, and nothing else: a tick costs the same with ten hosts and with thirty thousand."""
        self._state.ticked_at = trio.current_time()
        writes = (TouchConditions(tick.at), ReleaseHeld(tick.at), QueueReminders(tick.at))
        await self._to_store.send(Commit(writes, no_reply))
        returns, self._returns = self._returns, []
        for returned in returns:
            desk = self._desks.get(returned.host_id)
            if desk is not None and desk.presence == "online":
                await self._decide(returned.host_id, returned)
        while tick.judges and self._due and self._due[0][0] <= tick.at:
            when, schedule_id, question = heapq.heappop(self._due)
            if self._due_at.get((schedule_id, question)) == when:
                del self._due_at[schedule_id, question]
                await self._look(schedule_id, question, tick)

    async def _look(self, schedule_id: str, question: Question, tick: Tick) -> None:
        """A slot of this schedule may have been missed, or its newest good backup may be too old."""
        desk = self._desks.get(self._schedules.get(schedule_id, ""))
        schedule = desk.host.schedules.get(schedule_id) if desk is not None else None
        if desk is None or schedule is None or schedule.deleted or not schedule.enabled:
            return
        if question == "slot" and desk.presence == "away":
            return
        if desk.broken:
            self._push(tick.at + 1, schedule_id, question)
            if not desk.in_flight:  # it could not be read again when it broke
                await self._reload(desk)
            return
        if question == "age":
            decision, again = overdue.check_overdue(desk.host, schedule, tick.at, ids.new())
        else:
            back_since = desk.present_since if desk.presence == "online" else 0
            decision, again = check_missed_run(
                desk.host, schedule, tick.at, ids.new(), self._timing.stale_grace_seconds, not_before=back_since
            )
        if decision.writes:
            _log.debug("host %s: %s", desk.host.host_id, decision.why)
            await self._commit(desk, decision.writes, tick, TRIES, changed=True)
        if again is not None:
            self._push(again, schedule_id, question)

    async def _presence(self, message: HostReturned | HostGone) -> None:
        desk = self._desks.get(message.host_id)
        if isinstance(message, HostGone):
            if desk is not None and desk.presence == "online":
                self._be(desk, "away", message.at)
            return
        desk = desk or await self._find(message.host_id)
        if desk is None:
            return
        if message.report_only:
            if not desk.host.has_said_hello and desk.presence == "away":
                self._be(desk, "reports_only", message.at)
            return
        desk.host.has_said_hello = True
        self._be(desk, "online", message.at)
        await self._decide(message.host_id, message)

    async def _clock(self, message: HostClock) -> None:
        desk = self._desks.get(message.host_id) or await self._find(message.host_id)
        offset = believed(message.offset_seconds)
        if desk is not None and desk.host.clock_offset != offset:
            desk.host.clock_offset = offset
            self._watch_all(desk)

    def _be(self, desk: _Desk, presence: Presence, since: int) -> None:
        desk.presence, desk.present_since = presence, since
        self._state.presence[desk.host.host_id] = presence, since
        self._watch_all(desk)

    async def _find(self, host_id: str) -> _Desk | None:
        """A host that was enrolled after this actor started."""
        found = await self._reader.run(load_rules, host_id)
        return self._open_book(found[host_id]) if host_id in found else None

    # ---- books

    def _open_book(self, host: HostState) -> _Desk:
        host.most_open = self._most_open
        desk = _Desk(host)
        self._desks[host.host_id] = desk
        for key, track in host.alert_states.items():
            if track.alert is not None:
                self._alerts[track.alert.id] = key.host_id
        for schedule in host.schedules.values():
            self._schedules[schedule.id] = host.host_id
            self._watch_age(schedule)
        if host.has_reported and not host.has_said_hello:
            desk.presence = "reports_only"
            self._watch_all(desk)
        return desk

    def _close_book(self, desk: _Desk) -> None:
        del self._desks[desk.host.host_id]
        for track in desk.host.alert_states.values():
            if track.alert is not None:
                self._alerts.pop(track.alert.id, None)
        for schedule_id in desk.host.schedules:
            self._schedules.pop(schedule_id, None)

    def _follow(self, desk: _Desk, writes: tuple[Write, ...]) -> None:
        """Keep the way from an alert or schedule to its host up to date."""
        for write in writes:
            match write:
                case RaiseAlert():
                    self._alerts[write.alert_id] = desk.host.host_id
                case ResolveAlert():
                    desk.ended.append(write.alert_id)
                case MarkGood():  # what was raised may be over, and the next look be planned for the hourly message
                    self._watch_age(desk.host.schedules[write.schedule_id])
                case SaveSchedule():
                    self._schedules[write.schedule_id] = desk.host.host_id
                    self._watch(desk, desk.host.schedules[write.schedule_id])
                    self._watch_age(desk.host.schedules[write.schedule_id])
                case _:
                    pass

    def _watch_all(self, desk: _Desk) -> None:
        for schedule in desk.host.schedules.values():
            self._watch(desk, schedule)

    def _watch(self, desk: _Desk, schedule: Schedule) -> None:
        """Look at a schedule for the first time once it can have been missed: cheap now, exact then."""
        if schedule.enabled and not schedule.deleted and desk.presence != "away":
            patience = seconds(max(schedule.slots.grace_seconds, self._timing.stale_grace_seconds))
            since = max(desk.present_since, schedule.slots.anchor_at)
            self._push(self._after_start(since + patience), schedule.id, "slot")

    def _watch_age(self, schedule: Schedule) -> None:
        """Look at a schedule when its newest good backup is too old, wherever its host is then."""
        due = overdue.due_at(schedule)
        if due is not None:
            due = self._after_start(due)
            if due < self._due_at.get((schedule.id, "age"), due + 1):  # an earlier look finds out when the next is due
                self._push(due, schedule.id, "age")

    def _after_start(self, when: int) -> int:
        """After a start of the server, what hosts have to tell comes first."""
        return max(when, self._timing.started_at + self._timing.restart_grace)

    def _push(self, when: int, schedule_id: str, question: Question) -> None:
        self._due_at[schedule_id, question] = when
        heapq.heappush(self._due, (when, schedule_id, question))


def _give_up(waiting: list[tuple[Decidable, int]]) -> None:
    for request, _ in waiting:
        _reply_of(request)(Failed("the rules stopped"))


def _reply_of(request: Request) -> Reply:
    match request:
        case HostReturned() | HostGone() | HostClock() | Tick() | ZonesChanged():
            return no_reply
        case _:
            return request.reply
