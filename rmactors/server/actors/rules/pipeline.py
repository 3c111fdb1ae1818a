"""One host's decisions in flight to disk.

Decisions are pipelined: the next is made on the state that the last one leads to, before that one is on disk. Each says
what it expects of the database, so a commit that fails takes along what was decided on top of it.

            decided, sent             it has to wait, or memory is wrong
    Idle ─────────────────► InFlight ─────────────────────────────────────► Draining
      ▲  ◄─────────────────   │  ▲                                            │
      │   the last answered   └──┘ decided on top, sent                       │ the last is answered
      │                                                                       ▼
      └────────────────────────────── read ──────────────────────────────  Reloading ──► Unreadable
                                                                              ▲               │
                                                                              └───────────────┘ the next request

Idle, InFlight                    a request is decided at once.
Draining, Reloading, Unreadable   a request waits; what waits is decided, in order, once the host has been read.

Memory is wrong when an answer says that a decision did not get to disk: the host is set aside until nothing of it is in
flight, and read again.

A request that fails its expectations (`Stale`) is decided again on what is read then, at most `TRIES` times. What is
not on disk in the end is answered `Failed`, and the asker asks again; a host's return comes only once, so it is handed
back.

A change of a schedule or host is decided when nothing of the host is in flight, and what follows waits for it: an
outcome must not be judged by a schedule that never came to be.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, assert_never

from msgspec import Struct

from rmactors.server.actors.rules.agenda import Due
from rmactors.server.actors.rules.decisions import Decidable, decide
from rmactors.server.actors.rules.missed_runs import check_missed_run
from rmactors.server.actors.rules.overdue import check_overdue
from rmactors.server.messages.alerts import ResolveAlert
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Refused, Stale
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Acknowledge, Asked, Change, HostReturned, Resolve, Tick
from rmactors.server.messages.writes import Write
from rmactors.server.state.host_state import Decision, HostState

TRIES = 5
"""Decisions made again on stale state before the asker is told to come back later."""


Stage = Literal["idle", "in_flight", "draining", "reloading", "unreadable"]
"""Where a host's pipeline is; the picture above says what leads from one to the next."""


# ---- effects


class Send(Struct, frozen=True):
    """Have the store write a decision, and give its answer to `answered`.

    `changed`: the state in memory is wrong if this does not get to disk. `tries`: how often it was decided before.
    """

    host_id: str
    writes: tuple[Write, ...]
    request: Decidable | Tick
    tries: int
    changed: bool
    reasons: tuple[Reason, ...]


class Respond(Struct, frozen=True):
    """Answer a request. `reasons` of a decision that needs no write, and is final with that."""

    request: Asked
    answer: Answer
    reasons: tuple[Reason, ...] = ()


class TryAtTick(Struct, frozen=True):
    """A host's return is not on disk: ask for it again at the next tick, if the host is still there."""

    request: HostReturned


class Ended(Struct, frozen=True):
    """These alerts are resolved on disk, or about to be read again."""

    alert_ids: tuple[str, ...]


class Reload(Struct, frozen=True):
    """Read the host, and say what came of it: `reloaded`, `unreadable` or `deleted`."""

    host_id: str


Effect = Send | Respond | TryAtTick | Ended | Reload


@dataclass(slots=True)
class HostPipeline:
    """Methods return effects, to be carried out in order; then `next` is to be called until it has none.

    `least_grace` in seconds; `new_id` makes the ids of alerts.
    """

    host: HostState
    least_grace: float
    new_id: Callable[[], str]
    stage: Stage = "idle"
    in_flight: int = 0
    waiting: deque[tuple[Decidable, int]] = field(default_factory=deque)
    """Requests that are not decided yet, and how often each was before: empty while idle or in flight."""
    _ending: list[str] = field(default_factory=list)
    """Alerts whose resolution is in flight."""

    def admit(self, request: Decidable) -> list[Effect]:
        """Decide a request, or let it wait."""
        self.waiting.append((request, 0))
        return self.next()

    def next(self) -> list[Effect]:
        """Decide the request that has waited longest. None: nothing waits, or what waits has to wait longer."""
        while self.waiting:
            match self.stage:
                case "idle" | "in_flight":
                    if effects := self._decide():
                        return effects
                case "draining" | "reloading":
                    return []
                case "unreadable":
                    return [self._reload()]
                case _:
                    assert_never(self.stage)
        return []

    def check(self, due: Due, tick: Tick) -> tuple[list[Effect], int | None]:
        """Whether a slot of a schedule was missed, or its newest good backup is too old; and when to check again
        (None: not by itself)."""
        schedule = self.host.schedules.get(due.schedule_id)
        if schedule is None or schedule.deleted or not schedule.enabled:
            return [], None
        if self.stage == "unreadable":
            return [self._reload()], tick.at + 1
        if self.stage not in ("idle", "in_flight"):
            return [], tick.at + 1
        match due.check:
            case "overdue":
                decision, again = check_overdue(self.host, schedule, tick.at, self.new_id())
            case "missed_run":
                decision, again = check_missed_run(
                    self.host, schedule, tick.at, self.new_id(), self.least_grace, not_before=due.here_since
                )
            case _:
                assert_never(due.check)
        return ([self._send(decision, tick, TRIES, changed=True)] if decision.writes else []), again

    def answered(self, sent: Send, answer: Answer) -> list[Effect]:
        """What was sent is on disk, or is not."""
        self.in_flight -= 1
        effects: list[Effect] = []
        match answer:
            case Committed():
                effects += _respond(sent.request, answer)
            case Duplicate() | Refused():
                if sent.changed:
                    self.stage = "draining"
                effects += _respond(sent.request, answer)
            case Stale():
                self.stage = "draining"
                if sent.tries < TRIES and not isinstance(sent.request, Tick):
                    self.waiting.append((sent.request, sent.tries + 1))
                else:
                    effects += _not_on_disk(sent.request, Failed(answer.detail))
            case Failed():
                self.stage = "draining"
                effects += _not_on_disk(sent.request, answer)
            case _:
                assert_never(answer)
        return effects if self.in_flight else effects + self._drained()

    def reloaded(self, host: HostState) -> list[Effect]:
        """The host was read again: what waits is decided on that."""
        host.clock_offset = self.host.clock_offset  # a new one gets to disk by another way, later
        self.host, self.stage = host, "idle"
        return self.next()

    def unreadable(self, problem: str) -> list[Effect]:
        """The host could not be read. The next request or check tries again."""
        self.stage = "unreadable"
        return self._give_up(Failed(problem))

    def deleted(self) -> list[Effect]:
        """The host is no longer there."""
        return self._give_up(Refused("not_found", "there is no such host"))

    # ---- inside

    def _decide(self) -> list[Effect]:
        request, tries = self.waiting[0]
        if self.in_flight and (isinstance(request, Change) or self._is_ending(request)):
            self.stage = "draining"
            return []
        decision = decide(self.host, request, self.new_id(), self.least_grace)
        self.waiting.popleft()
        if not decision.writes:
            return _respond(request, Committed(), decision.reasons)
        sent = self._send(decision, request, tries, changed=decision.changed)
        if isinstance(request, Change):
            self.stage = "draining"
        return [sent]

    def _send(self, decision: Decision, request: Decidable | Tick, tries: int, *, changed: bool) -> Send:
        self.stage, self.in_flight = "in_flight", self.in_flight + 1
        for write in decision.writes:
            if isinstance(write, ResolveAlert):
                self._ending.append(write.alert_id)
        return Send(self.host.host_id, decision.writes, request, tries, changed, decision.reasons)

    def _drained(self) -> list[Effect]:
        ended, self._ending = tuple(self._ending), []
        effects: list[Effect] = [Ended(ended)] if ended else []
        if self.stage == "draining":
            return [*effects, self._reload()]
        self.stage = "idle"
        return effects

    def _reload(self) -> Reload:
        self.stage = "reloading"
        return Reload(self.host.host_id)

    def _is_ending(self, request: Decidable) -> bool:
        """Asked about an alert whose resolution is not on disk yet: should that fail, the alert is open after all."""
        return isinstance(request, Acknowledge | Resolve) and self.host.key_of(request.alert_id) is None

    def _give_up(self, answer: Failed | Refused) -> list[Effect]:
        waiting, self.waiting = self.waiting, deque()
        return [effect for request, _ in waiting for effect in _not_on_disk(request, answer)]


def _not_on_disk(request: Decidable | Tick, answer: Failed | Refused) -> list[Effect]:
    """Who asked asks again, but for a host's return, which comes once."""
    if isinstance(request, HostReturned):
        return [TryAtTick(request)]
    return _respond(request, answer)


def _respond(request: Decidable | Tick, answer: Answer, reasons: tuple[Reason, ...] = ()) -> list[Effect]:
    """Nobody waits to hear of a tick or a host's return."""
    match request:
        case Tick() | HostReturned():
            return []
        case _:
            return [Respond(request, answer, reasons)]
