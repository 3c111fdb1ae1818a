"""A receiver has a message and takes its time to answer: who waits, and who does not. Times: microseconds from 0."""

from dataclasses import replace

from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.actors.delivery.queue import ANSWERS_AWAITED, CONCURRENT
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, failing, grouped, names, pick_all, queue


def test_what_was_set_aside_leaves_its_place_to_the_next_and_keeps_its_alert() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(CONCURRENT + 1)])
    first, *others = pick_all(waiting, 0)
    waiting.add([delivery(100, "a0", "alert.resolved")])
    assert (len(others), waiting.places) == (CONCURRENT - 1, CONCURRENT)
    waiting.set_aside(first)
    assert [names(batch) for batch in pick_all(waiting, 0)] == [[f"d{CONCURRENT}"]]
    assert waiting.sending == CONCURRENT + 1
    for batch in others:
        end(waiting, batch, OK, 0)
    assert waiting.pick(MINUTE) is None, "the resolution waits for what becomes of the raise"
    end(waiting, first, OK, MINUTE)
    assert names(waiting.pick(MINUTE)) == ["d100"]


def test_of_what_was_set_aside_there_is_a_limit() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(ANSWERS_AWAITED + 5)])
    aside = []
    while (batch := waiting.pick(0)) is not None:
        waiting.set_aside(batch)
        aside.append(batch)
    assert len(aside) == ANSWERS_AWAITED
    assert waiting.next_at() is None
    end(waiting, aside[7], OK, 0)
    assert names(waiting.pick(0)) == [f"d{ANSWERS_AWAITED}"]


def test_a_group_is_one_message_however_many_it_tells_of() -> None:
    waiting = queue()
    waiting.add([grouped(n, f"a{n}") for n in range(ANSWERS_AWAITED + 5)])
    group = waiting.pick(MINUTE)
    assert group is not None
    waiting.set_aside(group)
    assert waiting.places == 0
    waiting.add([delivery(100, "b")])
    assert names(waiting.pick(MINUTE)) == ["d100"]


def test_setting_aside_says_nothing_about_the_channel() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    first = waiting.pick(0)
    assert first is not None
    waiting.set_aside(first)
    assert waiting.breaker.failing_since is None
    result = end(waiting, first, AGAIN, 10 * MINUTE)
    assert result.attempt.verdict == "retry"
    assert waiting.breaker.failing_since == 10 * MINUTE, "but no answer in the end is a failure"
    assert waiting.places == 0


def test_a_probe_that_is_set_aside_lets_the_next_one_go() -> None:
    waiting = failing(retry_max=60 * MINUTE)
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c")])
    probe = waiting.pick(0)
    assert probe is not None
    assert waiting.pick(0) is None
    waiting.set_aside(probe)
    second = waiting.pick(0)
    assert names(second) == ["d2"]
    assert waiting.pick(0) is None
    end(waiting, second, AGAIN, 0)
    assert waiting.breaker.failures == 2
    end(waiting, probe, OK, SECOND)
    assert waiting.breaker.failing_since is None


def test_what_was_set_aside_and_failed_beside_a_probe_makes_no_pause_longer() -> None:
    waiting = failing(retry_max=60 * MINUTE)
    waiting.add([delivery(1), delivery(2, "b")])
    first = waiting.pick(0)
    assert first is not None
    waiting.set_aside(first)
    second = waiting.pick(0)
    end(waiting, first, AGAIN, 0)
    assert waiting.breaker.failures == 1
    end(waiting, second, NEVER, 0)


def test_what_was_set_aside_is_not_given_up() -> None:
    waiting = failing(retry_max=MINUTE)
    waiting.add([delivery(1), replace(delivery(2, "b"), due_at=10 * MINUTE)])
    probe = waiting.pick(0)
    assert probe is not None
    waiting.set_aside(probe)
    assert [each.id for each in waiting.expired(2 * MINUTE)] == ["d2"]
    assert end(waiting, probe, OK, 3 * MINUTE).attempt.verdict == "delivered"
