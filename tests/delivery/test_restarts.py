"""A channel's queue through restarts: whatever is cut off, lost on the way or refused, nothing is lost, each alert's
order is kept, and what was once told under an id never grows, so that a receiver may drop an id that it knows.

The table and the receiver are models; the queue is the real one.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.common.clock import DAY, SECOND
from rmactors.server.actors.delivery.breaker import Breaker
from rmactors.server.actors.delivery.queue import Batch, DeliveryQueue, ended_by
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Delivery

WINDOW = 5 * SECOND
NEXT = {"": "alert.raised", "alert.raised": "alert.acknowledged", "alert.acknowledged": "alert.reminder",
        "alert.reminder": "alert.resolved"}  # fmt: skip
ANSWERS = {
    "ok": Attempt("delivered", 204, 1.0),
    "ok, but nobody hears it": Attempt("retry", None, 1.0, "no answer within 5 s"),
    "later": Attempt("retry", 503, 1.0, "unavailable"),
    "wait": Attempt("retry", 429, 1.0, "too many", retry_at=7 * SECOND),
    "never": Attempt("dead", 400, 1.0, "no"),
    "perhaps never": Attempt("dead", 404, 1.0, "not found", in_doubt=True),
}


@dataclass
class World:
    """The table of queued deliveries, the receiver, and the queue of the process that runs at the moment."""

    chance: random.Random
    takes_resolved: bool
    now: int = 0
    rows: dict[str, Delivery] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    heard: dict[str, list[frozenset[str]]] = field(default_factory=lambda: defaultdict(list))
    order: list[str] = field(default_factory=list)
    windows: dict[str, int] = field(default_factory=dict)
    in_flight: list[Batch] = field(default_factory=list)
    failing_since: int | None = None
    last_tried: str = ""

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        last = self.rows.get(self.last_tried)
        breaker = Breaker(self.chance.uniform, self.failing_since, probe_at=last.due_at if last else 0)
        self.queue = DeliveryQueue(breaker, DAY, self.takes_resolved)
        self.queue.add(sorted(self.rows.values(), key=lambda row: row.seq))

    def arrives(self, seq: int, alert: str, event: str, grouping: bool) -> None:
        host, due, grouped = f"host of {alert[0]}", self.now, False
        if grouping and event == "alert.raised":
            until = self.windows.get(host, 0)
            due, grouped = (until, True) if until > self.now else (self.now, False)
            if not grouped:
                self.windows[host] = self.now + WINDOW
        delivery = Delivery(f"d{seq}", alert, host, event, seq, "{}", 0, self.now, due, grouped)
        self.rows[delivery.id] = delivery
        self.queue.add([delivery])

    def hears(self, batch: Batch) -> None:
        self.heard[batch.main.id].append(frozenset(delivery.id for delivery in batch.deliveries))
        self.order += [delivery.id for delivery in ([batch.main] if not batch.group else batch.deliveries)]

    def send(self) -> None:
        while (batch := self.queue.pick(self.now)) is not None:
            self.in_flight.append(batch)
            if self.chance.random() > 0.8:  # its receiver takes its time to answer
                self.queue.set_aside(batch)

    def end_one(self, word: str) -> None:
        batch = self.in_flight.pop(self.chance.randrange(len(self.in_flight)))
        if word.startswith("ok"):
            self.hears(batch)
        result = self.queue.settle(batch, ANSWERS[word], self.now)
        self.last_tried = batch.main.id
        if result.attempt.verdict == "retry":
            self.failing_since = self.failing_since if self.failing_since is not None else self.now
            assert result.due_at is not None
            row = self.rows[batch.main.id]
            self.rows[row.id] = replace(row, attempts=row.attempts + 1, due_at=result.due_at, grouped=False)
        else:
            self.failing_since = None if word == "ok" else self.failing_since
            for delivery in ended_by(batch, result.attempt):
                assert delivery.id not in self.ended, "ends once"
                self.ended[delivery.id] = result.attempt.verdict
                del self.rows[delivery.id]
        self.queue.release(batch, result)

    def crash(self) -> None:
        for batch in self.in_flight:
            if self.chance.random() < 0.5:
                self.hears(batch)
        self.in_flight.clear()
        self.start()


@settings(max_examples=400, deadline=None)
@given(
    alerts=st.lists(st.sampled_from([*(f"a{n}" for n in range(8)), "b1"]), min_size=1, max_size=20),
    answers=st.lists(st.sampled_from(list(ANSWERS)), max_size=40),
    crashes=st.integers(0, 6),
    grouping=st.booleans(),
    takes_resolved=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_over_restarts_and_no_id_ever_tells_more(
    alerts: list[str], answers: list[str], crashes: int, grouping: bool, takes_resolved: bool, chance: random.Random
) -> None:
    world = World(chance, takes_resolved)
    events: dict[str, str] = defaultdict(str)
    arriving, alert_of = list(enumerate(alerts)), {f"d{seq}": alert for seq, alert in enumerate(alerts)}
    for _ in range(5000):
        if arriving and chance.random() < 0.4:
            seq, alert = arriving.pop(0)
            events[alert] = NEXT.get(events[alert], "alert.resolved")
            world.arrives(seq, alert, events[alert], grouping)
        world.send()
        if crashes and chance.random() < 0.15:
            crashes -= 1
            world.crash()
        elif world.in_flight:
            world.end_one(answers.pop(0) if answers else "ok")
        elif not arriving and not world.rows:
            break
        else:
            world.now = max(world.now + SECOND // 4, world.queue.next_at() or 0)
    assert set(world.ended) == set(alert_of), "nothing is lost"
    for told in world.heard.values():
        assert all(again <= told[0] for again in told), "a receiver that drops a known id would miss something"
    for alert in set(alerts):
        first_heard = [id for id in dict.fromkeys(world.order) if alert_of[id] == alert]
        assert first_heard == sorted(first_heard, key=lambda id: int(id[1:])), "in order"
