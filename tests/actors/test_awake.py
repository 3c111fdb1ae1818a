"""A pause of the server itself: seconds of three clocks, from a start at 0."""

import pytest

from rmactors.server.actors.awake import LEAST_GRACE, LONGEST, Awake, Moment

GRACE = 120.0


def awake(grace: float = GRACE, patience: float = 300.0) -> Awake:
    return Awake(grace, patience, Moment(0.0, 5000.0, 0.0))


def moment(monotonic: float, wall: float | None = None, cpu: float = 0.0) -> Moment:
    return Moment(monotonic, 5000.0 + (monotonic if wall is None else wall), cpu)


def beat(over: Awake, first: int, last: int) -> float:
    """It looks twice a second. Gives what the last look found."""
    found = 0.0
    for half in range(2 * first, 2 * last + 1):
        found = over.grace_until(moment(half / 2))
    return found


def test_a_start_has_its_grace_and_what_goes_on_has_none() -> None:
    assert beat(awake(), 0, 1000) == GRACE


@pytest.mark.parametrize(
    ("after", "why"),
    [
        (moment(1030.0), "stopped, its clock going on"),
        (moment(1000.5, wall=4600.0), "suspended with its machine for an hour, its clock halted"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_after_a_gap_the_grace_begins_again(after: Moment, why: str) -> None:
    over = awake()
    beat(over, 0, 1000)
    assert over.grace_until(after) == after.monotonic + GRACE, why
    assert over.grace_until(moment(after.monotonic + 0.5, after.wall - 5000.0 + 0.5)) == after.monotonic + GRACE


@pytest.mark.parametrize(
    ("patience", "pause", "counts"),
    [
        (300.0, 2.9, False),
        (300.0, 3.1, True),
        (8.0, 1.9, False),
        (8.0, 2.1, True),
        (0.5, 0.9, False),
        (0.5, 1.1, True),
    ],
)
def test_where_hosts_are_judged_sooner_a_shorter_pause_is_one(patience: float, pause: float, counts: bool) -> None:
    over = awake(patience=patience)
    beat(over, 0, 1000)
    assert (over.grace_until(moment(1000.0 + pause)) > 1000.0) is counts


def test_a_process_that_was_busy_was_not_away() -> None:
    over = awake()
    beat(over, 0, 1000)
    assert over.grace_until(moment(1010.0, cpu=9.0)) == GRACE


def test_a_clock_that_was_set_back_is_no_gap() -> None:
    over = awake()
    beat(over, 0, 1000)
    assert over.grace_until(moment(1000.5, wall=-3600.0)) == GRACE


def test_what_waits_in_the_sockets_is_read_first_without_any_grace_too() -> None:
    over = awake(grace=0.0)
    beat(over, 0, 1000)
    assert over.grace_until(moment(1030.0)) == 1030.0 + LEAST_GRACE


def test_a_machine_that_stops_again_and_again_judges_in_the_end() -> None:
    over = awake()
    now = 1000.0
    beat(over, 0, 1000)
    found = []
    while not found or now < found[-1]:
        now += 60.0
        found.append(over.grace_until(moment(now)))
        assert len(found) < 100
    assert found[-1] == pytest.approx(1060.0 + LONGEST * GRACE)


def test_a_later_gap_has_its_whole_grace_again() -> None:
    over = awake()
    beat(over, 0, 1000)
    over.grace_until(moment(1030.0))
    beat(over, 1031, 5000)
    assert over.grace_until(moment(5030.0)) == 5030.0 + GRACE
