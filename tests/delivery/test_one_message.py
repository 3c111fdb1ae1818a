"""What is told together: a raise with its end, what follows for a host within a window. Times: microseconds from 0."""

from dataclasses import replace

import pytest

from rmactors.common.clock import HOUR, MINUTE
from rmactors.server.actors.delivery.queue import ended_by
from rmactors.server.messages.notifications import Attempt
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, grouped, names, pick_all, queue

# ---- one message for a raise and its end


def test_a_resolution_tells_a_raise_that_got_worse_as_well() -> None:
    waiting = queue()
    waiting.add(
        [delivery(1), delivery(2, event="alert.acknowledged"), delivery(3), delivery(4, event="alert.resolved")]
    )
    assert [names(batch) for batch in pick_all(waiting, 0)] == [["d4", "d1", "d2", "d3"]]


def test_a_raise_that_got_worse_is_told_after_what_was_queued_before() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, event="alert.acknowledged"), delivery(3)])
    for name in ("d1", "d2", "d3"):
        batch = waiting.pick(0)
        assert batch is not None
        assert names(batch) == [name]
        end(waiting, batch, OK, 0)


def test_a_resolution_that_is_queued_already_tells_the_raise_as_well() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, event="alert.acknowledged"), delivery(3, event="alert.reminder")])
    waiting.add([delivery(4, event="alert.resolved")])
    batch = waiting.pick(0)
    assert batch is not None
    assert names(batch) == ["d4", "d1", "d2", "d3"]
    assert [end for _, end in batch.carried] == ["superseded"] * 3
    assert not batch.group
    end(waiting, batch, OK, 0)
    assert len(waiting) == 0


@pytest.mark.parametrize("end_of_it", ["alert.acknowledged", "alert.resolved", "alert.raised"])
def test_a_reminder_is_needless_where_news_of_its_alert_waits_behind_it(end_of_it: str) -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([delivery(1), delivery(2, event="alert.reminder"), delivery(3, event=end_of_it)])
    end(waiting, waiting.pick(0), OK, 0)
    batch = waiting.pick(0)
    assert batch is not None
    assert names(batch) == ["d3", "d2"]
    assert [how for _, how in batch.carried] == ["superseded"]
    end(waiting, batch, OK, 0)
    assert len(waiting) == 0


def test_a_reminder_behind_which_nothing_waits_is_sent() -> None:
    waiting = queue()
    waiting.add([delivery(2, event="alert.reminder"), delivery(3, "b", "alert.resolved")])
    assert [names(batch) for batch in pick_all(waiting, 0)] == [["d2"], ["d3"]]


def test_a_channel_that_takes_no_resolutions_is_told_the_raise() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([delivery(1), delivery(2, event="alert.resolved")])
    assert names(waiting.pick(0)) == ["d1"]


def test_an_acknowledgement_behind_a_told_raise_goes_out_on_its_own() -> None:
    waiting = queue()
    waiting.add([delivery(2, event="alert.acknowledged"), delivery(3, event="alert.resolved")])
    assert names(waiting.pick(0)) == ["d2"]


def test_a_raise_in_flight_is_let_finish() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    in_flight = waiting.pick(0)
    waiting.add([delivery(2, event="alert.resolved")])
    end(waiting, in_flight, OK, 0)
    assert names(waiting.pick(0)) == ["d2"]


def test_a_raise_that_was_refused_for_now_goes_with_its_resolution() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    waiting.add([delivery(2, event="alert.resolved")])
    at = waiting.next_at()
    assert at is not None
    assert names(waiting.pick(at)) == ["d2", "d1"]


def test_a_resolution_that_dies_takes_the_raise_along() -> None:
    waiting = queue()
    waiting.add([delivery(1), delivery(2, event="alert.resolved")])
    batch = waiting.pick(0)
    assert batch is not None
    assert ended_by(batch, NEVER) == batch.deliveries
    end(waiting, batch, NEVER, 0)
    assert len(waiting) == 0


def test_a_later_alerts_raise_is_no_part_of_an_earlier_end() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a"), delivery(2, "b"), delivery(3, "a", "alert.resolved")])
    assert [names(batch) for batch in pick_all(waiting, 0)] == [["d3", "d1"], ["d2"]]


# ---- groups


def test_what_follows_within_the_window_goes_out_as_one_message() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a"), grouped(2, "b"), grouped(3, "c"), grouped(4, "d", "elsewhere")])
    end(waiting, waiting.pick(0), OK, 0)
    assert waiting.pick(MINUTE - 1) is None
    together, other = pick_all(waiting, MINUTE)
    assert names(together) == ["d2", "d3"]
    assert together.group
    assert [end for _, end in together.carried] == ["delivered"]
    assert names(other) == ["d4"]
    assert not other.group
    end(waiting, together, OK, MINUTE)
    assert len(waiting) == 1


def test_an_alert_resolved_within_the_window_is_no_part_of_the_group() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c"), grouped(4, "d"), delivery(5, "c", "alert.resolved")])
    picked = {tuple(names(batch)) for batch in pick_all(waiting, MINUTE)}
    assert picked == {("d2", "d4"), ("d5", "d3")}


def test_a_group_is_tried_again_as_a_whole_under_the_same_id() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c")])
    first = waiting.pick(MINUTE)
    end(waiting, first, AGAIN, MINUTE)
    at = waiting.next_at()
    assert at is not None
    second = waiting.pick(at)
    assert second is not None
    assert second.group
    assert names(second) == names(first)
    assert second.main.attempts == 1


def test_each_window_is_a_message_of_its_own_however_long_they_waited() -> None:
    """After a crash nobody knows whether the first one's message was in flight, and what it told."""
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c"), replace(grouped(4, "d"), due_at=2 * MINUTE)])
    assert [names(batch) for batch in pick_all(waiting, HOUR)] == [["d2", "d3"], ["d4"]]


def test_what_joins_a_host_later_is_no_part_of_a_group_that_was_tried_already() -> None:
    """A receiver may drop an id that it knows: under the same id it is told the same."""
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c")])
    end(waiting, waiting.pick(MINUTE), AGAIN, MINUTE)
    waiting.add([grouped(4, "d"), grouped(5, "e")])
    at = waiting.next_at()
    assert at is not None
    fresh = waiting.pick(at)
    assert names(fresh) == ["d4", "d5"]
    end(waiting, fresh, OK, at)
    assert names(waiting.pick(at)) == ["d2", "d3"]


def test_groups_of_two_windows_that_were_refused_in_the_same_instant_stay_two_messages() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c")])
    waiting.add([replace(grouped(n, name), due_at=2 * MINUTE) for n, name in ((4, "d"), (5, "e"))])
    batches = pick_all(waiting, HOUR)
    results = [waiting.settle(batch, AGAIN, HOUR) for batch in batches]
    assert len({result.due_at for result in results}) == 1
    for batch, result in zip(batches, results, strict=True):
        waiting.release(batch, result)
    at = waiting.next_at()
    assert at is not None
    first = waiting.pick(at)
    assert names(first) == ["d2", "d3"]
    end(waiting, first, OK, at)
    assert names(waiting.pick(at)) == ["d4", "d5"]


def test_when_a_groups_first_message_dies_the_others_go_without_it() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c"), grouped(4, "d")])
    first = waiting.pick(MINUTE)
    assert first is not None
    assert ended_by(first, NEVER) == (first.main,)
    end(waiting, first, NEVER, MINUTE)
    assert names(waiting.pick(MINUTE)) == ["d3", "d4"]


def test_a_busy_alert_or_one_of_another_window_is_no_part_of_a_group() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([grouped(2, "b"), delivery(3, "b", "alert.resolved")])
    in_flight = waiting.pick(MINUTE)
    later = replace(grouped(5, "d"), due_at=2 * MINUTE)
    waiting.add([grouped(4, "c"), later])
    assert names(waiting.pick(MINUTE)) == ["d4"]
    end(waiting, in_flight, OK, MINUTE)
    assert names(waiting.pick(MINUTE)) == ["d3"]
    assert names(waiting.pick(2 * MINUTE)) == ["d5"]


def test_a_window_that_ends_while_the_first_is_failing_waits_for_the_breaker() -> None:
    waiting = queue()
    waiting.add([delivery(1, "a"), grouped(2, "b"), grouped(3, "c")])
    end(waiting, waiting.pick(0), AGAIN, 0)
    now = waiting.next_at()
    assert now is not None
    assert names(waiting.pick(now)) == ["d1"]
    assert waiting.pick(MINUTE) is None


# ---- recipients


def test_recipients_that_are_left_are_tried_alone() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    partly = Attempt("retry", 450, 1.0, "mailbox busy", recipients_left=("b@example.org",))
    end(waiting, waiting.pick(0), partly, 0)
    at = waiting.next_at()
    assert at is not None
    batch = waiting.pick(at)
    assert batch is not None
    assert batch.main.recipients_left == ("b@example.org",)
    assert batch.main.attempts == 1


def test_recipients_left_belong_to_the_message_that_was_sent() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c")])
    partly = Attempt("retry", 450, 1.0, "mailbox busy", recipients_left=("b@example.org",))
    end(waiting, waiting.pick(MINUTE), partly, MINUTE)
    at = waiting.next_at()
    assert at is not None
    batch = waiting.pick(at)
    assert batch is not None
    assert [each.recipients_left for each in batch.deliveries] == [("b@example.org",), ()]
