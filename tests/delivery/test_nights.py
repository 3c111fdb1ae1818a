"""Quiet hours: what waits for their end, what does not, and what goes as one message then. They are from 22:00 to 07:00
UTC; times are hours of a day."""

from datetime import time

import pytest

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.queue import Batch, DeliveryQueue
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.state.delivery import Delivery
from tests.delivery.queues import AGAIN, NEVER, OK, delivery, end, names, pick_all, queue

QUIET = QuietHours("UTC", time(22), time(7), frozenset(range(7)))
EVENING, NIGHT, MORNING = 21 * HOUR, 23 * HOUR, DAY + 7 * HOUR


def quiet(**changes: object) -> DeliveryQueue:
    return queue(quiet=QUIET, **changes)  # type: ignore[arg-type]


def made(seq: int, alert: str, event: str = "alert.raised", at: int = NIGHT, **changes: object) -> Delivery:
    return delivery(seq, alert, event, **({"created_at": at, "due_at": at} | changes))


def ends(batch: Batch | None) -> list[tuple[str, str]]:
    assert batch is not None
    return [(batch.main.id, "main"), *((each.id, end) for each, end in batch.carried)]


# ---- what waits, and what does not


def test_before_and_after_them_nothing_waits() -> None:
    waiting = quiet()
    waiting.add([made(1, "a", at=EVENING)])
    assert names(waiting.pick(EVENING)) == ["d1"]
    waiting.add([made(2, "b", at=MORNING)])
    assert names(waiting.pick(MORNING)) == ["d2"]


@pytest.mark.parametrize("event", ["alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder"])
def test_in_them_everything_waits_but_what_is_loud(event: str) -> None:
    waiting = quiet()
    waiting.add([made(1, "a", event), made(2, "b", event, loud=True)])
    assert names(waiting.pick(NIGHT)) == ["d2"]
    assert waiting.pick(NIGHT) is None
    assert waiting.next_at() == MORNING
    assert waiting.pick(MORNING - 1) is None
    assert names(waiting.pick(MORNING)) == ["d1"]


def test_what_was_due_before_them_and_could_not_be_sent_waits_too() -> None:
    waiting = quiet()
    waiting.add([made(1, "a", at=EVENING)])
    end(waiting, waiting.pick(EVENING), AGAIN, 22 * HOUR - 1)
    assert waiting.pick(NIGHT) is None
    assert names(waiting.pick(MORNING)) == ["d1"]


def test_what_gets_critical_goes_out_with_what_waits_before_it() -> None:
    waiting = quiet()
    waiting.add([made(1, "a")])
    assert waiting.pick(NIGHT) is None
    waiting.add([made(2, "a", loud=True)])
    first = waiting.pick(NIGHT)
    assert names(first) == ["d1"]
    end(waiting, first, OK, NIGHT)
    assert names(waiting.pick(NIGHT)) == ["d2"]


@pytest.mark.parametrize("key", ["", "all@1"])
def test_what_is_critical_does_not_take_the_rest_of_its_group_along(key: str) -> None:
    waiting = quiet()
    waiting.add([made(n, name, grouped=True, group_key=key, loud=name in "bc") for n, name in enumerate("abcd")])
    assert names(waiting.pick(NIGHT)) == ["d1", "d2"]
    assert waiting.pick(NIGHT) is None
    assert names(waiting.pick(MORNING)) == ["d0", "d3"]


def test_what_waits_is_not_given_up_and_has_its_whole_time_from_then_on() -> None:
    waiting = quiet(retry_max=HOUR, failing_since=NIGHT)
    waiting.breaker.failures = 1
    waiting.add([made(1, "a"), made(2, "b", at=EVENING)])
    assert [each.id for each in waiting.expired(MORNING)] == ["d2"]
    assert waiting.expired(MORNING + HOUR - 1) == []
    assert [each.id for each in waiting.expired(MORNING + HOUR + SECOND)] == ["d1"]


def test_a_message_that_fails_after_them_is_tried_as_long_as_any_other() -> None:
    waiting = quiet(retry_max=HOUR)
    waiting.add([made(1, "a")])
    batch = waiting.pick(MORNING)
    assert end(waiting, batch, AGAIN, MORNING + HOUR - 1).attempt.verdict == "retry"
    assert end(waiting, waiting.pick(MORNING + 2 * HOUR), AGAIN, MORNING + 2 * HOUR).attempt.verdict == "dead"


def test_without_quiet_hours_nothing_waits_and_nothing_goes_together() -> None:
    waiting = queue()
    waiting.add([made(1, "a"), made(2, "b")])
    assert [names(batch) for batch in pick_all(waiting, NIGHT)] == [["d1"], ["d2"]]


# ---- when they are over


def test_then_all_goes_as_one_message_what_is_open_first() -> None:
    waiting = quiet()
    waiting.add(
        [
            made(1, "over"), made(2, "open"), made(3, "over", "alert.resolved"), made(4, "told", "alert.resolved"),
            made(5, "acked"), made(6, "acked", "alert.acknowledged"),
        ]
    )  # fmt: skip
    assert waiting.pick(NIGHT) is None
    [batch] = pick_all(waiting, MORNING)
    assert (batch.group, batch.night) == (True, True)
    assert ends(batch) == [
        ("d2", "main"), ("d5", "delivered"), ("d6", "delivered"), ("d1", "superseded"), ("d3", "delivered"),
        ("d4", "delivered"),
    ]  # fmt: skip
    end(waiting, batch, OK, MORNING)
    assert len(waiting) == 0


def test_a_single_one_is_an_ordinary_message() -> None:
    waiting = quiet()
    waiting.add([made(1, "a")])
    batch = waiting.pick(MORNING)
    assert batch is not None
    assert (names(batch), batch.group, batch.night) == (["d1"], False, False)


def test_a_single_one_that_came_and_went_is_an_ordinary_message_about_both() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "a", "alert.resolved")])
    batch = waiting.pick(MORNING)
    assert batch is not None
    assert (ends(batch), batch.night) == ([("d2", "main"), ("d1", "superseded")], False)


def test_of_one_alert_that_was_raised_and_acknowledged_there_is_one_message() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "a", "alert.acknowledged")])
    [batch] = pick_all(waiting, MORNING)
    assert (ends(batch), batch.night) == ([("d2", "main"), ("d1", "delivered")], True)


def test_a_server_that_was_down_at_their_end_sends_one_message_when_it_is_back() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "b", host_id="other"), made(3, "c", at=MORNING + HOUR)])
    assert [names(batch) for batch in pick_all(waiting, MORNING + 2 * HOUR)] == [["d1", "d2"], ["d3"]]


def test_two_nights_without_a_receiver_are_one_message() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "b", at=NIGHT + DAY)])
    assert [names(batch) for batch in pick_all(waiting, MORNING + DAY)] == [["d1", "d2"]]


def test_what_waited_for_a_group_or_could_not_go_before_them_goes_with_it() -> None:
    waiting = quiet()
    window = made(1, "a", at=EVENING, due_at=22 * HOUR + MINUTE, grouped=True)
    waiting.add([window, made(2, "b", at=EVENING)])
    assert waiting.pick(NIGHT) is None
    waiting.add([made(3, "c")])
    assert [names(batch) for batch in pick_all(waiting, MORNING)] == [["d1", "d2", "d3"]]


def test_what_was_tried_before_goes_by_itself() -> None:
    waiting = quiet()
    waiting.add([made(1, "a", at=EVENING, attempts=1), made(2, "b"), made(3, "c")])
    found = [names(batch) for batch in pick_all(waiting, MORNING)]
    assert sorted(found) == [["d1"], ["d2", "d3"]]


def test_what_a_receiver_may_know_of_is_not_told_under_its_id_with_others() -> None:
    """After a restart: the message of a night failed, and its first delivery alone is known to have been tried."""
    waiting = quiet()
    tried = made(2, "a", "alert.acknowledged", attempts=1)
    waiting.add([made(1, "a"), tried, made(3, "b"), made(4, "c")])
    found = [names(batch) for batch in pick_all(waiting, MORNING)]
    assert sorted(found) == [["d1"], ["d3", "d4"]]


def test_critical_ones_are_not_told_again() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "b", loud=True), made(3, "c")])
    first = waiting.pick(NIGHT)
    assert names(first) == ["d2"]
    end(waiting, first, OK, NIGHT)
    assert [names(batch) for batch in pick_all(waiting, MORNING)] == [["d1", "d3"]]


def test_when_it_fails_it_is_the_same_message_again_and_news_come_after_it() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "b")])
    first = waiting.pick(MORNING)
    assert first is not None
    result = end(waiting, first, AGAIN, MORNING)
    assert result.due_at is not None
    waiting.add([made(3, "a", "alert.resolved", at=MORNING + 1), made(4, "c", at=MORNING + 1)])
    sent = []
    while (batch := waiting.pick(result.due_at)) is not None:
        sent.append((names(batch), batch.night))
        end(waiting, batch, OK, result.due_at)
    assert sent == [(["d4"], False), (["d1", "d2"], True), (["d3"], False)]


def test_when_it_is_refused_the_others_are_tried_without_the_first() -> None:
    waiting = quiet()
    waiting.add([made(1, "a"), made(2, "b"), made(3, "c")])
    end(waiting, waiting.pick(MORNING), NEVER, MORNING)
    assert names(waiting.pick(MORNING)) == ["d2", "d3"]


def test_what_is_in_flight_is_not_part_of_it() -> None:
    waiting = quiet()
    waiting.add([made(1, "a", at=EVENING)])
    flying = waiting.pick(EVENING)
    waiting.add([made(2, "a", "alert.resolved"), made(3, "b"), made(4, "c")])
    assert [names(batch) for batch in pick_all(waiting, MORNING)] == [["d3", "d4"]]
    end(waiting, flying, OK, MORNING)
    assert names(waiting.pick(MORNING)) == ["d2"]


def test_other_settings_apply_to_what_waits_already() -> None:
    """A new actor has a new queue: with other hours, everything is due by those."""
    earlier = QuietHours("UTC", time(22), time(3), frozenset(range(7)))
    for hours, at in ((earlier, DAY + 3 * HOUR), (None, DAY + HOUR)):
        waiting = queue(quiet=hours)
        waiting.add([made(1, "a"), made(2, "b")])
        assert sorted(each for batch in pick_all(waiting, at) for each in names(batch)) == ["d1", "d2"]
