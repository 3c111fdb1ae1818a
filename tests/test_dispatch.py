"""What a channel sends next, and when. Times are microseconds from 0; jitter always takes the longer pause."""

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rmactors.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.dispatch import CONCURRENT, Item, Parcel, Queue, Settlement, pause, settled_with
from rmactors.messages.notices import Attempt

OK = Attempt("delivered", 204, 1.0)
AGAIN = Attempt("retry", 503, 1.0, "unavailable")
NEVER = Attempt("dead", 400, 1.0, "bad request")


def longest(low: float, high: float) -> float:
    assert low <= high
    return high


def queue(*, takes_resolved: bool = True, failing_since: int | None = None, retry_max: int = DAY) -> Queue:
    return Queue(longest, retry_max, takes_resolved, failing_since)


def item(seq: int, alert: str = "a", event: str = "alert.raised", **changes: object) -> Item:
    made = Item(f"d{seq}", alert, "host", event, seq, "{}", 0, 0, 0, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def failing(*, retry_max: int) -> Queue:
    """A queue of a channel whose probe has just failed."""
    waiting = queue(retry_max=retry_max, failing_since=0)
    waiting.failures = 1
    return waiting


def names(parcel: Parcel | None) -> list[str]:
    return [each.id for each in parcel.items] if parcel is not None else []


def end(waiting: Queue, parcel: Parcel | None, result: Attempt, now: int) -> Settlement:
    assert parcel is not None
    settlement = waiting.settle(parcel, result, now)
    waiting.release(parcel, settlement)
    return settlement


def pick_all(waiting: Queue, now: int) -> list[Parcel]:
    picked = []
    while (parcel := waiting.pick(now)) is not None:
        picked.append(parcel)
    return picked


# ---- order


def test_an_alerts_messages_go_out_one_after_the_other() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([item(1), item(2, event="alert.acknowledged"), item(3, event="alert.resolved")])
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
    waiting.add([item(1), item(2, event="alert.acknowledged")])
    first = waiting.pick(0)
    assert first is not None
    settlement = waiting.settle(first, OK, 0)
    assert waiting.pick(0) is None
    waiting.release(first, settlement)
    assert names(waiting.pick(0)) == ["d2"]


def test_alerts_go_out_at_the_same_time_in_their_order_up_to_a_limit() -> None:
    waiting = queue()
    waiting.add([item(n, f"a{n}") for n in range(CONCURRENT + 5)])
    picked = pick_all(waiting, 0)
    assert [parcel.main.seq for parcel in picked] == list(range(CONCURRENT))
    assert waiting.next_at() is None
    end(waiting, picked[0], OK, 0)
    assert names(waiting.pick(0)) == [f"d{CONCURRENT}"]
    assert len(waiting) == CONCURRENT + 4


def test_what_is_not_due_waits() -> None:
    waiting = queue()
    waiting.add([item(1, due_at=10), item(2, "b", due_at=5)])
    assert waiting.pick(4) is None
    assert waiting.next_at() == 5
    assert names(waiting.pick(5)) == ["d2"]
    assert waiting.next_at() == 10


def test_an_empty_queue_waits_for_nothing() -> None:
    assert queue().next_at() is None
    assert queue(failing_since=0).next_at() is None
    assert queue().pick(0) is None
    assert len(queue()) == 0


# ---- the breaker


def test_one_refusal_lets_another_alert_be_tried_at_once_and_a_second_one_stops_all() -> None:
    waiting = queue()
    waiting.add([item(n, f"a{n}") for n in range(5)])
    first = waiting.pick(0)
    end(waiting, first, AGAIN, 0)
    assert waiting.failing_since == 0
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
    waiting.add([item(n, f"a{n}") for n in range(4)])
    tried, now = [], 0
    for _ in range(8):
        parcel = waiting.pick(now)
        assert parcel is not None
        tried.append(parcel.main.alert_id)
        end(waiting, parcel, AGAIN, now)
        at = waiting.next_at()
        assert at is not None
        now = max(now, at)
    assert tried[:4] == ["a0", "a1", "a2", "a3"]
    assert set(tried[4:]) == {"a0", "a1", "a2", "a3"}


def test_the_queue_drains_when_a_probe_succeeds() -> None:
    waiting = queue()
    waiting.add([item(n, f"a{n}") for n in range(10)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    end(waiting, waiting.pick(0), AGAIN, 0)
    at = waiting.next_at()
    assert at is not None
    end(waiting, waiting.pick(at), OK, at)
    assert waiting.failing_since is None
    assert len(pick_all(waiting, at)) == 9  # those that were refused as well


def test_a_permanent_refusal_is_an_answer_too() -> None:
    waiting = queue(failing_since=0)
    waiting.add([item(1), item(2, "b"), item(3, "c")])
    settlement = end(waiting, waiting.pick(0), NEVER, 0)
    assert settlement == Settlement(NEVER, None)
    assert waiting.failing_since is None
    assert len(pick_all(waiting, 0)) == 2


def test_sends_under_way_when_the_breaker_opens_count_as_one_failure() -> None:
    waiting = queue()
    waiting.add([item(n, f"a{n}") for n in range(8)])
    for parcel in pick_all(waiting, 0):
        end(waiting, parcel, AGAIN, 0)
    assert waiting.failures <= 2


def test_a_message_that_the_receiver_never_likes_holds_up_no_other_and_is_not_tried_in_a_loop() -> None:
    waiting, now, tries, delivered = queue(), 0, 0, 0
    waiting.add([item(0, "poison")])
    for n in range(1, 300):
        waiting.add([item(n, f"a{n}", created_at=now, due_at=now)])
        while (parcel := waiting.pick(now)) is not None:
            bad = parcel.main.alert_id == "poison"
            tries += bad
            delivered += not bad
            end(waiting, parcel, AGAIN if bad else OK, now)
        now += SECOND // 10
    assert delivered >= 299 - 15  # the last may wait for one pause of the breaker
    assert tries <= 30 / 5 + 8  # its own pauses grow, whatever the others do


def test_a_message_that_the_receiver_never_likes_is_tried_ever_less_often() -> None:
    waiting, now, tries = queue(), 0, 0
    waiting.add([item(0, "poison")])
    for n in range(1, 2 * 360):
        waiting.add([item(n, f"a{n}", created_at=now, due_at=now)])
        while (parcel := waiting.pick(now)) is not None:
            bad = parcel.main.alert_id == "poison"
            tries += bad and now > HOUR
            end(waiting, parcel, AGAIN if bad else OK, now)
        now += 10 * SECOND
    assert tries <= 61  # once a minute in the second hour


def test_what_is_being_given_up_is_sent_by_nobody() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([item(1, due_at=2 * HOUR), item(2, "b", created_at=HOUR), item(3, "c", due_at=2 * HOUR)])
    probe = waiting.pick(HOUR)
    assert names(probe) == ["d2"]
    late = waiting.expired(HOUR)
    assert {each.id for each in late} == {"d1", "d3"}
    end(waiting, probe, OK, HOUR)
    assert waiting.pick(3 * HOUR) is None
    for each in late:
        waiting.release(Parcel(each), Settlement(NEVER, None))
    assert len(waiting) == 0


def test_what_is_due_while_it_is_being_given_up_is_not_picked() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([item(1, due_at=2 * HOUR)])
    (late,) = waiting.expired(HOUR)
    waiting.failing_since = None
    assert waiting.pick(2 * HOUR) is None
    waiting.release(Parcel(late), Settlement(NEVER, None))


def test_a_channel_that_was_failing_before_a_restart_begins_with_one_probe() -> None:
    waiting = queue(failing_since=0)
    waiting.add([item(n, f"a{n}") for n in range(5)])
    assert len(pick_all(waiting, HOUR)) == 1


def test_after_a_start_nothing_is_given_up_before_a_probe_has_shown_that_the_receiver_is_still_away() -> None:
    waiting = queue(retry_max=HOUR, failing_since=0)  # the server was off for a day
    waiting.add([item(1), item(2, "b"), item(3, "c")])
    assert waiting.expired(DAY) == []
    end(waiting, waiting.pick(DAY), OK, DAY)
    assert waiting.expired(DAY + SECOND) == []
    assert [names(parcel) for parcel in pick_all(waiting, DAY)] == [["d2"], ["d3"]]


def test_after_a_start_a_probe_that_fails_gives_up_what_is_too_old() -> None:
    waiting = queue(retry_max=HOUR, failing_since=0)
    waiting.add([item(1), item(2, "b"), item(3, "c", created_at=DAY)])
    assert end(waiting, waiting.pick(DAY), AGAIN, DAY).result.verdict == "dead"
    assert [each.id for each in waiting.expired(DAY + SECOND)] == ["d2"]


def test_the_pause_that_a_restart_interrupted_goes_on_after_it() -> None:
    waiting = Queue(longest, DAY, takes_resolved=True, failing_since=0, probe_at=MINUTE)
    waiting.add([item(1, attempts=3, due_at=MINUTE), item(2, "b")])
    assert waiting.pick(MINUTE - 1) is None
    assert waiting.next_at() == MINUTE
    assert names(waiting.pick(MINUTE)) == ["d2"]


# ---- pauses


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
    waiting.add([item(n, f"a{n}") for n in range(alerts)])
    while True:
        for parcel in pick_all(waiting, now):
            tries += 1
            if now >= length:
                return tries, now - length
            end(waiting, parcel, AGAIN, now)
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
    waiting.add([item(1), item(2, "b")])
    settlement = end(waiting, waiting.pick(0), replace(AGAIN, retry_at=90 * SECOND), 0)
    assert settlement.due_at == 90 * SECOND
    assert waiting.pick(90 * SECOND - 1) is None  # no other alert either: the receiver asked for quiet
    assert waiting.next_at() == 90 * SECOND
    assert len(pick_all(waiting, 90 * SECOND)) == 1


def test_the_success_of_a_send_that_was_under_way_does_not_end_the_quiet_that_the_receiver_asked_for() -> None:
    waiting = queue()
    waiting.add([item(1), item(2, "b"), item(3, "c")])
    first, second, third = pick_all(waiting, 0)
    end(waiting, first, replace(AGAIN, retry_at=90 * SECOND), 0)
    end(waiting, second, OK, SECOND)
    assert end(waiting, third, AGAIN, 2 * SECOND).due_at == 90 * SECOND
    waiting.add([item(4, "d")])
    assert waiting.pick(90 * SECOND - 1) is None
    assert waiting.next_at() == 90 * SECOND
    assert names(waiting.pick(90 * SECOND)) == ["d4"]  # the breaker is open since the third: one at a time
    assert waiting.pick(90 * SECOND) is None


def test_quiet_ends_for_all_at_once_where_a_success_has_closed_the_breaker() -> None:
    waiting = queue()
    waiting.add([item(1), item(2, "b"), item(3, "c")])
    first, second, third = pick_all(waiting, 0)
    end(waiting, first, replace(AGAIN, retry_at=90 * SECOND), 0)
    end(waiting, second, OK, SECOND)
    end(waiting, third, OK, SECOND)
    waiting.add([item(4, "d")])
    assert waiting.pick(89 * SECOND) is None
    assert waiting.next_at() == 90 * SECOND
    assert {*map(tuple, map(names, pick_all(waiting, 90 * SECOND)))} == {("d1",), ("d4",)}


def test_retry_after_in_the_past_shortens_no_pause() -> None:
    waiting = queue()
    waiting.add([item(1)])
    assert end(waiting, waiting.pick(SECOND), replace(AGAIN, retry_at=0), SECOND).due_at == SECOND + round(1.5 * SECOND)


def test_retry_after_beyond_the_end_of_retries_is_cut_there() -> None:
    waiting = queue(retry_max=HOUR)
    waiting.add([item(1, created_at=5)])
    settlement = end(waiting, waiting.pick(10), replace(AGAIN, retry_at=30 * DAY), 10)
    assert settlement.due_at == HOUR + 5
    last = end(waiting, waiting.pick(HOUR + 5), replace(AGAIN, retry_at=30 * DAY), HOUR + 5)
    assert last.result.verdict == "dead"


def test_what_was_retried_for_long_enough_is_dead_and_says_so() -> None:
    waiting = queue(retry_max=HOUR)
    waiting.add([item(1)])
    settlement = end(waiting, waiting.pick(HOUR), AGAIN, HOUR)
    assert settlement.result.verdict == "dead"
    assert settlement.result.error == "gave up after 3600 s: unavailable"
    assert len(waiting) == 0


def test_what_waited_behind_a_failing_channel_for_too_long_is_given_up_untried() -> None:
    waiting = failing(retry_max=HOUR)
    waiting.add([item(1), item(2, "b", created_at=HOUR), item(3, "c")])
    assert waiting.expired(HOUR - 1) == []
    late = waiting.expired(HOUR + SECOND)
    assert {each.id for each in late} == {"d1", "d3"}
    assert waiting.expired(HOUR + SECOND) == []  # looked at a moment ago, and busy
    assert waiting.expired(HOUR + 3 * SECOND) == []
    for each in late:
        waiting.release(Parcel(each), Settlement(NEVER, None))
    assert len(waiting) == 1
    assert queue(retry_max=0).expired(DAY) == []  # not failing: it is simply sent


# ---- one message for a raise and its end


def test_a_resolution_that_is_queued_already_tells_the_raise_as_well() -> None:
    waiting = queue()
    waiting.add([item(1), item(2, event="alert.acknowledged"), item(3, event="alert.reminder")])
    waiting.add([item(4, event="alert.resolved")])
    parcel = waiting.pick(0)
    assert parcel is not None
    assert names(parcel) == ["d4", "d1", "d2", "d3"]
    assert [end for _, end in parcel.carried] == ["superseded"] * 3
    assert not parcel.group
    end(waiting, parcel, OK, 0)
    assert len(waiting) == 0


@pytest.mark.parametrize("end_of_it", ["alert.acknowledged", "alert.resolved"])
def test_a_reminder_is_needless_where_word_waits_behind_it_that_somebody_looks_after_it(end_of_it: str) -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([item(1), item(2, event="alert.reminder"), item(3, event=end_of_it)])
    end(waiting, waiting.pick(0), OK, 0)
    parcel = waiting.pick(0)
    assert parcel is not None
    assert names(parcel) == ["d3", "d2"]
    assert [how for _, how in parcel.carried] == ["superseded"]
    end(waiting, parcel, OK, 0)
    assert len(waiting) == 0


def test_a_reminder_behind_which_nothing_waits_is_sent() -> None:
    waiting = queue()
    waiting.add([item(2, event="alert.reminder"), item(3, "b", "alert.resolved")])
    assert [names(parcel) for parcel in pick_all(waiting, 0)] == [["d2"], ["d3"]]


def test_a_channel_that_takes_no_resolutions_is_told_the_raise() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([item(1), item(2, event="alert.resolved")])
    assert names(waiting.pick(0)) == ["d1"]


def test_an_acknowledgement_behind_a_told_raise_goes_out_on_its_own() -> None:
    waiting = queue()
    waiting.add([item(2, event="alert.acknowledged"), item(3, event="alert.resolved")])
    assert names(waiting.pick(0)) == ["d2"]


def test_a_raise_under_way_is_let_finish() -> None:
    waiting = queue()
    waiting.add([item(1)])
    under_way = waiting.pick(0)
    waiting.add([item(2, event="alert.resolved")])
    end(waiting, under_way, OK, 0)
    assert names(waiting.pick(0)) == ["d2"]


def test_a_raise_that_was_refused_for_now_goes_with_its_resolution() -> None:
    waiting = queue()
    waiting.add([item(1)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    waiting.add([item(2, event="alert.resolved")])
    at = waiting.next_at()
    assert at is not None
    assert names(waiting.pick(at)) == ["d2", "d1"]


def test_a_resolution_that_dies_takes_the_raise_along() -> None:
    waiting = queue()
    waiting.add([item(1), item(2, event="alert.resolved")])
    parcel = waiting.pick(0)
    assert parcel is not None
    assert settled_with(parcel, NEVER) == parcel.items
    end(waiting, parcel, NEVER, 0)
    assert len(waiting) == 0


def test_a_later_alerts_raise_is_no_part_of_an_earlier_end() -> None:
    waiting = queue()
    waiting.add([item(1, "a"), item(2, "b"), item(3, "a", "alert.resolved")])
    assert [names(parcel) for parcel in pick_all(waiting, 0)] == [["d3", "d1"], ["d2"]]


# ---- groups


def grouped(seq: int, alert: str, host: str = "host", **changes: object) -> Item:
    return item(seq, alert, due_at=MINUTE, grouped=True, host_id=host, **changes)


def test_what_follows_within_the_window_goes_out_as_one_message() -> None:
    waiting = queue()
    waiting.add([item(1, "a"), grouped(2, "b"), grouped(3, "c"), grouped(4, "d", "elsewhere")])
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
    waiting.add([grouped(2, "b"), grouped(3, "c"), grouped(4, "d"), item(5, "c", "alert.resolved")])
    picked = {tuple(names(parcel)) for parcel in pick_all(waiting, MINUTE)}
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
    """After a crash nobody knows whether the first one's message was under way, and what it told."""
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c"), replace(grouped(4, "d"), due_at=2 * MINUTE)])
    assert [names(parcel) for parcel in pick_all(waiting, HOUR)] == [["d2", "d3"], ["d4"]]


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


def test_when_a_groups_first_message_dies_the_others_go_without_it() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c"), grouped(4, "d")])
    first = waiting.pick(MINUTE)
    assert first is not None
    assert settled_with(first, NEVER) == (first.main,)
    end(waiting, first, NEVER, MINUTE)
    assert names(waiting.pick(MINUTE)) == ["d3", "d4"]


def test_a_busy_alert_or_one_of_another_window_is_no_part_of_a_group() -> None:
    waiting = queue(takes_resolved=False)
    waiting.add([grouped(2, "b"), item(3, "b", "alert.resolved")])
    under_way = waiting.pick(MINUTE)
    later = replace(grouped(5, "d"), due_at=2 * MINUTE)
    waiting.add([grouped(4, "c"), later])
    assert names(waiting.pick(MINUTE)) == ["d4"]
    end(waiting, under_way, OK, MINUTE)
    assert names(waiting.pick(MINUTE)) == ["d3"]
    assert names(waiting.pick(2 * MINUTE)) == ["d5"]


def test_a_window_that_ends_while_the_first_is_failing_waits_for_the_breaker() -> None:
    waiting = queue()
    waiting.add([item(1, "a"), grouped(2, "b"), grouped(3, "c")])
    end(waiting, waiting.pick(0), AGAIN, 0)
    now = waiting.next_at()
    assert now is not None
    assert names(waiting.pick(now)) == ["d1"]
    assert waiting.pick(MINUTE) is None


# ---- recipients


def test_recipients_that_are_left_are_tried_alone() -> None:
    waiting = queue()
    waiting.add([item(1)])
    partly = Attempt("retry", 450, 1.0, "mailbox busy", recipients_left=("b@example.org",))
    end(waiting, waiting.pick(0), partly, 0)
    at = waiting.next_at()
    assert at is not None
    parcel = waiting.pick(at)
    assert parcel is not None
    assert parcel.main.recipients_left == ("b@example.org",)
    assert parcel.main.attempts == 1


def test_recipients_left_belong_to_the_message_that_was_sent() -> None:
    waiting = queue()
    waiting.add([grouped(2, "b"), grouped(3, "c")])
    partly = Attempt("retry", 450, 1.0, "mailbox busy", recipients_left=("b@example.org",))
    end(waiting, waiting.pick(MINUTE), partly, MINUTE)
    at = waiting.next_at()
    assert at is not None
    parcel = waiting.pick(at)
    assert parcel is not None
    assert [each.recipients_left for each in parcel.items] == [("b@example.org",), ()]


# ---- whatever the receiver answers


@dataclass
class Receiver:
    """Answers as it is told, and writes down what it got."""

    answers: list[str]
    got: list[str] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)

    def answer(self, parcel: Parcel) -> Attempt:
        word = self.answers.pop(0) if self.answers else "ok"
        if word == "ok":
            self.got += [parcel.main.id] if not parcel.group else [each.id for each in parcel.items]
        return {"ok": OK, "later": AGAIN, "no": NEVER, "wait": replace(AGAIN, retry_at=7 * SECOND)}[word]


EVENTS = ["alert.raised", "alert.acknowledged", "alert.reminder", "alert.resolved"]


@settings(max_examples=300, deadline=None)
@given(
    lanes=st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=25),
    answers=st.lists(st.sampled_from(["ok", "later", "no", "wait"]), max_size=60),
    takes_resolved=st.booleans(),
    shuffle=st.randoms(use_true_random=False),
)
def test_nothing_is_lost_and_the_order_of_each_alert_is_kept(
    lanes: list[tuple[int, bool]], answers: list[str], takes_resolved: bool, shuffle: object
) -> None:
    """Items arrive in between, sends end in any order, answers are anything: every item ends once, in its order."""
    waiting, receiver = queue(takes_resolved=takes_resolved), Receiver(list(answers))
    step: dict[int, int] = {}
    arriving = []
    for seq, (alert, in_group) in enumerate(lanes):
        at = step.get(alert, 0)
        step[alert] = at + 1
        event = EVENTS[min(at, 3)]
        in_window = in_group and event == "alert.raised"
        due = 5 * SECOND if in_window else 0
        arriving.append(item(seq, f"a{alert}", event, due_at=due, grouped=in_window))
    everything = list(arriving)
    under_way: list[Parcel] = []
    now = 0
    for _ in range(2000):
        if arriving and shuffle.random() < 0.5:  # type: ignore[attr-defined]
            waiting.add([arriving.pop(0)])
        under_way += pick_all(waiting, now)
        assert len({each.alert_id for parcel in under_way for each in parcel.items}) == sum(
            len({each.alert_id for each in parcel.items}) for parcel in under_way
        ), "one unfinished send an alert"
        if under_way:
            parcel = under_way.pop(shuffle.randrange(len(under_way)))  # type: ignore[attr-defined]
            settlement = waiting.settle(parcel, receiver.answer(parcel), now)
            if settlement.result.verdict != "retry":
                ends = dict(parcel.carried)
                for each in settled_with(parcel, settlement.result):
                    assert each.id not in receiver.ended, "ends once"
                    told = settlement.result.verdict if each is parcel.main else ends.get(each, "?")
                    receiver.ended[each.id] = told
            waiting.release(parcel, settlement)
        elif not arriving and not len(waiting):
            break
        else:
            now = max(now + SECOND // 10, waiting.next_at() or 0)
    assert {each.id for each in everything} == set(receiver.ended), "nothing is lost"
    seq_of = {each.id: each for each in everything}
    for alert in {each.alert_id for each in everything}:
        got = [seq_of[id].seq for id in receiver.got if seq_of[id].alert_id == alert]
        assert got == sorted(got), "in order"
