"""How wrong codes slow down, as pure numbers."""

import pytest

from rmactors.common.clock import HOUR, SECOND
from rmactors.server.store import guesses

NOON = 1_700_000_000 * SECOND


@pytest.mark.parametrize(
    ("wrong", "pause"),
    [
        (0, 0), (1, 0), (9, 0), (10, 12 * SECOND), (11, 24 * SECOND), (12, 48 * SECOND), (18, 3072 * SECOND),
        (19, HOUR), (20, HOUR), (10_000_000, HOUR),
    ],
)  # fmt: skip
def test_after_ten_in_a_row_each_wrong_code_doubles_the_pause_up_to_an_hour(wrong: int, pause: int) -> None:
    assert guesses.pause_after(wrong) == pause


def test_a_pause_runs_out_and_a_clock_that_was_wrong_makes_it_no_longer() -> None:
    assert guesses.wait(10, NOON, NOON) == 12 * SECOND
    assert guesses.wait(10, NOON, NOON + 11 * SECOND) == SECOND
    assert guesses.wait(10, NOON, NOON + 12 * SECOND) == 0
    assert guesses.wait(9, NOON, NOON) == 0
    assert guesses.wait(10, NOON + 365 * 24 * HOUR, NOON) == 12 * SECOND, "the last try was in a year that was none"


def test_administrators_hear_of_ten_in_a_row_and_whenever_they_have_doubled() -> None:
    assert [wrong for wrong in range(400) if guesses.is_alarming(wrong)] == [10, 20, 40, 80, 160, 320]


def test_who_guesses_day_and_night_needs_years() -> None:
    """Three codes of a million are good at a time."""
    a_day = sum(1 for _ in range(0, 24 * HOUR, guesses.pause_after(1_000_000)))
    assert a_day * 365 * 3 / 1_000_000 < 0.03
