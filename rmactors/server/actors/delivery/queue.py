"""What a channel sends next, and when: order, turns and groups. Pure; with `breaker`, a channel's whole policy.

One unfinished send per alert, in the order of its deliveries. Hosts take turns, so that one with a thousand alerts does
not hold up another one's only alert; what belongs to no host has one turn among them. While the channel is failing, one
probe at a time goes out, taking turns among the hosts and among the waiting alerts of each, so that one message that
the receiver never likes cannot hold up the rest.

A receiver that has a message and takes its time to answer holds up that message's own alerts alone: it is set
aside, and its place goes to the next one.

A refusal that may not be the receiver's own (`Attempt.in_doubt`) is a failure like any other, until it has been the
answer for ten minutes: `refusals`.

What a mail server took for some recipients is an answer: only what is left of that message waits, with pauses of its
own, and such messages together are tried once a second at most (`Attempt.others_have_it`).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.actors.delivery.batch import AttemptResult, Batch, ended_by
from rmactors.server.actors.delivery.breaker import Breaker, pause
from rmactors.server.actors.delivery.groups import Groups
from rmactors.server.actors.delivery.nights import Nights
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Delivery
from rmactors.server.state.refusals import BELIEVED_AFTER, Refusals, one_more

CONCURRENT = 16
"""Sends in flight at once on a channel that works: enough to drain a backlog, few enough for a small receiver."""
ANSWERS_AWAITED = 32
"""Beside those: messages that the receiver has and has not answered yet. With so many, the next ones wait."""
ENDS_AWAITED = 32
"""And attempts whose end is not on disk yet: after a kill they are made again. With so many, the next ones wait."""
TOO_MANY_REQUESTS = 429
OPENED_BY_ITSELF = 1
"""How often a message may open the breaker and still be let out again by another one's success."""


def _alerts(batch: Batch) -> int:
    return len({delivery.alert_id for delivery in batch.deliveries})


@dataclass(slots=True)
class DeliveryQueue:
    """The deliveries of one channel that are in memory.

    `retry_max` in microseconds. `takes_resolved`: whether the channel hears of resolutions, so that one may stand for
    the raise before it. `quiet`: when it is left alone.
    """

    breaker: Breaker
    retry_max: int
    takes_resolved: bool
    quiet: QuietHours | None = None
    _lanes: dict[str, deque[Delivery]] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)
    _aside: dict[str, int] = field(default_factory=dict)  # first delivery of a batch set aside → how many alerts it has
    _ended: dict[str, int] = field(default_factory=dict)  # the same of a batch whose end is not on disk yet
    _ready: dict[str, list[tuple[int, int, str]]] = field(default_factory=dict)  # host → heap of (attempts, seq, alert)
    _turns: deque[str] = field(default_factory=deque)  # hosts with something ready, the next one first
    _later: list[tuple[int, int, str]] = field(default_factory=list)  # (due, seq, alert)
    _groups: Groups = field(init=False)
    _nights: Nights = field(init=False)
    _refusals: Refusals | None = None  # in a row, whichever message they were about
    _leftover_at: int = 0  # when the last of the messages that some have already is tried again
    _count: int = 0
    _looked_at: int = 0

    def __post_init__(self) -> None:
        self._groups = Groups(self._lanes, self._busy, self.takes_resolved)
        self._nights = Nights(self._lanes, self._busy, self.quiet)

    def __len__(self) -> int:
        return self._count

    @property
    def sending(self) -> int:
        """Alerts with a send in flight."""
        return len(self._busy)

    @property
    def places(self) -> int:
        """How many of these keep others waiting: without what was set aside."""
        return len(self._busy) - sum(self._aside.values())

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Take more from the store, in order of `seq`."""
        for delivery in deliveries:
            self._count += 1
            lane = self._lanes.setdefault(delivery.alert_id, deque())
            lane.append(delivery)
            self._groups.add(delivery)
            head = lane[0]
            if head is delivery:
                self._line_up(delivery)
            elif (
                head.recipients_left or head.group_key or delivery.group_key or delivery.loud
            ) and head.alert_id not in self._busy:
                self._line_up(head)  # what is new may go in its place, and sooner

    def pick(self, now: int) -> Batch | None:
        """What to send now; None if nothing may go out. Its alerts are busy until `release`."""
        if now < self.breaker.closed_until() or not self._has_room():
            return None
        while self._later and self._later[0][0] <= now:
            _, seq, alert_id = heapq.heappop(self._later)
            head = self._head(alert_id, seq)
            if head is not None:
                self._make_ready(head)
        while self._turns:
            host_id = self._turns.popleft()
            head = self._next_of(host_id, now)
            if host_id in self._ready:
                self._turns.append(host_id)
            if head is not None:
                batch = self._nights.pack(head) or self._groups.pack(
                    head, lambda other: self._nights.over_at(other, now) is None
                )
                self._nights.sent(batch)
                self._busy.update(delivery.alert_id for delivery in batch.deliveries)
                self.breaker.pace.sent(now)
                return batch
        return None

    def next_at(self) -> int | None:
        """When `pick` may have something that it has not now, if nothing else happens."""
        if not (self._turns or self._later) or not self._has_room():
            return None
        return max(self.breaker.closed_until(), 0 if self._turns else self._later[0][0])

    def set_aside(self, batch: Batch) -> None:
        """The receiver has it all and takes its time to answer. Its alerts stay busy until `release`."""
        self._aside[batch.main.id] = _alerts(batch)

    def settle(self, batch: Batch, attempt: Attempt, now: int) -> AttemptResult:
        """An attempt ended. The batch's alerts stay busy until its end is on disk: then `release`."""
        if batch.main.id not in self._aside:
            self._ended[batch.main.id] = _alerts(batch)
        attempt = self._believed(batch.main, attempt, now)
        main, end_of_time = batch.main, self._nights.there_since(batch.main) + self.retry_max
        if attempt.verdict != "retry":
            self.breaker.pace.taken(now)
            self._answered()
            if main.recipients_left and attempt.verdict == "delivered":
                self._let_go(lambda head: head.recipients_left == main.recipients_left)
            return AttemptResult(attempt, None)
        if attempt.others_have_it:
            self._answered()
            due_at = now + pause(main.attempts + 1, now - main.created_at, self.breaker.jitter)
            self._leftover_at = max(due_at, self._leftover_at + SECOND)
            return self._in_time(main, AttemptResult(attempt, self._leftover_at, now, OPENED_BY_ITSELF + 1))
        throttled = attempt.status_code == TOO_MANY_REQUESTS  # which is not about this message
        opened = main.opened if self.breaker.failing or throttled else main.opened + 1
        own = 0 if main.id in self._aside else _alerts(batch)
        if attempt.retry_at is not None:
            attempt = replace(attempt, retry_at=min(attempt.retry_at, end_of_time))
        due_at = self.breaker.failed(
            now,
            attempt.retry_at,
            alone=self.places <= own,
            has_another=self._has_another(batch),
            throttled=throttled,
        )
        if opened > OPENED_BY_ITSELF:
            # The receiver takes others: this one's pauses grow by itself.
            due_at = max(due_at, now + pause(main.attempts + 1, now - main.created_at, self.breaker.jitter))
        if attempt.in_doubt:
            due_at = max(due_at, one_more(main.refusals, now).next_at(now))
        return self._in_time(main, AttemptResult(attempt, due_at, now, opened))

    def release(self, batch: Batch, result: AttemptResult) -> None:
        """The end of the attempt is on disk."""
        self._aside.pop(batch.main.id, None)
        self._ended.pop(batch.main.id, None)
        for delivery in batch.deliveries:
            self._busy.discard(delivery.alert_id)
        if result.attempt.verdict == "retry":
            for delivery in batch.deliveries:
                lane = self._lanes[delivery.alert_id]
                lane[lane.index(delivery)] = self._again(delivery, batch, result)
        else:
            for delivery in ended_by(batch, result.attempt):
                self._lanes[delivery.alert_id].remove(delivery)
                self._groups.ended(delivery)
                self._count -= 1
        for alert_id in {delivery.alert_id for delivery in batch.deliveries}:
            if self._lanes[alert_id]:
                self._line_up(self._lanes[alert_id][0])
            else:
                del self._lanes[alert_id]

    def expired(self, now: int) -> list[Delivery]:
        """Heads that have waited for too long behind a failing channel, to be settled as dead. They become busy.

        None before a probe of our own has failed: after a start it is not known yet whether the receiver is back.
        """
        if not self.breaker.failing or not self.breaker.failures or now < self._looked_at + SECOND:
            return []
        self._looked_at = now
        late = [
            lane[0]
            for alert_id, lane in self._lanes.items()
            if alert_id not in self._busy and self._is_too_old(lane[0], now)
        ]
        self._busy.update(delivery.alert_id for delivery in late)
        return late

    # ---- inside

    def _believed(self, delivery: Delivery, attempt: Attempt, now: int) -> Attempt:
        """The attempt, or a retry if it is a refusal that may not be the receiver's own."""
        if not attempt.in_doubt:
            self._refusals = None
            return attempt
        self._refusals = one_more(self._refusals, now)
        there_since = self._nights.there_since(delivery)
        if not delivery.attempts:
            there_since = max(there_since, delivery.due_at)
        if one_more(delivery.refusals, now).believed(now) or self._refusals.believed(now, there_since):
            return replace(attempt, error=f"refused for {BELIEVED_AFTER // MINUTE} minutes: {attempt.error}")
        return replace(attempt, verdict="retry")

    def _in_time(self, main: Delivery, result: AttemptResult) -> AttemptResult:
        """The result, or its end if it has been tried for long enough."""
        if not self._is_too_old(main, result.at):
            return result
        error = f"gave up after {self.retry_max / SECOND:g} s: {result.attempt.error}"
        return AttemptResult(replace(result.attempt, verdict="dead", error=error), None)

    def _is_too_old(self, delivery: Delivery, now: int) -> bool:
        late = delivery.created_at + self.retry_max <= now
        return late and self._nights.there_since(delivery) + self.retry_max <= now

    def _has_room(self) -> bool:
        most = 1 if self.breaker.failing else CONCURRENT
        sending = self.places - sum(self._ended.values())
        return sending < most and len(self._aside) < ANSWERS_AWAITED and len(self._ended) < ENDS_AWAITED

    def _line_up(self, head: Delivery) -> None:
        heapq.heappush(self._later, (self._groups.lined_up(head), head.seq, head.alert_id))

    def _make_ready(self, head: Delivery) -> None:
        """It may go when it is its host's turn, after what was tried less often."""
        if head.host_id not in self._ready:
            self._ready[head.host_id] = []
            self._turns.append(head.host_id)
        heapq.heappush(self._ready[head.host_id], (head.attempts, head.seq, head.alert_id))

    def _next_of(self, host_id: str, now: int) -> Delivery | None:
        """What of this host goes next; None if nothing of it may go after all. It is ready no more."""
        heap = self._ready[host_id]
        found = None
        while heap and found is None:
            attempts, seq, alert_id = heapq.heappop(heap)
            head = self._head(alert_id, seq)
            if head is None or head.attempts != attempts:  # it was tried as one of a group since
                continue
            due_at = self._nights.over_at(head, now) or self._groups.waits_until(head)
            if due_at > now:
                heapq.heappush(self._later, (due_at, seq, alert_id))
            else:
                found = head
        if not heap:
            del self._ready[host_id]
        return found

    def _head(self, alert_id: str, seq: int) -> Delivery | None:
        """The alert's head, where that heap entry still speaks of it and it may go."""
        lane = self._lanes.get(alert_id)
        if lane is None or alert_id in self._busy or lane[0].seq != seq:
            return None
        return lane[0]

    def _again(self, delivery: Delivery, batch: Batch, result: AttemptResult) -> Delivery:
        assert result.due_at is not None
        own = delivery is batch.main
        return replace(
            delivery,
            attempts=delivery.attempts + 1,
            due_at=result.due_at,
            tried_as=batch.main.id,
            of_night=batch.night,
            recipients_left=result.attempt.recipients_left if own else delivery.recipients_left,
            refusals=one_more(delivery.refusals, result.at) if result.attempt.in_doubt else None,
            opened=result.opened if own else delivery.opened,
        )

    def _answered(self) -> None:
        """The receiver answers: what waited for that may go, but for what has opened the breaker again and again."""
        if not self.breaker.failing:
            return
        self.breaker.answered()
        self._let_go(lambda head: head.opened <= OPENED_BY_ITSELF)

    def _let_go(self, which: Callable[[Delivery], bool]) -> None:
        """Those of what was tried may go now."""
        rest: list[tuple[int, int, str]] = []
        for entry in self._later:
            head = self._head(entry[2], entry[1])
            if head is None:
                continue
            if head.attempts and which(head):
                self._make_ready(head)
            else:
                rest.append(entry)
        heapq.heapify(rest)
        self._later = rest

    def _has_another(self, batch: Batch) -> bool:
        mine = {delivery.alert_id for delivery in batch.deliveries}
        return any(alert_id not in mine and alert_id not in self._busy for alert_id in self._lanes)
