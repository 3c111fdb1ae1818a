"""What a channel sends next, and when: order, turns, the breaker and the pauses. Pure; a channel's whole policy.

One unfinished send per alert, in the order of its deliveries. Hosts take turns, so that one with a thousand alerts does
not hold up another one's only alert; what belongs to no host has one turn among them. While the channel is failing, one
probe at a time goes out, taking turns among the hosts and among the waiting alerts of each, so that one message that
the receiver never likes cannot hold up the rest.

A receiver that has a message and takes its time to answer holds up that message's own alerts alone: it is set
aside, and its place goes to the next one.

A refusal that may not be the receiver's own (`Attempt.in_doubt`) is a failure like any other, until it has been the
answer for ten minutes: `refusals`.
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Literal

from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Item
from rmactors.server.state.refusals import BELIEVED_AFTER, Refusals, one_more

CONCURRENT = 16
"""Sends under way at once on a channel that works: enough to drain a backlog, few enough for a small receiver."""
ANSWERS_AWAITED = 32
"""Beside those: messages that the receiver has and has not answered yet. With so many, the next ones wait."""
FIRST_MINUTES = 10 * MINUTE
FIRST_CAP = 5.0
LATER_CAP = 60.0
GROWTH = 1.5
OPENED_BY_ITSELF = 1
"""How often a message may open the breaker and still be let out again by another one's success."""


End = Literal["delivered", "superseded"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message to send: `main`, and what it tells as well, with how those end when it arrives."""

    main: Item
    carried: tuple[tuple[Item, End], ...] = ()
    group: bool = False

    @property
    def items(self) -> tuple[Item, ...]:
        return (self.main, *(item for item, _ in self.carried))


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a parcel after an attempt. `due_at` is when it is tried again, `at` when the attempt ended."""

    result: Attempt
    due_at: int | None
    at: int = 0


def settled_with(parcel: Parcel, result: Attempt) -> tuple[Item, ...]:
    """The deliveries that end with this result. A resolution that dies takes the raise that it told along; the
    members of a group whose first message is refused are tried without it."""
    return parcel.items if result.verdict == "delivered" or not parcel.group else (parcel.main,)


def _alerts(parcel: Parcel) -> int:
    return len({item.alert_id for item in parcel.items})


def pause(failures: int, failing_for: int, jitter: Callable[[float, float], float]) -> int:
    """Microseconds until the next probe: from 1 s to 5 s in the first ten minutes, then to 60 s, with jitter."""
    cap = FIRST_CAP if failing_for < FIRST_MINUTES else LATER_CAP
    high = min(cap, GROWTH ** min(failures, 20))
    return round(jitter(max(1.0, high / 2), high) * SECOND)


@dataclass(slots=True)
class Queue:
    """The deliveries of one channel that are in memory.

    `jitter(low, high)` gives a number between the two. `retry_max` in microseconds. `takes_resolved`: whether the
    channel hears of resolutions, so that one may stand for the raise before it. `probe_at`: while it is failing,
    nothing goes out before. `quiet_until`: the receiver asked for quiet (Retry-After), and no success of a send that
    was under way ends that.
    """

    jitter: Callable[[float, float], float]
    retry_max: int
    takes_resolved: bool
    failing_since: int | None = None
    failures: int = 0
    probe_at: int = 0
    quiet_until: int = 0
    _lanes: dict[str, deque[Item]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _aside: dict[str, int] = field(default_factory=dict)  # first item of a parcel set aside → how many alerts it has
    _ready: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)  # host → heap of (attempts, seq, alert)
    _turns: deque[str] = field(default_factory=deque)  # hosts with something ready, the next one first
    _later: list[tuple[int, int, str]] = field(default_factory=list)  # (due, seq, alert)
    _groups: dict[str, set[str]] = field(default_factory=dict)  # host → alerts whose head waits for its window
    _opened: dict[str, int] = field(default_factory=dict)  # item → how often it opened the breaker
    _refusals: Refusals | None = None  # in a row, whichever message they were about
    _count: int = 0
    _looked_at: int = 0

    def __len__(self) -> int:
        return self._count

    @property
    def sending(self) -> int:
        """Alerts with a send under way."""
        return len(self._busy)

    @property
    def places(self) -> int:
        """How many of these keep others waiting: without what was set aside."""
        return len(self._busy) - sum(self._aside.values())

    def add(self, items: Iterable[Item]) -> None:
        """Take more from the store, in order of `seq`."""
        for item in items:
            self._count += 1
            lane = self._lanes.setdefault(item.alert_id, deque())
            lane.append(item)
            if len(lane) == 1:
                self._line_up(item)

    def pick(self, now: int) -> Parcel | None:
        """What to send now; None where nothing may go out. Its alerts are busy until `release`."""
        if now < self._closed_until() or not self._has_room():
            return None
        while self._later and self._later[0][0] <= now:
            _, seq, alert_id = heapq.heappop(self._later)
            head = self._head(alert_id, seq)
            if head is not None:
                self._make_ready(head)
        while self._turns:
            host_id = self._turns.popleft()
            head = self._next_of(host_id)
            if host_id in self._ready:
                self._turns.append(host_id)
            if head is not None:
                parcel = self._pack(head)
                self._busy.update(item.alert_id for item in parcel.items)
                return parcel
        return None

    def next_at(self) -> int | None:
        """When `pick` may have something that it has not now, if nothing else happens."""
        if not (self._turns or self._later) or not self._has_room():
            return None
        return max(self._closed_until(), 0 if self._turns else self._later[0][0])

    def set_aside(self, parcel: Parcel) -> None:
        """The receiver has it all and takes its time to answer. Its alerts stay busy until `release`."""
        self._aside[parcel.main.id] = _alerts(parcel)

    def settle(self, parcel: Parcel, result: Attempt, now: int) -> Settlement:
        """An attempt ended. The parcel's alerts stay busy until its end is on disk: then `release`."""
        result = self._believed(parcel.main, result, now)
        if result.verdict != "retry":
            self._answered()
            return Settlement(result, None)
        was_failing = self.failing_since is not None
        if not was_failing:
            self.failing_since = now
            self.failures = 0
            self._opened[parcel.main.id] = self._opened.get(parcel.main.id, 0) + 1
        assert self.failing_since is not None
        own = 0 if parcel.main.id in self._aside else _alerts(parcel)
        if not was_failing or self.places <= own:  # the others were sent before it was known
            self.failures += 1
        end_of_time = parcel.main.created_at + self.retry_max
        if result.retry_at is not None:
            self.quiet_until = max(self.quiet_until, min(result.retry_at, end_of_time))
        due_at = max(now + pause(self.failures, now - self.failing_since, self.jitter), self.quiet_until)
        if result.retry_at is None and not was_failing and self._has_another(parcel):
            # One refusal says little: another alert's message is tried at once.
            self.probe_at = now
        else:
            self.probe_at = max(self.probe_at, due_at)
        if self._opened.get(parcel.main.id, 0) > OPENED_BY_ITSELF:
            # The receiver takes others: this one's pauses grow by itself.
            due_at = max(due_at, now + pause(parcel.main.attempts + 1, now - parcel.main.created_at, self.jitter))
        if result.in_doubt:
            due_at = max(due_at, one_more(parcel.main.refusals, now).next_at(now))
        return self._or_dead(Settlement(result, due_at, now), end_of_time, now)

    def release(self, parcel: Parcel, settlement: Settlement) -> None:
        """The end of the attempt is on disk."""
        self._aside.pop(parcel.main.id, None)
        for item in parcel.items:
            self._busy.discard(item.alert_id)
        if settlement.result.verdict == "retry":
            for item in parcel.items:
                lane = self._lanes[item.alert_id]
                lane[lane.index(item)] = self._again(item, parcel, settlement)
        else:
            for item in settled_with(parcel, settlement.result):
                self._lanes[item.alert_id].remove(item)
                self._opened.pop(item.id, None)
                self._count -= 1
        for alert_id in {item.alert_id for item in parcel.items}:
            if self._lanes[alert_id]:
                self._line_up(self._lanes[alert_id][0])
            else:
                del self._lanes[alert_id]

    def expired(self, now: int) -> list[Item]:
        """Heads that have waited for too long behind a failing channel, to be settled as dead. They become busy.

        None before a probe of our own has failed: after a start nobody knows yet whether the receiver is back.
        """
        if self.failing_since is None or not self.failures or now < self._looked_at + SECOND:
            return []
        self._looked_at = now
        late = [
            lane[0]
            for alert_id, lane in self._lanes.items()
            if alert_id not in self._busy and lane[0].created_at + self.retry_max <= now
        ]
        self._busy.update(item.alert_id for item in late)
        return late

    # ---- inside

    def _believed(self, item: Item, result: Attempt, now: int) -> Attempt:
        """The result, or a retry where it is a refusal that may not be the receiver's own."""
        if not result.in_doubt:
            self._refusals = None
            return result
        self._refusals = one_more(self._refusals, now)
        there_since = item.created_at if item.attempts else max(item.created_at, item.due_at)
        if one_more(item.refusals, now).believed(now) or self._refusals.believed(now, there_since):
            return replace(result, error=f"refused for {BELIEVED_AFTER // MINUTE} minutes: {result.error}")
        return replace(result, verdict="retry")

    def _closed_until(self) -> int:
        return self.quiet_until if self.failing_since is None else max(self.quiet_until, self.probe_at)

    def _has_room(self) -> bool:
        most = CONCURRENT if self.failing_since is None else 1
        return self.places < most and len(self._aside) < ANSWERS_AWAITED

    def _line_up(self, head: Item) -> None:
        heapq.heappush(self._later, (head.due_at, head.seq, head.alert_id))
        if head.grouped:
            self._groups.setdefault(head.host_id, set()).add(head.alert_id)

    def _make_ready(self, head: Item) -> None:
        """It may go when it is its host's turn, after what was tried less often."""
        if head.host_id not in self._ready:
            self._ready[head.host_id] = []
            self._turns.append(head.host_id)
        heapq.heappush(self._ready[head.host_id], (head.attempts, head.seq, head.alert_id))

    def _next_of(self, host_id: str) -> Item | None:
        """What of this host goes next; None where nothing of it may go after all. It is ready no more."""
        heap = self._ready[host_id]
        found = None
        while heap and found is None:
            attempts, seq, alert_id = heapq.heappop(heap)
            head = self._head(alert_id, seq)
            if head is not None and head.attempts == attempts:  # else it was tried as one of a group since
                found = head
        if not heap:
            del self._ready[host_id]
        return found

    def _head(self, alert_id: str, seq: int) -> Item | None:
        """The alert's head, where that heap entry still speaks of it and it may go."""
        lane = self._lanes.get(alert_id)
        if lane is None or alert_id in self._busy or lane[0].seq != seq:
            return None
        return lane[0]

    def _pack(self, head: Item) -> Parcel:
        later = self._standing_for(head)
        if later is not None:
            before = tuple(item for item in self._lanes[head.alert_id] if item.seq < later.seq)
            return Parcel(later, tuple((item, "superseded") for item in before))
        if not head.grouped:
            return Parcel(head)
        waiting = self._groups.pop(head.host_id, set())
        members: list[Item] = []
        for alert_id in waiting:
            lane = self._lanes.get(alert_id)
            other = lane[0] if lane and alert_id not in self._busy else None
            if other is None or not other.grouped or other is head:
                continue
            # Of one window, or tried together before: under an id that a receiver may know, it must hear nothing new,
            # for it may drop what it knows.
            apart = (other.due_at, other.tried_as) != (head.due_at, head.tried_as)
            if apart or self._standing_for(other) is not None:
                self._groups.setdefault(head.host_id, set()).add(alert_id)
            else:
                members.append(other)
        if not members:
            return Parcel(head)
        first, *rest = sorted([head, *members], key=lambda item: item.seq)
        return Parcel(first, tuple((item, "delivered") for item in rest), group=True)

    def _standing_for(self, head: Item) -> Item | None:
        """What is queued behind a head and makes it needless: a resolution that can tell the raise as well; for a
        reminder, word that somebody looks after it, that it got worse or that it is over."""
        match head.event:
            case "alert.raised":
                wanted = {"alert.resolved"} if self.takes_resolved else set()
            case "alert.reminder":
                wanted = {"alert.acknowledged", "alert.resolved", "alert.raised"}
            case _:
                wanted = set()
        return next((item for item in self._lanes[head.alert_id] if item.event in wanted), None)

    def _again(self, item: Item, parcel: Parcel, settlement: Settlement) -> Item:
        assert settlement.due_at is not None
        own = item is parcel.main
        return replace(
            item,
            attempts=item.attempts + 1,
            due_at=settlement.due_at,
            tried_as=parcel.main.id,
            recipients_left=settlement.result.recipients_left if own else item.recipients_left,
            refusals=one_more(item.refusals, settlement.at) if settlement.result.in_doubt else None,
        )

    def _answered(self) -> None:
        """The receiver answers: what waited for that may go, but for what has opened the breaker again and again."""
        if self.failing_since is None:
            return
        self.failing_since, self.failures, self.probe_at = None, 0, 0
        rest: list[tuple[int, int, str]] = []
        for entry in self._later:
            head = self._head(entry[2], entry[1])
            if head is None:
                continue
            if head.attempts and self._opened.get(head.id, 0) <= OPENED_BY_ITSELF:
                self._make_ready(head)
            else:
                rest.append(entry)
        heapq.heapify(rest)
        self._later = rest

    def _has_another(self, parcel: Parcel) -> bool:
        mine = {item.alert_id for item in parcel.items}
        return any(alert_id not in mine and alert_id not in self._busy for alert_id in self._lanes)

    def _or_dead(self, settlement: Settlement, end_of_time: int, now: int) -> Settlement:
        if now < end_of_time:
            return settlement
        error = f"gave up after {self.retry_max / SECOND:g} s: {settlement.result.error}"
        return Settlement(replace(settlement.result, verdict="dead", error=error), None)
