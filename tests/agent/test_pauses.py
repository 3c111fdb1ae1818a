"""How long an agent waits before it tries again: the longest that chance allows, after one connection after another."""

import pytest

from rmactors.agent.connection import Timings
from rmactors.agent.pauses import Pauses

FAILED = (0.0, False)
WELCOMED = (5.0, False)
GOOD = (0.01, True)
"""Reports got to disk over it, however short it was."""
STABLE = (60.0, False)
OUTAGE = [FAILED] * 7
GROWN = [1, 2, 4, 8, 16, 32, 60]


def longest(low: float, high: float) -> float:
    assert low == 0.0, "full jitter: a fleet comes back spread out"
    return high


@pytest.mark.parametrize(
    ("connections", "limits"),
    [
        # nobody answers
        ([*OUTAGE, FAILED], [*GROWN, 60]),
        # an ill server that welcomes, and dies: it is not hammered
        ([WELCOMED] * 6, [1, 2, 4, 8, 8, 8]),
        ([GOOD] * 6, [1, 2, 4, 8, 8, 8]),
        # a proxy that cuts each connection, after an outage
        ([*OUTAGE, WELCOMED, WELCOMED, WELCOMED, WELCOMED], [*GROWN, 30, 15, 8, 8]),
        ([*OUTAGE, GOOD, GOOD], [*GROWN, 8, 8]),
        ([*OUTAGE, GOOD, FAILED, FAILED], [*GROWN, 8, 8, 16]),
        # every other try fails
        ([*OUTAGE, *[WELCOMED, FAILED] * 3], [*GROWN, 30, 30, 30, 30, 30, 30]),
        ([*OUTAGE, *[GOOD, FAILED] * 2], [*GROWN, 8, 8, 8, 8]),
        # it is well again
        ([*OUTAGE, STABLE, FAILED], [*GROWN, 1, 2]),
        ([WELCOMED, WELCOMED, STABLE], [1, 2, 1]),
    ],
)
def test_only_failed_tries_make_pauses_long_and_only_a_stable_connection_makes_them_short(
    connections: list[tuple[float, bool]], limits: list[float]
) -> None:
    pauses = Pauses(Timings(), longest)
    assert [pauses.after(lived, acked=acked) for lived, acked in connections] == limits


def test_a_refusal_makes_no_other_pause_longer() -> None:
    chosen: list[tuple[float, float]] = []

    def chance(low: float, high: float) -> float:
        chosen.append((low, high))
        return high

    pauses = Pauses(Timings(), chance)
    assert pauses.after_refusal() == 300
    assert pauses.after(0) == 1
    assert chosen == [(150, 300), (0, 1)]


def test_nothing_is_longer_than_the_longest() -> None:
    pauses = Pauses(Timings(first_pause=0.05, longest_pause=0.2), longest)
    assert [pauses.after(5.0) for _ in range(5)] == [0.05, 0.1, 0.2, 0.2, 0.2]


def test_who_leaves_to_say_hello_again_is_back_at_once() -> None:
    pauses = Pauses(Timings(), longest)
    for lived, acked in OUTAGE:
        pauses.after(lived, acked=acked)
    assert pauses.after_leaving() == 1
    assert pauses.after(0) == 60, "and nothing else has changed"
