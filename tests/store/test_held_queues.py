"""A queue that the receiver wants quiet for: until when, why, and what ends that. Minutes count from noon."""

from typing import Any

import pytest

from rmactors.server.messages.notifications import Attempt
from rmactors.server.store.load_channels import load_channels
from tests.store.ledger import MINUTE, NOON, OK, Ledger, channel

QUOTA = "429 Too Many Requests: daily quota reached"


def minute(n: float) -> int:
    return NOON + round(n * MINUTE)


def quota(until: float) -> Attempt:
    return Attempt("retry", 429, 1.0, QUOTA, retry_at=minute(until))


def held(ledger: Ledger) -> tuple[Any, ...]:
    return ledger.rows("SELECT held_until, held_because FROM channels")[0]


def health(ledger: Ledger) -> tuple[Any, ...]:
    return ledger.rows("SELECT failing_since, last_error, last_fired_at FROM channels")[0]


def several(ledger: Ledger, number: int = 3) -> list[str]:
    host = ledger.host()
    for n in range(number):
        ledger.raise_(host, f"s{n}")
    return [id for (id,) in ledger.rows("SELECT id FROM deliveries ORDER BY seq")]


def test_what_the_receiver_asks_for_is_kept_with_why(ledger: Ledger) -> None:
    ledger.channel()
    first, *_ = several(ledger)
    ledger.settle(first, quota(60), minute(1))
    assert held(ledger) == (minute(60), QUOTA)
    assert [facts.held_until for facts in load_channels(ledger.connection)] == [minute(60)]


def test_a_message_that_was_in_flight_and_arrives_does_not_end_it(ledger: Ledger) -> None:
    ledger.channel()
    first, second, third = several(ledger)
    ledger.settle(first, quota(60), minute(1))
    ledger.settle(second, OK, minute(2))
    assert held(ledger) == (minute(60), QUOTA)
    assert health(ledger) == (minute(1), QUOTA, minute(2)), "it is not called well"
    ledger.settle(third, OK, minute(60))
    assert held(ledger) == (None, None)
    assert health(ledger) == (None, None, minute(60))


def test_the_longest_time_that_was_asked_for_counts_until_it_is_over(ledger: Ledger) -> None:
    ledger.channel()
    first, second, third = several(ledger)
    ledger.settle(first, quota(60), minute(1))
    ledger.settle(second, quota(30), minute(2))
    ledger.settle(third, Attempt("retry", 503, 1.0, "later"), minute(3))
    assert held(ledger) == (minute(60), QUOTA)
    ledger.settle(first, quota(90), minute(61))
    assert held(ledger) == (minute(90), QUOTA)


@pytest.mark.parametrize("result", [Attempt("retry", 503, 1.0, "later"), Attempt("dead", 410, 1.0, "gone")])
def test_nothing_is_held_that_the_receiver_did_not_ask_for(ledger: Ledger, result: Attempt) -> None:
    ledger.channel()
    ledger.settle(several(ledger)[0], result, minute(1))
    assert held(ledger) == (None, None)


def test_saving_the_channel_ends_it_and_what_the_old_settings_are_answered_does_not_begin_it_again(
    ledger: Ledger,
) -> None:
    ops = ledger.channel()
    first, second, third = several(ledger)
    ledger.settle(first, quota(60), minute(1), settings_at=NOON)
    ledger.commit(channel(ops, create=False, at=minute(2)))
    assert held(ledger) == (None, None)
    ledger.settle(second, quota(60), minute(3), settings_at=NOON)
    assert held(ledger) == (None, None)
    ledger.settle(third, quota(70), minute(4), settings_at=minute(2))
    assert held(ledger) == (minute(70), QUOTA)


def test_a_channel_that_was_switched_off_meanwhile_is_neither_held_nor_failing(ledger: Ledger) -> None:
    ops = ledger.channel()
    first, *_ = several(ledger)
    ledger.commit(channel(ops, create=False, enabled=False, at=minute(2), queued="keep"))
    ledger.settle(first, quota(60), minute(3))
    assert held(ledger) == (None, None)
    assert health(ledger) == (None, None, None)
