"""How long a refusal is not believed. Times: microseconds from 0."""

import pytest

from rmactors.common.clock import MINUTE, SECOND
from rmactors.server.state.refusals import Refusals, one_more


def test_a_few_tries_over_ten_minutes_and_the_last_when_they_are_over() -> None:
    now, refusals, times = 0, one_more(None, 0), [0]
    while not refusals.believed(now):
        now = refusals.next_at(now)
        refusals = one_more(refusals, now)
        times.append(now // SECOND)
    assert times == [0, 5, 15, 35, 75, 155, 315, 475, 600]


@pytest.mark.parametrize(
    ("refusals", "now", "not_before", "believed"),
    [
        (Refusals(0, 0, 4), 10 * MINUTE, 0, True),
        (Refusals(0, 0, 4), 10 * MINUTE - 1, 0, False),
        (Refusals(0, 0, 3), 10 * MINUTE, 0, False),  # too few, however long ago: the process stood still
        (Refusals(0, 0, 9), 10 * MINUTE, MINUTE, False),  # what came later has its own ten minutes
        (Refusals(0, 0, 9), 11 * MINUTE, MINUTE, True),
    ],
)
def test_when_they_are_believed(refusals: Refusals, now: int, not_before: int, believed: bool) -> None:
    assert refusals.believed(now, not_before) is believed


def test_after_a_standstill_tries_go_on_with_their_pauses() -> None:
    assert Refusals(0, 0, 2).next_at(20 * MINUTE) == 20 * MINUTE + 10 * SECOND


def test_what_comes_within_a_second_counts_as_one() -> None:
    first = one_more(None, 7)
    assert one_more(first, 7 + SECOND - 1) == first
    assert one_more(first, 7 + SECOND) == Refusals(7, 7 + SECOND, 2)
