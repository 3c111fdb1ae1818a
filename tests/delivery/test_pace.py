"""A receiver that says "too many requests" is not flooded, and one that never does is never slowed down.

Times are microseconds from 0, on a clock of its own. The strict receivers count tokens as ntfy does: so many saved up,
and one more every few seconds; what comes without one is refused.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from rmactors.common.clock import HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.pace import FORGOTTEN_AFTER, LONGEST_GAP, Pace
from rmactors.server.actors.delivery.queue import CONCURRENT, Batch
from rmactors.server.messages.notifications import Attempt
from tests.delivery.queues import AGAIN, OK, delivery, end, names, pick_all, queue

TOO_MANY = Attempt("retry", 429, 1.0, "limit reached: too many requests")


@dataclass
class Limiter:
    """A bucket of tokens. `refused` and `taken` are when."""

    burst: int = 60
    every: int = 5 * SECOND
    says: Callable[[int], Attempt] = lambda _: TOO_MANY
    tokens: float = field(init=False)
    looked_at: int = 0
    refused: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def answer(self, now: int) -> Attempt:
        self.tokens = min(self.burst, self.tokens + (now - self.looked_at) / self.every)
        self.looked_at = now
        if self.tokens < 1:
            self.refused.append(now)
            return self.says(now)
        self.tokens -= 1
        self.taken.append(now)
        return OK


def drain(limiter: Limiter, arrivals: list[int], latency: int = SECOND // 10) -> int:
    """Send what arrives, one alert each; gives when the last one was delivered."""
    waiting, now, flying = queue(), 0, []
    coming = [(at, n) for n, at in enumerate(sorted(arrivals))]
    while coming or flying or len(waiting):
        while coming and coming[0][0] <= now:
            at, n = coming.pop(0)
            waiting.add([delivery(n + 1, f"a{n}", created_at=at, due_at=at)])
        for batch in pick_all(waiting, now):
            heapq.heappush(flying, (now + latency, batch.main.seq, batch, limiter.answer(now)))
        assert len(flying) <= CONCURRENT
        wake = [at for at in (waiting.next_at(), coming[0][0] if coming else None) if at is not None]
        if flying and (not wake or flying[0][0] <= max(min(wake), now)):
            now, _, batch, attempt = heapq.heappop(flying)
            end(waiting, batch, attempt, now)
        else:
            now = max(now, min(wake))
    return now


def test_a_rate_limited_receiver_is_asked_little_more_often_than_it_takes_messages() -> None:
    limiter = Limiter()
    ended = drain(limiter, [0] * 300)
    assert len(limiter.taken) == 300
    # 60 at once, with what was in flight when it said no; then little more than one request a message.
    assert len(limiter.refused) <= CONCURRENT + 0.3 * 240
    assert ended <= 1.5 * 240 * 5 * SECOND, "what it gives is used"


def test_a_steady_stream_at_the_limit_keeps_up() -> None:
    limiter = Limiter()
    ended = drain(limiter, [n * 11 * SECOND // 2 for n in range(400)])  # 11 a minute
    assert len(limiter.refused) == 0
    assert ended <= 400 * 11 * SECOND // 2


def test_a_minute_of_a_storm_is_no_flood_of_requests() -> None:
    limiter = Limiter()
    drain(limiter, [0] * 200)
    busiest = max(sum(1 for at in limiter.refused if start <= at < start + MINUTE) for start in limiter.refused)
    assert busiest <= CONCURRENT + 12, "285 requests in a minute were seen before"
    later = [at for at in limiter.refused if at > 2 * MINUTE]
    assert len(later) <= 0.3 * len([at for at in limiter.taken if at > 2 * MINUTE])


@pytest.mark.parametrize(("burst", "every"), [(1, SECOND), (5, SECOND // 2), (30, 2 * SECOND), (20, 3 * SECOND)])
def test_whatever_its_limits_are(burst: int, every: int) -> None:
    limiter = Limiter(burst, every)
    ended = drain(limiter, [0] * 200)
    assert len(limiter.taken) == 200
    assert len(limiter.refused) <= CONCURRENT + 0.35 * (200 - burst) + 5
    assert ended <= 2 * (200 - burst) * every + 30 * SECOND


def test_one_that_says_how_long_is_asked_no_sooner() -> None:
    limiter = Limiter(says=lambda now: replace(TOO_MANY, retry_at=now + 7 * SECOND))
    drain(limiter, [0] * 100)
    for refused in limiter.refused[CONCURRENT:]:
        assert not [at for at in limiter.taken if refused < at < refused + 7 * SECOND]
    assert len(limiter.refused) <= CONCURRENT + 0.3 * 40


def test_one_that_never_says_so_is_given_as_many_at_once_as_ever() -> None:
    limiter = Limiter(burst=10_000)
    assert drain(limiter, [0] * 1600) == 1600 // CONCURRENT * (SECOND // 10)


def test_an_outage_leaves_no_gap() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(20)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    end(waiting, waiting.pick(0), OK, 0)
    assert len(pick_all(waiting, 0)) == CONCURRENT


def test_after_one_429_another_alerts_message_is_no_better_and_waits_too() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(3)])
    end(waiting, waiting.pick(0), TOO_MANY, 0)
    assert waiting.pick(SECOND - 1) is None


def test_a_429_is_not_held_against_its_message() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a"), delivery(2, "b")])
    assert end(waiting, waiting.pick(0), TOO_MANY, 0).opened == 0
    assert end(waiting, waiting.pick(2 * SECOND), OK, 2 * SECOND)
    assert end(waiting, waiting.pick(4 * SECOND), AGAIN, 4 * SECOND).opened == 1


def test_after_a_429_and_a_success_one_goes_at_a_time_and_then_ever_more() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(200)])
    end(waiting, waiting.pick(0), TOO_MANY, 0)
    now, gaps = 2 * SECOND, []
    while len(waiting):
        [*batches] = pick_all(waiting, now)
        for batch in batches:
            end(waiting, batch, OK, now)
        at = waiting.next_at()
        if at is not None and len(batches) == 1:
            gaps.append(at - now)
        now = now if at is None else at
    assert gaps == sorted(gaps, reverse=True)
    assert max(gaps) <= SECOND
    assert now <= 12 * SECOND, "it is at its full pace after ten seconds"


def test_what_was_in_flight_when_it_said_no_slows_it_down_once() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(CONCURRENT)])
    for n, batch in enumerate(pick_all(waiting, 0)):
        end(waiting, batch, TOO_MANY if n % 2 == 0 else OK, n)
    assert waiting.breaker.pace.gap == SECOND


def test_the_gap_has_a_longest_and_is_forgotten_in_time() -> None:
    pace = Pace()
    for n in range(20):
        pace.refused(n * MINUTE)
    assert pace.gap == LONGEST_GAP
    pace.sent(19 * MINUTE + FORGOTTEN_AFTER - 1)
    assert pace.gap == LONGEST_GAP
    pace.sent(19 * MINUTE + FORGOTTEN_AFTER)
    assert (pace.gap, pace.free_at) == (0, 19 * MINUTE + FORGOTTEN_AFTER)


def test_a_receiver_that_refuses_for_hours_is_tried_as_often_as_any_other() -> None:
    waiting, now, tries = queue(), 0, 0
    waiting.add([delivery(n, f"a{n}") for n in range(5)])
    while now < 5 * HOUR:
        batch: Batch | None = waiting.pick(now)
        assert names(batch)
        tries += 1
        end(waiting, batch, TOO_MANY, now)
        at = waiting.next_at()
        assert at is not None
        assert at - now <= (5 if now < 10 * MINUTE else 60) * SECOND
        now = at
    assert tries <= 10 * 60 + 5 * 60
