"""What a channel sends next: each alert in its order, different ones side by side. Times: microseconds from 0."""

from rmactors.server.actors.delivery.queue import CONCURRENT
from tests.delivery.queues import OK, delivery, end, names, pick_all, queue


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
