"""Groups over hosts in a channel's queue: who goes with whom, and when. Times: microseconds from 0."""

from dataclasses import replace

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.batch import Batch, ended_by
from rmactors.server.actors.delivery.queue import DeliveryQueue
from rmactors.server.state.delivery import Delivery
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, failing, names, pick_all, queue

RAISED, RESOLVED, ACKNOWLEDGED = "alert.raised", "alert.resolved", "alert.acknowledged"


def shared(seq: int, alert: str, key: str = "K", event: str = RAISED, due_at: int = MINUTE, **more: object) -> Delivery:
    """One of a group over hosts; each alert is of a host of its own."""
    return delivery(seq, alert, event, host_id=f"host of {alert}", grouped=True, group_key=key, due_at=due_at, **more)


def resolved(seq: int, alert: str, due_at: int = HOUR, key: str = "ended 1/K") -> Delivery:
    return shared(seq, alert, key, RESOLVED, due_at)


def sent(waiting: DeliveryQueue, now: int) -> list[list[str]]:
    """What goes out now, each message delivered."""
    batches = pick_all(waiting, now)
    for batch in batches:
        end(waiting, batch, OK, now)
    return [names(batch) for batch in batches]


def is_empty(waiting: DeliveryQueue) -> bool:
    """Nothing is left, after times of which nothing comes any more."""
    return not pick_all(waiting, DAY) and len(waiting) == 0 and not waiting._groups._due and waiting.next_at() is None


# ---- raises


def test_what_follows_on_other_hosts_goes_as_one_message_at_the_end_of_the_window() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a", group_key="K"), *(shared(n, f"b{n}") for n in range(2, 41))])
    assert sent(waiting, 0) == [["d1"]]
    assert waiting.next_at() == MINUTE
    assert sent(waiting, MINUTE - 1) == []
    assert sent(waiting, MINUTE) == [[f"d{n}" for n in range(2, 41)]]
    assert is_empty(waiting)


def test_one_alone_at_the_end_of_the_window_is_an_ordinary_message() -> None:
    waiting = queue()
    waiting.add([shared(2, "b")])
    (batch,) = pick_all(waiting, MINUTE)
    assert batch == Batch(shared(2, "b"))


def test_two_groups_are_two_messages_and_a_hosts_own_group_is_none_of_them() -> None:
    waiting = queue()
    own = [replace(shared(n, f"c{n}"), group_key="", host_id="host of a") for n in (5, 6)]
    waiting.add([shared(1, "a"), shared(2, "b", "L"), shared(3, "c"), shared(4, "d", "L"), *own])
    assert sorted(sent(waiting, MINUTE)) == [["d1", "d3"], ["d2", "d4"], ["d5", "d6"]]
    assert is_empty(waiting)


def test_a_window_of_a_host_takes_nothing_of_a_group_over_hosts_along() -> None:
    waiting = queue()
    waiting.add([replace(shared(1, "a"), group_key="", host_id="h"), replace(shared(2, "b"), host_id="h")])
    assert sorted(sent(waiting, MINUTE)) == [["d1"], ["d2"]]


def test_what_was_given_up_is_not_taken_along() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([shared(1, "a"), shared(2, "b", created_at=HOUR), shared(3, "c", created_at=HOUR)])
    (late,) = waiting.expired(HOUR)
    end(waiting, Batch(late), NEVER, HOUR)
    assert late.id == "d1"
    assert names(waiting.pick(HOUR)) == ["d2", "d3"]


def test_what_was_tried_is_tried_again_under_its_id_with_nothing_new() -> None:
    waiting = queue()
    waiting.add([shared(2, "b"), shared(3, "c")])
    end(waiting, waiting.pick(MINUTE), AGAIN, MINUTE)
    waiting.add([shared(4, "d"), shared(5, "e")])
    at = waiting.next_at()
    assert at is not None
    messages = []
    while (batch := waiting.pick(at)) is not None:
        messages.append(names(batch))
        end(waiting, batch, OK, at)
    assert sorted(messages) == [["d2", "d3"], ["d4", "d5"]]
    assert is_empty(waiting)


def test_what_is_refused_for_the_first_goes_without_it() -> None:
    waiting = queue()
    waiting.add([shared(2, "b"), shared(3, "c"), shared(4, "d")])
    end(waiting, waiting.pick(MINUTE), NEVER, MINUTE)
    assert sent(waiting, MINUTE) == [["d3", "d4"]]


# ---- resolutions


def test_resolutions_wait_for_the_last_and_go_with_it() -> None:
    waiting = queue()
    waiting.add([resolved(1, "a"), resolved(2, "b")])
    assert waiting.next_at() == HOUR
    waiting.add([resolved(3, "c", due_at=MINUTE)])
    assert waiting.next_at() == MINUTE
    assert sent(waiting, MINUTE) == [["d1", "d2", "d3"]]
    assert is_empty(waiting)


def test_resolutions_do_not_wait_for_longer_than_said() -> None:
    waiting = queue()
    waiting.add([resolved(1, "a"), resolved(2, "b")])
    assert sent(waiting, HOUR - 1) == []
    assert sent(waiting, HOUR) == [["d1", "d2"]]


def test_a_raise_that_was_not_sent_yet_is_told_with_its_end_when_the_group_is() -> None:
    waiting = queue()
    waiting.add([shared(1, "a"), shared(2, "b"), shared(3, "c"), resolved(4, "a")])
    assert sent(waiting, MINUTE) == [["d2", "d3"]]  # what is over is not raised any more
    waiting.add([resolved(5, "b"), resolved(6, "c", due_at=2 * MINUTE)])
    (batch,) = pick_all(waiting, 2 * MINUTE)
    assert [(each.id, how) for each, how in batch.carried] == [
        ("d1", "superseded"), ("d5", "delivered"), ("d6", "delivered"),
    ]  # fmt: skip
    assert [each.id for each in batch.members] == ["d4", "d5", "d6"]
    end(waiting, batch, OK, 2 * MINUTE)
    assert is_empty(waiting)


def test_what_began_and_ended_within_the_window_is_one_message_at_its_end() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a", group_key="K"), *(shared(n, f"b{n}") for n in range(2, 41))])
    assert sent(waiting, 0) == [["d1"]]
    waiting.add([resolved(41, "a"), *(resolved(40 + n, f"b{n}") for n in range(2, 40))])
    waiting.add([resolved(80, "b40", due_at=MINUTE)])
    assert sent(waiting, MINUTE - 1) == []
    (batch,) = pick_all(waiting, MINUTE)
    assert len(batch.members) == 40
    end(waiting, batch, OK, MINUTE)
    assert is_empty(waiting)


def test_a_raise_in_flight_is_let_finish_before_the_end_is_told() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a", group_key="K"), resolved(2, "b")])
    raised = waiting.pick(0)
    waiting.add([resolved(3, "a", due_at=SECOND)])
    assert pick_all(waiting, SECOND) == []
    end(waiting, raised, OK, 2 * SECOND)
    assert sent(waiting, 2 * SECOND) == [["d2", "d3"]]


def test_a_raise_that_is_retried_waits_with_its_end() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a", group_key="K")])
    end(waiting, waiting.pick(0), AGAIN, 0)
    waiting.add([resolved(2, "a")])
    assert pick_all(waiting, MINUTE) == []
    assert sent(waiting, HOUR) == [["d2", "d1"]]


def test_a_refused_end_takes_its_raise_along_and_the_others_go_without_it() -> None:
    waiting = queue()
    waiting.add([shared(1, "a", due_at=HOUR), resolved(2, "a"), resolved(3, "b"), resolved(4, "c", due_at=MINUTE)])
    batch = waiting.pick(MINUTE)
    assert names(batch) == ["d2", "d1", "d3", "d4"]
    assert batch is not None
    assert [each.id for each in ended_by(batch, NEVER)] == ["d2", "d1"]
    end(waiting, batch, NEVER, MINUTE)
    assert sent(waiting, MINUTE) == [["d3", "d4"]]
    assert is_empty(waiting)


def test_ends_that_were_tried_are_told_nothing_new_under_the_same_id() -> None:
    waiting = queue()
    waiting.add([resolved(1, "a"), resolved(2, "b", due_at=MINUTE)])
    end(waiting, waiting.pick(MINUTE), AGAIN, MINUTE)
    waiting.add([resolved(3, "c", due_at=MINUTE), resolved(4, "d", key="ended 2/K")])
    at = waiting.next_at()
    assert at is not None
    together = []
    while (batch := waiting.pick(at)) is not None:
        together.append(names(batch))
        end(waiting, batch, OK, at)
    assert sorted(together) == [["d1", "d2"], ["d3"]]


def test_a_new_start_finds_the_same_messages() -> None:
    stored = [shared(1, "a"), shared(2, "b"), resolved(3, "a"), resolved(4, "b", due_at=MINUTE)]
    for cut in range(len(stored) + 1):
        waiting = queue()
        waiting.add(stored[:cut])
        waiting.add(stored[cut:])
        (batch,) = pick_all(waiting, MINUTE)
        assert [each.id for each in batch.members] == ["d3", "d4"]


def test_a_channel_that_takes_no_resolutions_is_told_the_raises() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([shared(1, "a"), shared(2, "b"), resolved(3, "a", due_at=MINUTE)])
    assert sent(waiting, MINUTE)[0] == ["d1", "d2"]


# ---- acknowledgements and reminders


@pytest.mark.parametrize("news", [RESOLVED, RAISED])
def test_an_acknowledgement_that_waits_holds_back_nothing_that_makes_it_needless(news: str) -> None:
    waiting = queue()
    waiting.add([shared(1, "a", "acknowledged", ACKNOWLEDGED, due_at=HOUR)])
    assert sent(waiting, MINUTE) == []
    waiting.add([delivery(2, "a", news, host_id="host of a", due_at=MINUTE)])
    assert sent(waiting, MINUTE) == [["d2", "d1"]]
    assert is_empty(waiting)


def test_an_acknowledgement_that_waits_for_nobody_is_sent_before_the_end() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a", ACKNOWLEDGED), delivery(2, "a", RESOLVED)])
    assert sent(waiting, 0) == [["d1"]]
    assert sent(waiting, 0) == [["d2"]]


def test_acknowledgements_go_together() -> None:
    waiting = queue()
    waiting.add([shared(n, f"a{n}", "acknowledged", ACKNOWLEDGED) for n in (1, 2, 3)])
    assert sent(waiting, MINUTE) == [["d1", "d2", "d3"]]


def test_reminders_go_together_but_for_those_that_are_needless() -> None:
    waiting = queue()
    waiting.add([shared(n, f"a{n}", "reminded", "alert.reminder", due_at=0) for n in (1, 2, 3)])
    waiting.add([shared(4, "a2", "acknowledged", ACKNOWLEDGED)])
    assert sent(waiting, 0) == [["d1", "d3"]]
    assert sent(waiting, MINUTE) == [["d4", "d2"]]
    assert is_empty(waiting)


def test_what_was_given_up_leaves_its_group() -> None:
    waiting = queue(retry_max=HOUR, failing_since=0)
    waiting.breaker.failures = 1
    waiting.add([resolved(1, "a", due_at=2 * HOUR), shared(2, "b", created_at=HOUR, due_at=2 * HOUR)])
    (late,) = waiting.expired(HOUR)
    assert late.id == "d1"
    end(waiting, Batch(late), NEVER, HOUR)
    assert len(waiting) == 1


def test_what_is_in_flight_is_no_part_of_a_group() -> None:
    waiting = queue()
    waiting.add([shared(1, "a"), shared(2, "b")])
    in_flight = waiting.pick(MINUTE)
    waiting.add([resolved(3, "a", due_at=MINUTE), resolved(4, "c", due_at=MINUTE)])
    assert sent(waiting, MINUTE) == [["d4"]]
    end(waiting, in_flight, OK, MINUTE)
    assert sent(waiting, MINUTE) == [["d3"]]
    assert is_empty(waiting)
