"""The rules actor.

Owns      what is remembered of every (host, kind of alert, subject), the schedules, and what is due when.
Receives  `Request`s from host actors, the web part and the ticker; answers of the store.
Sends     `Commit`s to the store; answers to whoever asked.
Restart   rebuilds from the store. What was in the mailbox is still there; what was asked before is answered.

Decisions are pipelined: the next is made on the state that the last one leads to, before that one is on disk.
Each says what it expects of the database. When one fails, its host is set aside until nothing of it is under way,
read again, and what had to wait is decided anew.
"""

import heapq
import logging
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal, assert_never

import trio

from rmactors import ids
from rmactors.clock import seconds
from rmactors.mailbox import Mailbox, Outlet
from rmactors.messages.reports import EndReport, LostJob, StartReport
from rmactors.messages.requests import (
    Acknowledge,
    Change,
    HostGone,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Request,
    Resolve,
    Tick,
)
from rmactors.messages.writes import (
    AcknowledgeAlert,
    Answer,
    Commit,
    Committed,
    DeleteHost,
    DeleteSchedule,
    Duplicate,
    Failed,
    MarkRun,
    QueueReminders,
    Refused,
    ReleaseHeld,
    Reply,
    ResolveAlert,
    SaveEnd,
    SaveLoss,
    SaveSchedule,
    SaveStart,
    Stale,
    TouchConditions,
    Write,
    no_reply,
)
from rmactors.rules import conditions, operators, slots, wording
from rmactors.rules.outcomes import Outcome, judge
from rmactors.rules.slots import Slots
from rmactors.rules.track import EMPTY, Decision, Key, Track
from rmactors.store.memory import HostMemory, ScheduleFacts, load_rules
from rmactors.store.reader import Reader
from rmactors.vocabulary import FAILURE_ALERT

_log = logging.getLogger(__name__)

TRIES = 5
"""Decisions made anew on stale state before the asker is told to come back later."""
DEFAULT_MAX_RUNTIME = 86_400.0


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
    """What `/healthz` and `/metrics` read of the rules."""

    ticked_at: float = 0.0
    generation: int = 0
    reloads: int = 0


@dataclass(slots=True)
class _Book:
    """One host as the rules see it now."""

    memory: HostMemory
    presence: Literal["away", "online", "reports_only"] = "away"
    present_since: int = 0
    in_flight: int = 0
    broken: bool = False
    waiting: list[tuple[Request, int]] = field(default_factory=list)


async def run(
    inbox: Mailbox[Request | Answered],
    to_store: Outlet[Commit],
    reader: Reader,
    timing: Timing,
    state: RulesState,
) -> None:
    """Judge what comes."""
    state.generation += 1
    actor = _Rules(inbox, to_store, reader, timing, state)
    await actor.load()
    state.ticked_at = trio.current_time()
    while True:
        message = await inbox.receive()
        try:
            await actor.take(message)
        except Exception:
            if not isinstance(message, Answered):
                _reply_of(message)(Failed("the rules stopped"))
            raise


class _Rules:
    def __init__(
        self,
        inbox: Mailbox[Request | Answered],
        to_store: Outlet[Commit],
        reader: Reader,
        timing: Timing,
        state: RulesState,
    ) -> None:
        self._inbox = inbox
        self._to_store = to_store
        self._reader = reader
        self._timing = timing
        self._state = state
        self._books: dict[str, _Book] = {}
        self._alerts: dict[str, Key] = {}
        self._schedules: dict[str, str] = {}  # schedule → host
        self._due: list[tuple[int, str]] = []  # heap of (when, schedule)
        self._due_at: dict[str, int] = {}  # schedule → its one valid entry in the heap

    async def load(self) -> None:
        for memory in (await self._reader.run(load_rules)).values():
            self._open_book(memory)

    # ---- messages

    async def take(self, message: Request | Answered) -> None:
        match message:
            case Answered():
                await self._answered(message)
            case Tick():
                await self._tick(message)
            case HostReturned() | HostGone():
                await self._presence(message)
            case Acknowledge() | Resolve():
                key = self._alerts.get(message.alert_id)
                if key is None:  # not open as far as is known: the store knows what became of it
                    await self._pass_on(message)
                else:
                    await self._decide(key.host_id, message)
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
                await self._pass_on(message)
            case _:
                assert_never(message)

    async def _answered(self, message: Answered) -> None:
        """A decision is on disk, or is not."""
        book = self._books.get(message.host_id)
        if message.generation != self._state.generation or book is None:
            # Asked by a run of this actor that is gone: it holds no state that could be wrong.
            again = isinstance(message.answer, Stale)
            _reply_of(message.request)(Failed("decided on old state") if again else message.answer)
            return
        book.in_flight -= 1
        match message.answer:
            case Committed():
                _reply_of(message.request)(message.answer)
            case Duplicate() | Refused():
                book.broken |= message.reload
                _reply_of(message.request)(message.answer)
            case Stale():
                book.broken = True
                if message.tries < TRIES:
                    book.waiting.append((message.request, message.tries + 1))
                else:
                    _reply_of(message.request)(Failed(message.answer.detail))
            case Failed():
                book.broken = True
                _reply_of(message.request)(message.answer)
            case _:
                assert_never(message.answer)
        if book.broken and not book.in_flight:
            await self._reload(message.host_id, book)

    async def _reload(self, host_id: str, book: _Book) -> None:
        """Read a host again, and decide what had to wait."""
        self._state.reloads += 1
        try:
            found = await self._reader.run(load_rules, host_id)
        except sqlite3.Error as error:
            _log.warning("cannot read host %s again: %s", host_id, error)
            waiting, book.waiting = book.waiting, []
            for request, _ in waiting:
                _reply_of(request)(Failed(str(error)))
            return  # still broken: the next request tries again
        self._close_book(host_id)
        waiting = book.waiting
        if host_id in found:
            fresh = self._open_book(found[host_id])
            fresh.presence, fresh.present_since = book.presence, book.present_since
            self._watch_all(fresh)
        for request, tries in waiting:
            await self._decide(host_id, request, tries)

    async def _decide(self, host_id: str, request: Request, tries: int = 0) -> None:
        """Decide now, or when the host's book is in order again."""
        book = self._books.get(host_id)
        if book is None:
            found = await self._reader.run(load_rules, host_id)  # enrolled a moment ago
            if host_id not in found:
                _reply_of(request)(Refused("not_found", "there is no such host"))
                return
            book = self._open_book(found[host_id])
        if book.broken:
            book.waiting.append((request, tries))
            if not book.in_flight:
                await self._reload(host_id, book)
            return
        writes, changed = self._writes(book, request)
        if not writes:
            _reply_of(request)(Committed())
            return
        book.in_flight += 1
        await self._commit(tuple(writes), host_id, request, tries, reload=changed)

    async def _commit(
        self, writes: tuple[object, ...], host_id: str, request: Request, tries: int, *, reload: bool
    ) -> None:
        generation = self._state.generation

        def reply(answer: Answer) -> None:
            self._inbox.answer(Answered(generation, host_id, request, answer, tries, reload))

        await self._to_store.send(Commit(writes, reply))

    async def _pass_on(self, request: Acknowledge | Resolve | Change) -> None:
        """Where nothing remembered here is concerned, the store decides alone."""
        match request:
            case Acknowledge():
                write: Write = AcknowledgeAlert(request.alert_id, request.at, request.by, request.note, request.audit)
            case Resolve():
                write = ResolveAlert(request.alert_id, request.at, request.by, request.note, None, request.audit)
            case Change():
                write = request.write
        await self._to_store.send(Commit((write,), request.reply))

    # ---- decisions

    def _writes(self, book: _Book, request: Request) -> tuple[list[Write], bool]:
        """What a request leads to; and whether what is remembered changed, so that it is wrong if this fails."""
        match request:
            case JudgeStart(report=report):
                return self._start(book, report)
            case JudgeEnd(report=report):
                return self._end(book, report)
            case JudgeLoss(loss=loss):
                return self._loss(book, loss)
            case HostWentSilent():
                key = Key(request.host_id, "agent_offline", "")
                return self._keep(
                    book,
                    key,
                    conditions.hold(key, _track(book, key), wording.silent(request.since), request.at, ids.new()),
                )
            case HostReturned():
                key = Key(request.host_id, "agent_offline", "")
                return self._keep(
                    book, key, conditions.clear(key, _track(book, key), wording.heard_again(), request.at)
                )
            case Acknowledge():
                key = self._alerts[request.alert_id]
                decided = operators.acknowledge(_track(book, key), request.by, request.note, request.at, request.audit)
                return self._keep(book, key, decided)
            case Resolve():
                key = self._alerts[request.alert_id]
                decided = operators.resolve(key, _track(book, key), request.by, request.note, request.at, request.audit)
                return self._keep(book, key, decided)
            case Change(write=SaveSchedule() as write):
                return self._save_schedule(book, write)
            case Change(write=DeleteSchedule() as write):
                return self._delete_schedule(book, write)
            case Change(write=DeleteHost() as write):
                return self._delete_host(book, write)
            case _:
                raise AssertionError(f"not a decision about one host: {request}")

    def _keep(self, book: _Book, key: Key, decision: Decision) -> tuple[list[Write], bool]:
        """Remember what was decided."""
        before = _track(book, key)
        if before.alert is not None and decision.track.alert is None:
            self._alerts.pop(before.alert.id, None)
        if decision.track.alert is not None:
            self._alerts[decision.track.alert.id] = key
        if decision.track == EMPTY:
            book.memory.tracks.pop(key, None)
        else:
            book.memory.tracks[key] = decision.track
        _log.debug("%s %s %s: %s", key.host_id, key.kind, key.subject, decision.why)
        return list(decision.writes), decision.track is not before

    def _start(self, book: _Book, report: StartReport) -> tuple[list[Write], bool]:
        subject, schedule, warning = _subject(book, report.plan, report.schedule_id)
        longest = schedule.max_runtime_seconds if schedule is not None else DEFAULT_MAX_RUNTIME
        grace = max(schedule.slots.grace_seconds if schedule is not None else 0.0, self._timing.stale_grace_seconds)
        deadline = report.started_at + seconds(longest) + seconds(grace)
        writes: list[Write] = [SaveStart(report, subject, deadline, warning)]
        if schedule is None:
            return writes, False
        more, changed = self._ran(book, schedule, report.scheduled_for, report.started_at, report.received_at)
        return writes + more, changed

    def _end(self, book: _Book, report: EndReport) -> tuple[list[Write], bool]:
        subject, schedule, warning = _subject(book, report.plan, report.schedule_id)
        writes: list[Write] = [SaveEnd(report, subject, warning)]
        changed = False
        if schedule is not None:
            more, changed = self._ran(book, schedule, report.scheduled_for, report.started_at, report.received_at)
            writes += more
        kind = FAILURE_ALERT.get(report.kind)
        if kind is None or _is_deleted(book, report.schedule_id):
            return writes, changed
        outcome = Outcome(
            report.job_id, report.kind, _label(schedule, report.plan), report.status, report.reason, report.error,
            report.exit_code, schedule.on_partial if schedule is not None else "alert", report.finished_at,
            report.received_at, report.spool_id, report.seq,
        )  # fmt: skip
        more, judged = self._judge(book, Key(report.host_id, kind, subject), outcome)
        return writes + more, changed or judged

    def _loss(self, book: _Book, loss: LostJob) -> tuple[list[Write], bool]:
        subject, schedule, _ = _subject(book, loss.plan, loss.schedule_id)
        writes: list[Write] = [SaveLoss(loss)]
        kind = FAILURE_ALERT.get(loss.kind)
        if kind is None or _is_deleted(book, loss.schedule_id):
            return writes, False
        outcome = Outcome(
            loss.job_id, loss.kind, _label(schedule, loss.plan), "failed", "lost", loss.detail, None,
            schedule.on_partial if schedule is not None else "alert", loss.at, loss.at, lost=True,
        )  # fmt: skip
        more, changed = self._judge(book, Key(loss.host_id, kind, subject), outcome)
        return writes + more, changed

    def _judge(self, book: _Book, key: Key, outcome: Outcome) -> tuple[list[Write], bool]:
        return self._keep(book, key, judge(key, _track(book, key), outcome, ids.new()))

    def _ran(
        self, book: _Book, schedule: ScheduleFacts, scheduled_for: int | None, started_at: int, now: int
    ) -> tuple[list[Write], bool]:
        """A run of a schedule: which slot it counts for, and whether that ends a `stale_schedule`."""
        slot, free = slots.mark(schedule.slots, scheduled_for, started_at)
        known = schedule.slots
        if (slot or 0) <= (known.last_slot_at or 0) and (free or 0) <= (known.last_run_at or 0):
            return [], False
        schedule.slots = _with_run(known, slot, free)
        writes: list[Write] = [MarkRun(schedule.id, slot, free)]
        key = Key(schedule.host_id, "stale_schedule", schedule.id)
        if key in book.memory.tracks and slots.missed(schedule.slots, now, self._timing.stale_grace_seconds) is None:
            more, _ = self._keep(
                book, key, conditions.clear(key, _track(book, key), wording.running_again(schedule.name), now)
            )
            writes += more
        return writes, True

    # ---- operators' changes

    def _save_schedule(self, book: _Book, write: SaveSchedule) -> tuple[list[Write], bool]:
        known = book.memory.schedules.get(write.schedule_id)
        writes: list[Write] = [write]
        key = Key(write.host_id, "stale_schedule", write.schedule_id)
        if known is not None:
            text = wording.not_expected(known.name, "changed" if write.enabled else "disabled")
            more, _ = self._keep(book, key, conditions.clear(key, _track(book, key), text, write.at))
            writes += more
        facts = ScheduleFacts(
            write.schedule_id, write.host_id, write.name, write.enabled, write.on_partial, write.max_runtime_seconds,
            Slots(
                write.cron, write.timezone, write.anchor_at, write.grace_seconds,
                known.slots.last_slot_at if known else None, known.slots.last_run_at if known else None,
            ),
        )  # fmt: skip
        book.memory.schedules[write.schedule_id] = facts
        self._schedules[write.schedule_id] = write.host_id
        self._watch(book, facts)
        return writes, True

    def _delete_schedule(self, book: _Book, write: DeleteSchedule) -> tuple[list[Write], bool]:
        facts = book.memory.schedules.get(write.schedule_id)
        if facts is not None:
            facts.deleted = True
        writes = self._end_all(
            book,
            (key for key in list(book.memory.tracks) if key.subject == write.schedule_id),
            "the schedule was deleted",
            write.at,
        )
        return [*writes, write], True

    def _delete_host(self, book: _Book, write: DeleteHost) -> tuple[list[Write], bool]:
        writes = self._end_all(book, list(book.memory.tracks), "the host was deleted", write.at)
        # Read again afterwards, and found to be gone.
        book.broken = True
        return [*writes, write], True

    def _end_all(self, book: _Book, keys: Iterable[Key], note: str, at: int) -> list[Write]:
        writes: list[Write] = []
        for key in keys:
            alert = _track(book, key).alert
            if alert is not None:
                writes.append(ResolveAlert(alert.id, at, "rule", note))
                self._alerts.pop(alert.id, None)
            book.memory.tracks.pop(key)
        return writes

    # ---- time

    async def _tick(self, tick: Tick) -> None:
        self._state.ticked_at = trio.current_time()
        await self._to_store.send(
            Commit((TouchConditions(tick.at), ReleaseHeld(tick.at), QueueReminders(tick.at)), no_reply)
        )
        while self._due and self._due[0][0] <= tick.at:
            when, schedule_id = heapq.heappop(self._due)
            if self._due_at.get(schedule_id) == when:
                del self._due_at[schedule_id]
                await self._look(schedule_id, tick.at)

    async def _look(self, schedule_id: str, now: int) -> None:
        """A slot of this schedule may have been missed."""
        book = self._books.get(self._schedules.get(schedule_id, ""))
        facts = book.memory.schedules.get(schedule_id) if book is not None else None
        if book is None or facts is None or facts.deleted or not facts.enabled or book.presence == "away":
            return
        if book.broken:
            self._push(now + 1, schedule_id)
            return
        slot = slots.missed(facts.slots, now, self._timing.stale_grace_seconds)
        if slot is not None:
            patience = slots.grace(facts.slots, slot, self._timing.stale_grace_seconds)
            if book.presence == "online" and now < book.present_since + patience:
                self._push(book.present_since + patience, schedule_id)
                return
            key = Key(facts.host_id, "stale_schedule", schedule_id)
            last = max(facts.slots.last_slot_at or 0, facts.slots.last_run_at or 0) or None
            text = wording.stale(facts.name, slot, last)
            writes, changed = self._keep(book, key, conditions.hold(key, _track(book, key), text, now, ids.new()))
            if writes:
                book.in_flight += 1
                await self._commit(tuple(writes), facts.host_id, Tick(now), TRIES, reload=changed)
        self._push(slots.look_again(facts.slots, now, self._timing.stale_grace_seconds), schedule_id)

    async def _presence(self, message: HostReturned | HostGone) -> None:
        book = self._books.get(message.host_id)
        if book is None and isinstance(message, HostReturned):
            book = await self._find(message.host_id)
        if book is None:
            return
        if isinstance(message, HostGone):
            if book.presence == "online":
                book.presence = "away"
            return
        if message.report_only:
            if not book.memory.has_said_hello and book.presence == "away":
                book.presence, book.present_since = "reports_only", message.at
                self._watch_all(book)
            return
        book.memory.has_said_hello = True
        book.presence, book.present_since = "online", message.at
        self._watch_all(book)
        await self._decide(message.host_id, message)

    async def _find(self, host_id: str) -> _Book | None:
        found = await self._reader.run(load_rules, host_id)
        return self._open_book(found[host_id]) if host_id in found else None

    # ---- books

    def _open_book(self, memory: HostMemory) -> _Book:
        book = _Book(memory)
        self._books[memory.host_id] = book
        for key, track in memory.tracks.items():
            if track.alert is not None:
                self._alerts[track.alert.id] = key
        for schedule_id in memory.schedules:
            self._schedules[schedule_id] = memory.host_id
        if memory.has_reported and not memory.has_said_hello:
            book.presence = "reports_only"
            self._watch_all(book)
        return book

    def _close_book(self, host_id: str) -> None:
        book = self._books.pop(host_id)
        for track in book.memory.tracks.values():
            if track.alert is not None:
                self._alerts.pop(track.alert.id, None)
        for schedule_id in book.memory.schedules:
            self._schedules.pop(schedule_id, None)

    def _watch_all(self, book: _Book) -> None:
        for facts in book.memory.schedules.values():
            self._watch(book, facts)

    def _watch(self, book: _Book, facts: ScheduleFacts) -> None:
        """Look at a schedule for the first time once it can have been missed: cheap now, exact then."""
        if facts.enabled and not facts.deleted and book.presence != "away":
            patience = max(seconds(facts.slots.grace_seconds), seconds(self._timing.stale_grace_seconds))
            since = max(book.present_since, facts.slots.anchor_at)
            self._push(max(since + patience, self._timing.started_at + self._timing.restart_grace), facts.id)

    def _push(self, when: int, schedule_id: str) -> None:
        self._due_at[schedule_id] = when
        heapq.heappush(self._due, (when, schedule_id))


def _track(book: _Book, key: Key) -> Track:
    return book.memory.tracks.get(key, EMPTY)


def _subject(book: _Book, plan: str | None, schedule_id: str | None) -> tuple[str, ScheduleFacts | None, str | None]:
    """(subject, schedule, warning) of a job: its schedule, else its plan, else nothing."""
    warning = None
    if schedule_id is not None:
        facts = book.memory.schedules.get(schedule_id)
        if facts is not None and facts.deleted:
            return schedule_id, None, "its schedule was deleted"
        if facts is not None:
            return schedule_id, facts, None
        warning = f"schedule {schedule_id} is not one of this host's; counted as none"
    return (f"plan:{plan}" if plan else ""), None, warning


def _is_deleted(book: _Book, schedule_id: str | None) -> bool:
    facts = book.memory.schedules.get(schedule_id) if schedule_id is not None else None
    return facts is not None and facts.deleted


def _label(schedule: ScheduleFacts | None, plan: str | None) -> str:
    return schedule.name if schedule is not None else plan or ""


def _with_run(known: Slots, slot: int | None, free: int | None) -> Slots:
    return Slots(
        known.cron,
        known.timezone,
        known.anchor_at,
        known.grace_seconds,
        max(known.last_slot_at or 0, slot or 0) or None,
        max(known.last_run_at or 0, free or 0) or None,
    )


def _reply_of(request: Request) -> Reply:
    match request:
        case HostReturned() | HostGone() | Tick():
            return no_reply
        case _:
            return request.reply
