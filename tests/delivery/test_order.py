"""What a channel sends next: each alert in its order, different ones side by side. Times: microseconds from 0."""

from rmactors.common.clock import MINUTE
from rmactors.server.actors.delivery.queue import CONCURRENT, ENDS_AWAITED
from tests.delivery.queues import AGAIN, OK, delivery, end, failing, names, pick_all, queue


def test_an_alerts_messages_go_out_one_after_the_other() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([delivery(1), delivery(2, event="alert.acknowledged"), delivery(3, event="alert.resolved")])
    first = waiting.pick(0)
    assert names(first) == ["d1"]
    assert waiting.pick(0) is None
    assert waiting.sending == 1
    end(waiting, first, OK, 0)
    second = waiting.pick(0)
    assert names(second) == ["d2"]
    end(waiting, second, OK, 0)
    assert names(waiting.pick(0)) == ["d3"]


def test_an_alert_is_busy_until_the_end_of_its_send_is_on_disk() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, event="alert.acknowledged")])
    first = waiting.pick(0)
    assert first is not None
    result = waiting.settle(first, OK, 0)
    assert waiting.pick(0) is None
    waiting.release(first, result)
    assert names(waiting.pick(0)) == ["d2"]


def test_alerts_go_out_at_the_same_time_in_their_order_up_to_a_limit() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(CONCURRENT + 5)])
    picked = pick_all(waiting, 0)
    assert [batch.main.seq for batch in picked] == list(range(CONCURRENT))
    assert waiting.next_at() is None
    end(waiting, picked[0], OK, 0)
    assert names(waiting.pick(0)) == [f"d{CONCURRENT}"]
    assert len(waiting) == CONCURRENT + 4


def test_a_place_is_free_when_the_receiver_has_answered_and_only_so_many_ends_wait_for_the_disk() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(CONCURRENT + ENDS_AWAITED + 5)])
    picked = pick_all(waiting, 0)
    results = []
    while picked:
        batch = picked.pop(0)
        results.append((batch, waiting.settle(batch, OK, 0)))
        picked += pick_all(waiting, 0)
        assert len(picked) <= CONCURRENT
    assert len(results) == CONCURRENT + ENDS_AWAITED - 1, "those that were sent already are let end"
    assert waiting.next_at() is None
    for batch, result in results:
        waiting.release(batch, result)
    assert len(pick_all(waiting, 0)) == 6


def test_while_it_fails_the_next_probe_waits_for_no_disk() -> None:
    waiting = failing(retry_max=60 * MINUTE)
    waiting.add([delivery(1), delivery(2, "b")])
    probe = waiting.pick(0)
    assert probe is not None
    result = waiting.settle(probe, AGAIN, 0)
    assert result.due_at is not None
    assert waiting.pick(result.due_at - 1) is None
    assert names(waiting.pick(result.due_at)) == ["d2"]


def test_what_is_not_due_waits() -> None:
    waiting = queue()
    waiting.add([delivery(1, due_at=10), delivery(2, "b", due_at=5)])
    assert waiting.pick(4) is None
    assert waiting.next_at() == 5
    assert names(waiting.pick(5)) == ["d2"]
    assert waiting.next_at() == 10


def test_an_empty_queue_waits_for_nothing() -> None:
    assert queue().next_at() is None
    assert queue(failing_since=0).next_at() is None
    assert queue().pick(0) is None
    assert len(queue()) == 0
