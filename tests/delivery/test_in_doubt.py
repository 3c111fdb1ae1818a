"""Refusals that may be another's than the receiver's: a few tries over ten minutes. Times: microseconds from 0."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.actors.delivery.queue import DeliveryQueue
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Delivery
from tests.delivery.queues import AGAIN, NEVER, OK, PERHAPS, delivery, end, pick_all, queue


@dataclass
class Story:
    """What became of the messages: their tries, and when and how each ended."""

    waiting: DeliveryQueue
    answer: Callable[[Delivery, int], Attempt]
    now: int = 0
    tries: Counter[str] = field(default_factory=Counter)
    ended: dict[str, tuple[str, int]] = field(default_factory=dict)
    words: str | None = None

    def go_on(self, until: int) -> None:
        """Answer as time goes by. What is picked together is answered together."""
        while len(self.waiting) and self.now <= until:
            for batch in pick_all(self.waiting, self.now):
                self.tries[batch.main.id] += 1
                found = end(self.waiting, batch, self.answer(batch.main, self.now), self.now).attempt
                if found.verdict != "retry":
                    self.ended[batch.main.id], self.words = (found.verdict, self.now), found.error
            self.now = min(max(self.now + SECOND // 100, self.waiting.next_at() or 0), until + 1)


def refuses_for(length: int) -> Callable[[Delivery, int], Attempt]:
    return lambda _, now: PERHAPS if now < length else OK


def test_one_is_tried_again_within_seconds() -> None:
    story = Story(queue(), refuses_for(1))
    story.waiting.add([delivery(1)])
    story.go_on(MINUTE)
    assert story.ended == {"d1": ("delivered", 5 * SECOND)}


def test_what_is_refused_for_ten_minutes_is_dead_after_a_few_tries_and_says_so() -> None:
    story = Story(queue(), refuses_for(DAY))
    story.waiting.add([delivery(1)])
    story.go_on(10 * MINUTE - 1)
    assert story.ended == {}
    story.go_on(DAY)
    assert story.ended == {"d1": ("dead", 10 * MINUTE)}
    assert story.tries["d1"] == 9
    assert story.words == "refused for 10 minutes: not found"


def test_what_is_refused_for_good_is_dead_at_once_as_before() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    (batch,) = pick_all(waiting, 0)
    assert end(waiting, batch, NEVER, 0).attempt == NEVER


def test_others_are_told_as_soon_as_the_receiver_is_itself_again() -> None:
    """An ingress without its receiver, with a thousand alerts in the queue."""
    story = Story(queue(), refuses_for(20 * SECOND))
    story.waiting.add([delivery(n, f"a{n}") for n in range(1000)])
    story.go_on(HOUR)
    assert {verdict for verdict, _ in story.ended.values()} == {"delivered"}
    assert max(at for _, at in story.ended.values()) <= 26 * SECOND
    assert story.tries.total() <= 1000 + 40


def test_a_message_that_comes_meanwhile_is_tried_within_seconds() -> None:
    story = Story(queue(), lambda one, _: PERHAPS if one.alert_id == "a" else OK)
    story.waiting.add([delivery(1)])
    story.go_on(4 * MINUTE)
    story.waiting.add([delivery(2, "b", created_at=story.now, due_at=story.now)])
    since = story.now
    story.go_on(5 * MINUTE)
    assert story.ended["d2"][1] <= since + 5 * SECOND


def test_a_thousand_that_are_refused_for_good_are_dead_after_little_more_than_ten_minutes() -> None:
    story = Story(queue(), refuses_for(DAY))
    story.waiting.add([delivery(n, f"a{n}") for n in range(1000)])
    story.go_on(DAY)
    assert {verdict for verdict, _ in story.ended.values()} == {"dead"}
    assert max(at for _, at in story.ended.values()) <= 12 * MINUTE
    assert story.tries.total() <= 1000 + 300


def test_one_that_comes_when_others_have_been_refused_for_long_has_its_own_ten_minutes() -> None:
    story = Story(queue(), refuses_for(12 * MINUTE))
    story.waiting.add([delivery(1)])
    story.go_on(9 * MINUTE)
    story.waiting.add([delivery(2, "b", created_at=story.now, due_at=story.now)])
    story.go_on(DAY)
    assert (story.ended["d1"][0], story.ended["d2"][0]) == ("dead", "delivered")


def test_only_refusals_in_a_row_count() -> None:
    story = Story(queue(), lambda _, now: AGAIN if now % (8 * MINUTE) < 7 * MINUTE else PERHAPS)
    story.waiting.add([delivery(1)])
    story.go_on(2 * HOUR)
    assert story.ended == {}


def test_one_that_alone_is_refused_on_a_busy_channel_is_dead_after_ten_minutes_too() -> None:
    story = Story(queue(), lambda one, _: PERHAPS if one.alert_id == "poison" else OK)
    story.waiting.add([delivery(0, "poison")])
    for n in range(1, 1400):
        story.waiting.add([delivery(n, f"a{n}", created_at=story.now, due_at=story.now)])
        story.go_on(n * SECOND // 2)
        story.now = n * SECOND // 2
    verdict, at = story.ended["d0"]
    assert (verdict, 10 * MINUTE <= at <= 13 * MINUTE) == ("dead", True)
    assert story.tries["d0"] <= 14


def test_a_process_that_stood_still_tries_a_few_times_before_it_believes() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(16)])
    for batch in pick_all(waiting, 0):
        end(waiting, batch, PERHAPS, 0)
    (batch,) = pick_all(waiting, 20 * MINUTE)
    assert end(waiting, batch, PERHAPS, 20 * MINUTE).attempt.verdict == "retry"


def test_the_limit_of_retries_stands_over_it() -> None:
    story = Story(queue(retry_max=MINUTE), refuses_for(DAY))
    story.waiting.add([delivery(1)])
    story.go_on(DAY)
    assert story.ended["d1"][0] == "dead"
    assert story.words == "gave up after 60 s: not found"


def test_a_restart_begins_the_ten_minutes_again() -> None:
    story = Story(queue(failing_since=0), refuses_for(DAY), now=HOUR)
    story.waiting.add([delivery(1, attempts=8)])
    story.go_on(DAY)
    assert story.ended == {"d1": ("dead", HOUR + 10 * MINUTE)}


def test_what_waited_for_its_window_has_its_ten_minutes_from_its_end() -> None:
    story = Story(queue(), lambda one, _: OK if one.attempts and one.alert_id == "b" else PERHAPS)
    story.waiting.add([delivery(1), replace(delivery(2, "b"), due_at=11 * MINUTE, grouped=True)])
    story.go_on(DAY)
    assert (story.ended["d1"][0], story.ended["d2"][0]) == ("dead", "delivered")
