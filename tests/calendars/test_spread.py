"""Cron expressions that fire some minutes later: exactly those minutes, or refused."""

from itertools import islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rmactors.common import clock, cron
from rmactors.common.clock import DAY, MINUTE
from rmactors.server.calendars import spread
from rmactors.server.calendars.spread import CannotShift, minute_of, shifted, widest

START = clock.from_rfc3339("2027-12-30T00:00:00Z")
"""Before the turn of a year, and before a February with 29 days."""
LONG = 460 * DAY


@pytest.mark.parametrize(
    ("expr", "minutes", "expected"),
    [
        ("0 2 * * *", 0, "0 2 * * *"),
        ("@daily", 0, "@daily"),
        ("0 2 * * *", 30, "30 2 * * *"),
        ("45 2 * * *", 30, "15 3 * * *"),
        ("30 23 * * *", 45, "15 0 * * *"),
        ("@daily", 61, "1 1 * * *"),
        ("@hourly", 17, "17 * * * *"),
        ("@weekly", 24 * 60 - 1, "59 23 * * 0"),
        ("30 23 * * 1-5", 29, "59 23 * * 1-5"),
        ("30 23 * * 1-5", 30, "0 0 * * 2-6"),
        ("30 23 * * MON,SAT,SUN", 30, "0 0 * * 0-2"),
        ("30 23 1,15 * *", 60, "30 0 2,16 * *"),
        ("30 23 27 2,4 *", 60, "30 0 28 2,4 *"),
        ("30 23 1 * 5", 60, "30 0 2 * 6"),
        ("0 */6 * * *", 5, "5 */6 * * *"),
        ("0 */6 * * *", 65, "5 1,7,13,19 * * *"),
        ("*/15 * * * *", 7, "7,22,37,52 * * * *"),
        ("*/20 9-17 * * 1-5", 19, "19,39,59 9-17 * * 1-5"),
        ("* * * * *", 7, "* * * * *"),
        ("0 3 L * *", 10, "10 3 L * *"),
        ("0 3 * * 5#2", 10, "10 3 * * 5#2"),
    ],
)
def test_a_shifted_expression_is_written_like_this(expr: str, minutes: int, expected: str) -> None:
    assert shifted(expr, minutes) == expected


@pytest.mark.parametrize(
    ("expr", "minutes", "why"),
    [
        ("*/20 9-17 * * *", 20, "next hour"),
        ("0,30 2 * * *", 30, "next hour"),
        ("0 0,23 * * 1-5", 60, "before midnight and some after"),
        ("0 23 28 * *", 60, "month after"),
        ("0 23 29 2 *", 60, "month after"),
        ("0 23 31 * *", 60, "month after"),
        ("0 23 30 4 *", 60, "month after"),
        ("0 23 * 5 *", 60, "month after"),
        ("0 23 * 5 1", 60, "month after"),
        ("0 23 L * *", 60, "counted from the end"),
        ("0 23 * * 5#2", 60, "counted from the end"),
        ("0 23 * * 5L", 60, "counted from the end"),
        ("0 23 */2 * 1", 60, "both ways"),
    ],
)
def test_what_no_expression_says_is_refused_with_the_reason(expr: str, minutes: int, why: str) -> None:
    with pytest.raises(CannotShift, match=why):
        shifted(expr, minutes)
    most, reason = widest(expr, spread.LONGEST_MINUTES)
    assert 1 <= most <= minutes
    assert reason
    assert widest(expr, most) == (most, "")


def test_what_is_no_cron_expression_is_refused_as_such() -> None:
    for expr in ("at night", "61 * * * *", "0 0 31 2 *"):
        with pytest.raises(ValueError, match="cron expression"):
            shifted(expr, 5)


# ---- whatever the expression


def numbers(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    some = st.lists(number, min_size=1, max_size=3).map(lambda found: ",".join(map(str, found)))
    ranges = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    steps = st.integers(2, 20).map(lambda step: f"*/{step}")
    return st.one_of(number.map(str), some, ranges, steps)


EXPRESSIONS = st.tuples(
    numbers(0, 59), st.one_of(st.just("*"), numbers(0, 23)), st.one_of(st.just("*"), numbers(1, 31)),
    st.one_of(st.just("*"), numbers(1, 12)), st.one_of(st.just("*"), numbers(0, 7)),
).map(" ".join)  # fmt: skip


def fires(expr: str, start: int) -> list[int]:
    return list(islice(cron.fires_between(expr, "UTC", start - 1, start + LONG), 300))


@given(EXPRESSIONS, st.one_of(st.integers(1, 59), st.integers(1, spread.LONGEST_MINUTES)))
@example("30 23 * * 1-5", 45)
@example("15 23 27 2 *", 59)
@example("0 23 * * 7", 61)
@example("0 0 1 1 *", 1439)
@example("59 23 31 12 *", 1)
def test_a_shifted_expression_fires_exactly_so_much_later_or_is_refused(expr: str, minutes: int) -> None:
    try:
        base = fires(expr, START)
    except ValueError:
        return  # never fires: a form refuses it
    try:
        later = shifted(expr, minutes)
    except CannotShift:
        return
    by = minutes * MINUTE
    assert fires(later, START + by)[: len(base)] == [at + by for at in base], later


# ---- each host's minute


def test_a_host_keeps_its_minute_and_hosts_fill_the_window_evenly() -> None:
    hosts = [f"01HOST{n:020}" for n in range(6000)]
    for window in (1, 7, 60, 1440):
        found = [minute_of("01POLICY", host, window) for host in hosts]
        assert found == [minute_of("01POLICY", host, window) for host in hosts]
        counts = [found.count(minute) for minute in range(window)]
        assert sum(counts) == 6000
        expected = 6000 / window
        assert all(abs(count - expected) < 5 * expected**0.5 for count in counts)


def test_another_policy_puts_a_host_at_another_minute() -> None:
    hosts = [f"01HOST{n:020}" for n in range(200)]
    same = [host for host in hosts if minute_of("one", host, 60) == minute_of("two", host, 60)]
    assert len(same) < 20


@given(st.text(min_size=1), st.text(min_size=1), st.text(min_size=1), st.integers(1, 700), st.integers(1, 700))
def test_a_wider_window_keeps_the_order_of_hosts(policy: str, a: str, b: str, narrow: int, wider: int) -> None:
    first, second = sorted((a, b), key=lambda host: minute_of(policy, host, 1 << 40))
    for window in (narrow, narrow + wider):
        assert minute_of(policy, first, window) <= minute_of(policy, second, window)


def test_without_a_window_everybody_runs_at_once() -> None:
    assert minute_of("policy", "host", 0) == 0
    assert widest("0 2 * * *", 0) == (0, "")
