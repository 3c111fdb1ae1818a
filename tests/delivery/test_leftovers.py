"""A mail that some recipients have and others are refused, for now: only that mail waits. Times: microseconds."""

import itertools
from dataclasses import replace

from rmactors.common.clock import DAY, HOUR, MINUTE, SECOND
from rmactors.server.messages.notifications import Attempt
from tests.delivery.queues import AGAIN, OK, delivery, end, names, pick_all, queue

LI, KIM = "li@example.org", "kim@example.org"
PARTLY = Attempt("retry", 452, 1.0, "full", recipients_left=(LI,), others_have_it=True)


def test_the_others_have_thirty_alerts_at_once_though_one_recipient_takes_none() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(30)])
    sent = []
    while (batch := waiting.pick(0)) is not None:
        sent += names(batch)
        end(waiting, batch, PARTLY, 0)
    assert sent == [f"d{n}" for n in range(30)]
    assert not waiting.breaker.failing


def test_what_is_left_is_tried_again_for_those_alone_without_a_word_about_the_channel() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    due_at = end(waiting, waiting.pick(0), PARTLY, 0).due_at
    assert due_at is not None
    assert waiting.next_at() == due_at
    again = waiting.pick(due_at)
    assert again is not None
    assert again.main.recipients_left == (LI,)
    end(waiting, again, PARTLY, due_at)
    assert not waiting.breaker.failing
    waiting.add([delivery(2, "b")])
    assert names(waiting.pick(due_at)) == ["d2"]


def test_its_own_pauses_grow() -> None:
    waiting, now, tries = queue(), 0, []
    waiting.add([delivery(1)])
    while now < 3 * HOUR:
        end(waiting, waiting.pick(now), PARTLY, now)
        tries.append(now)
        now = waiting.next_at() or 0
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert pauses[0] < 3 * SECOND
    assert pauses[20] == 5 * SECOND
    assert pauses[-1] == MINUTE


def test_however_many_are_left_the_server_sees_one_of_them_a_second() -> None:
    waiting, now, tries = queue(), 0, 0
    waiting.add([delivery(n, f"a{n}") for n in range(200)])
    for batch in iter(lambda: waiting.pick(0), None):
        end(waiting, batch, PARTLY, 0)
    while now < 10 * MINUTE:
        for batch in pick_all(waiting, now):
            tries += 1
            end(waiting, batch, PARTLY, now)
        now = waiting.next_at() or DAY
    assert tries <= 10 * 60 + 1


def test_when_one_gets_through_the_others_for_the_same_recipients_follow_at_once() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(20)])
    waiting.add([delivery(20, "kim")])
    for batch in iter(lambda: waiting.pick(0), None):
        end(waiting, batch, replace(PARTLY, recipients_left=(KIM,)) if batch.main.alert_id == "kim" else PARTLY, 0)
    at = waiting.next_at()
    assert at is not None
    end(waiting, waiting.pick(at), OK, at)
    assert len(pick_all(waiting, at)) == 16, "as many as may be in flight"
    assert len(waiting) == 20


def test_a_failing_channel_works_again_with_a_mail_that_some_recipients_have() -> None:
    waiting = queue()
    waiting.add([delivery(n, f"a{n}") for n in range(4)])
    end(waiting, waiting.pick(0), AGAIN, 0)
    end(waiting, waiting.pick(0), AGAIN, 0)
    at = waiting.next_at()
    assert at is not None
    probe = waiting.pick(at)
    end(waiting, probe, PARTLY, at)
    assert not waiting.breaker.failing
    assert len(pick_all(waiting, at)) == 3


def test_a_success_on_a_failing_channel_does_not_hurry_what_is_left() -> None:
    waiting = queue()
    waiting.add([delivery(1, "left")])
    end(waiting, waiting.pick(0), PARTLY, 0)
    waiting.add([delivery(2, "b"), delivery(3, "c"), delivery(4, "d")])
    first, second, third = pick_all(waiting, 0)
    end(waiting, first, AGAIN, 0)
    end(waiting, second, AGAIN, 0)
    end(waiting, third, OK, 0)
    assert {each for batch in pick_all(waiting, 0) for each in names(batch)} == {"d2", "d3"}


def test_its_resolution_goes_to_everybody_at_once_in_its_place() -> None:
    waiting = queue()
    waiting.add([delivery(1, created_at=0)])
    end(waiting, waiting.pick(0), PARTLY, 0)
    waiting.add([delivery(2, event="alert.resolved", due_at=10, created_at=10)])
    batch = waiting.pick(10)
    assert names(batch) == ["d2", "d1"]
    assert batch is not None
    assert batch.main.recipients_left == ()
    end(waiting, batch, OK, 10)
    assert len(waiting) == 0


def test_a_resolution_that_came_while_the_rest_was_sent_goes_out_when_that_is_known() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    end(waiting, waiting.pick(0), PARTLY, 0)
    due_at = waiting.next_at()
    assert due_at is not None
    rest = waiting.pick(due_at)
    waiting.add([delivery(2, event="alert.resolved", due_at=due_at)])
    end(waiting, rest, PARTLY, due_at)
    assert names(waiting.pick(due_at)) == ["d2", "d1"]


def test_an_acknowledgement_waits_for_the_rest_of_the_raise_so_that_order_is_kept() -> None:
    waiting = queue()
    waiting.add([delivery(1)])
    due_at = end(waiting, waiting.pick(0), PARTLY, 0).due_at
    assert due_at is not None
    waiting.add([delivery(2, event="alert.acknowledged", due_at=1)])
    assert waiting.pick(due_at - 1) is None
    assert names(waiting.pick(due_at)) == ["d1"]


def test_what_is_left_for_too_long_is_given_up() -> None:
    waiting = queue(retry_max=HOUR)
    waiting.add([delivery(1, recipients_left=(LI,))])
    last = end(waiting, waiting.pick(HOUR), PARTLY, HOUR)
    assert (last.attempt.verdict, last.attempt.error) == ("dead", "gave up after 3600 s: full")
    assert not waiting.breaker.failing
