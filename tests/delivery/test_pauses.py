"""When a channel tries again, and for how long. Times are microseconds from 0."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.breaker import pause
from rmactors.server.actors.delivery.queue import AttemptResult, Batch
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, failing, longest, names, pick_all, queue


@pytest.mark.parametrize(
    ("failures", "failing_for", "expected"),
    [
        (1, 0, 1.5),
        (2, 0, 2.25),
        (3, 0, 3.375),
        (4, 0, 5.0),  # in the first ten minutes no longer than this
        (50, 10 * MINUTE - 1, 5.0),
        (8, 10 * MINUTE, 1.5**8),
        (11, 10 * MINUTE, 60.0),
        (10_000, 20 * HOUR, 60.0),
    ],
)
def test_pauses_grow(failures: int, failing_for: int, expected: float) -> None:
    assert pause(failures, failing_for, longest) == round(expected * SECOND)


@given(st.integers(1, 1000), st.integers(0, 3 * DAY), st.floats(0, 1))
def test_a_pause_is_never_shorter_than_a_second_nor_longer_than_its_cap(
    failures: int, since: int, where: float
) -> None:
    length = pause(failures, since, lambda low, high: low + (high - low) * where)
    assert SECOND <= length <= (5 if since < 10 * MINUTE else 60) * SECOND


def outage(length: int, alerts: int) -> tuple[int, int]:
    """(tries, microseconds from its end to the first success) of a receiver that is away for `length`."""
    waiting, now, tries = queue(), 0, 0
    waiting.add([delivery(n, f"a{n}") for n in range(alerts)])
    while True:
        for batch in pick_all(waiting, now):
            tries += 1
            if now >= length:
                return tries, now - length
            end(waiting, batch, AGAIN, now)
        at = waiting.next_at()
        assert at is not None
        now = max(now, at)


def test_a_short_outage_costs_few_tries() -> None:
    tries, _ = outage(20 * SECOND, 1000)
    assert tries <= 100


@pytest.mark.parametrize("length", [5 * SECOND, MINUTE, 10 * MINUTE - 6 * SECOND])
def test_after_an_outage_of_minutes_delivery_begins_within_seconds(length: int) -> None:
    _, late = outage(length, 50)
    assert late <= 5 * SECOND


def test_after_an_outage_of_hours_delivery_begins_within_a_minute() -> None:
    tries, late = outage(5 * HOUR, 50)
    assert late <= MINUTE
    assert tries < 10 * 60 + 5 * 60 + 50


def test_retry_after_is_kept() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, "b")])
    result = end(waiting, waiting.pick(0), replace(AGAIN, retry_at=90 * SECOND), 0)
    assert result.due_at == 90 * SECOND
    assert waiting.pick(90 * SECOND - 1) is None  # no other alert either: the receiver asked for quiet
    assert waiting.next_at() == 90 * SECOND
    assert len(pick_all(waiting, 90 * SECOND)) == 1


def test_the_success_of_a_send_that_was_in_flight_does_not_end_the_quiet_that_the_receiver_asked_for() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c")])
    first, second, third = pick_all(waiting, 0)
    end(waiting, first, replace(AGAIN, retry_at=90 * SECOND), 0)
    end(waiting, second, OK, SECOND)
    assert end(waiting, third, AGAIN, 2 * SECOND).due_at == 90 * SECOND
    waiting.add([delivery(4, "d")])
    assert waiting.pick(90 * SECOND - 1) is None
    assert waiting.next_at() == 90 * SECOND
    assert names(waiting.pick(90 * SECOND)) == ["d4"]  # the breaker is open since the third: one at a time
    assert waiting.pick(90 * SECOND) is None


def test_quiet_ends_for_all_at_once_where_a_success_has_closed_the_breaker() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c")])
    first, second, third = pick_all(waiting, 0)
    end(waiting, first, replace(AGAIN, retry_at=90 * SECOND), 0)
    end(waiting, second, OK, SECOND)
    end(waiting, third, OK, SECOND)
    waiting.add([delivery(4, "d")])
    assert waiting.pick(89 * SECOND) is None
    assert waiting.next_at() == 90 * SECOND
    assert {*map(tuple, map(names, pick_all(waiting, 90 * SECOND)))} == {("d1",), ("d4",)}


def test_retry_after_in_the_past_shortens_no_pause() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    assert end(waiting, waiting.pick(SECOND), replace(AGAIN, retry_at=0), SECOND).due_at == SECOND + round(1.5 * SECOND)


def test_retry_after_beyond_the_end_of_retries_is_cut_there() -> None:
    waiting = queue(retry_max=HOUR)
    waiting.add([delivery(1, created_at=5)])
    result = end(waiting, waiting.pick(10), replace(AGAIN, retry_at=30 * DAY), 10)
    assert result.due_at == HOUR + 5
    last = end(waiting, waiting.pick(HOUR + 5), replace(AGAIN, retry_at=30 * DAY), HOUR + 5)
    assert last.attempt.verdict == "dead"


def test_what_was_retried_for_long_enough_is_dead_and_says_so() -> None:
    waiting = queue(retry_max=HOUR)
    waiting.add([delivery(1)])
    result = end(waiting, waiting.pick(HOUR), AGAIN, HOUR)
    assert result.attempt.verdict == "dead"
    assert result.attempt.error == "gave up after 3600 s: unavailable"
    assert len(waiting) == 0


def test_what_waited_behind_a_failing_channel_for_too_long_is_given_up_untried() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([delivery(1), delivery(2, "b", created_at=HOUR), delivery(3, "c")])
    assert waiting.expired(HOUR - 1) == []
    late = waiting.expired(HOUR + SECOND)
    assert {each.id for each in late} == {"d1", "d3"}
    assert waiting.expired(HOUR + SECOND) == []  # looked at a moment ago, and busy
    assert waiting.expired(HOUR + 3 * SECOND) == []
    for each in late:
        waiting.release(Batch(each), AttemptResult(NEVER, None))
    assert len(waiting) == 1
    assert queue(retry_max=0).expired(DAY) == []  # not failing: it is simply sent
