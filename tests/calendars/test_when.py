"""The three ways to say when a schedule runs."""

import pytest

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR
from rmactors.server.calendars.when import When

NOON = clock.from_rfc3339("2026-11-23T12:00:00Z")
THREE = NOON - 9 * HOUR


@pytest.mark.parametrize("when", [When("0 3 * * *", None, None, "UTC"), When(None, "03:00", None, "UTC")])
def test_slots_come_from_the_expression_that_is_given(when: When) -> None:
    assert when.has_slots
    assert when.next_fire(NOON) == THREE + DAY
    assert when.next_run(NOON, counted_from=0) == THREE + DAY
    assert when.previous_fire(NOON, not_before=0) == THREE
    assert when.previous_fire(NOON, not_before=THREE + 1) is None
    assert list(when.fires_between(NOON, NOON + 2 * DAY)) == [THREE + DAY, THREE + 2 * DAY]


def test_an_interval_has_no_slots_and_counts_from_what_was_last() -> None:
    when = When(None, None, 1.5, "UTC")
    assert not when.has_slots
    assert when.next_fire(NOON) is None
    assert when.previous_fire(NOON, not_before=0) is None
    assert list(when.fires_between(0, NOON)) == []
    assert when.next_run(NOON, counted_from=NOON - HOUR) == NOON + HOUR // 2
    assert when.next_run(NOON, counted_from=NOON - DAY) == NOON - DAY + 90 * clock.MINUTE


def test_after_its_last_slot_nothing_is_expected() -> None:
    when = When(None, "2026-01-01", None, "UTC")
    assert when.next_fire(NOON) is None
    assert when.next_run(NOON, counted_from=NOON) is None


@pytest.mark.parametrize(
    ("when", "said"),
    [
        (When("0 3 * * *", None, None, "Europe/Berlin"), ""),
        (When(None, "03:00 Asia/Kathmandu", None, "Mars/Olympus"), ""),  # its own zone counts
        (When(None, None, 24.0, "Mars/Olympus"), ""),
        (When("0 3 * * *", None, None, "Mars/Olympus"), "unknown time zone 'Mars/Olympus'"),
        (When("at three", None, None, "UTC"), "needs five fields"),
        (When(None, "03:00", None, "Mars/Olympus"), "unknown time zone 'Mars/Olympus'"),
        (When(None, "25:00", None, "UTC"), "bad hour"),
    ],
)
def test_what_cannot_be_read_here_is_said(when: When, said: str) -> None:
    assert said in when.trouble()
    assert bool(when.trouble()) is bool(said)
