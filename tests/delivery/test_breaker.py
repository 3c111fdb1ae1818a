"""After one refusal another message is tried, after a second one a probe at a time. Times: microseconds from 0."""

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.breaker import Breaker
from rmactors.server.actors.delivery.queue import AttemptResult, Batch, DeliveryQueue
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, failing, longest, names, pick_all, queue


def test_one_refusal_lets_another_alert_be_tried_at_once_and_a_second_one_stops_all() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(5)])
    first = waiting.pick(0)
    end(waiting, first, AGAIN, 0)
    assert waiting.breaker.failing_since == 0
    second = waiting.pick(0)
    assert names(second) == ["d1"]
    assert waiting.pick(0) is None  # one probe at a time
    end(waiting, second, AGAIN, 0)
    assert waiting.pick(SECOND - 1) is None
    at = waiting.next_at()
    assert at is not None
    assert at >= SECOND
    assert len(pick_all(waiting, at)) == 1


def test_probes_take_turns_among_the_waiting_alerts() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(4)])
    tried, now = [], 0
    for _ in range(8):
        batch = waiting.pick(now)
        assert batch is not None
        tried.append(batch.main.alert_id)
        end(waiting, batch, AGAIN, now)
        at = waiting.next_at()
        assert at is not None
        now = max(now, at)
    assert tried[:4] == ["a0", "a1", "a2", "a3"]
    assert set(tried[4:]) == {"a0", "a1", "a2", "a3"}


def test_the_queue_drains_when_a_probe_succeeds() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(10)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    end(waiting, waiting.pick(0), AGAIN, 0)
    at = waiting.next_at()
    assert at is not None
    end(waiting, waiting.pick(at), OK, at)
    assert waiting.breaker.failing_since is None
    assert len(pick_all(waiting, at)) == 9  # those that were refused as well


def test_a_permanent_refusal_is_an_answer_too() -> None:
    waiting = queue(failing_since=0)
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c")])
    result = end(waiting, waiting.pick(0), NEVER, 0)
    assert result == AttemptResult(NEVER, None)
    assert waiting.breaker.failing_since is None
    assert len(pick_all(waiting, 0)) == 2


def test_sends_in_flight_when_the_breaker_opens_count_as_one_failure() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(8)])
    for batch in pick_all(waiting, 0):
        end(waiting, batch, AGAIN, 0)
    assert waiting.breaker.failures <= 2


def test_a_message_that_the_receiver_never_likes_holds_up_no_other_and_is_not_tried_in_a_loop() -> None:
    waiting, now, tries, delivered = queue(), 0, 0, 0
    waiting.add([delivery(0, "poison")])
    for n in range(1, 300):
        waiting.add([delivery(n, f"a{n}", created_at=now, due_at=now)])
        while (batch := waiting.pick(now)) is not None:
            bad = batch.main.alert_id == "poison"
            tries += bad
            delivered += not bad
            end(waiting, batch, AGAIN if bad else OK, now)
        now += SECOND // 10
    assert delivered >= 299 - 15  # the last may wait for one pause of the breaker
    assert tries <= 30 / 5 + 8  # its own pauses grow, whatever the others do


def test_a_message_that_the_receiver_never_likes_is_tried_ever_less_often() -> None:
    waiting, now, tries = queue(), 0, 0
    waiting.add([delivery(0, "poison")])
    for n in range(1, 2 * 360):
        waiting.add([delivery(n, f"a{n}", created_at=now, due_at=now)])
        while (batch := waiting.pick(now)) is not None:
            bad = batch.main.alert_id == "poison"
            tries += bad and now > HOUR
            end(waiting, batch, AGAIN if bad else OK, now)
        now += 10 * SECOND
    assert tries <= 61  # once a minute in the second hour


def test_what_is_being_given_up_is_sent_by_nobody() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([delivery(1, due_at=2 * HOUR), delivery(2, "b", created_at=HOUR), delivery(3, "c", due_at=2 * HOUR)])
    probe = waiting.pick(HOUR)
    assert names(probe) == ["d2"]
    late = waiting.expired(HOUR)
    assert {each.id for each in late} == {"d1", "d3"}
    end(waiting, probe, OK, HOUR)
    assert waiting.pick(3 * HOUR) is None
    for each in late:
        waiting.release(Batch(each), AttemptResult(NEVER, None))
    assert len(waiting) == 0


def test_what_is_due_while_it_is_being_given_up_is_not_picked() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([delivery(1, due_at=2 * HOUR)])
    (late,) = waiting.expired(HOUR)
    waiting.breaker.failing_since = None
    assert waiting.pick(2 * HOUR) is None
    waiting.release(Batch(late), AttemptResult(NEVER, None))


def test_a_channel_that_was_failing_before_a_restart_begins_with_one_probe() -> None:
    waiting = queue(failing_since=0)
    waiting.add([delivery(n, f"a{n}") for n in range(5)])
    assert len(pick_all(waiting, HOUR)) == 1


def test_after_a_start_nothing_is_given_up_before_a_probe_has_shown_that_the_receiver_is_still_away() -> None:
    waiting = queue(retry_max=HOUR, failing_since=0)  # the server was off for a day
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c")])
    assert waiting.expired(DAY) == []
    end(waiting, waiting.pick(DAY), OK, DAY)
    assert waiting.expired(DAY + SECOND) == []
    assert [names(batch) for batch in pick_all(waiting, DAY)] == [["d2"], ["d3"]]


def test_after_a_start_a_probe_that_fails_gives_up_what_is_too_old() -> None:
    waiting = queue(retry_max=HOUR, failing_since=0)
    waiting.add([delivery(1), delivery(2, "b"), delivery(3, "c", created_at=DAY)])
    assert end(waiting, waiting.pick(DAY), AGAIN, DAY).attempt.verdict == "dead"
    assert [each.id for each in waiting.expired(DAY + SECOND)] == ["d2"]


def test_the_pause_that_a_restart_interrupted_goes_on_after_it() -> None:
    waiting = DeliveryQueue(Breaker(longest, 0, probe_at=MINUTE), DAY, takes_resolved=True)
    waiting.add([delivery(1, attempts=3, due_at=MINUTE), delivery(2, "b")])
    assert waiting.pick(MINUTE - 1) is None
    assert waiting.next_at() == MINUTE
    assert names(waiting.pick(MINUTE)) == ["d2"]
