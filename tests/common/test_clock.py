"""Time as integer microseconds, and the text it comes from and goes into."""

from datetime import UTC, datetime

import pytest

from rmactors.common import clock


def test_now_is_now() -> None:
    before = datetime.now(UTC)
    assert before <= clock.to_datetime(clock.now() + 1)
    assert clock.to_datetime(clock.now()) <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-11-23T03:00:12.345Z", 1_795_402_812_345_000),
        ("2026-11-23T04:00:12.345+01:00", 1_795_402_812_345_000),
        ("1969-12-31T23:59:59.999999Z", -1),
    ],
)
def test_text_is_read_whatever_its_offset(text: str, micros: int) -> None:
    assert clock.from_rfc3339(text) == micros


@pytest.mark.parametrize("text", ["2026-11-23T03:00:00", "2026-11-23", "yesterday", ""])
def test_text_that_does_not_say_which_moment_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        clock.from_rfc3339(text)


@pytest.mark.parametrize(
    ("micros", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_795_402_812_345_678, "2026-11-23T03:00:12.345Z"),  # cut, not rounded: never later than it was
        (-1, "1969-12-31T23:59:59.999Z"),
    ],
)
def test_text_is_utc_with_milliseconds(micros: int, text: str) -> None:
    assert clock.to_rfc3339(micros) == text


def test_durations_take_fractions() -> None:
    assert clock.seconds(0.25) == 250_000
