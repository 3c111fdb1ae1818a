"""Which connections of one credential may stay."""

from collections.abc import Callable

import pytest

from rmactors.server.edges.places import GREETED, PATIENCE, SILENT, WAITING, Places, Purpose


class Doors:
    """Places, and which connections were closed."""

    def __init__(self) -> None:
        self.places = Places()
        self.closed: list[int] = []

    def close(self, number: int) -> Callable[[], None]:
        return lambda: self.closed.append(number)

    def enter(self, number: int, now: float = 0.0, credential: str = "host") -> None:
        self.places.enter(credential, number, self.close(number), now)

    def greet(self, number: int, purpose: Purpose = "agent", credential: str = "host") -> None:
        self.places.greet(credential, number, purpose, self.close(number))


def test_of_too_many_silent_connections_the_oldest_goes() -> None:
    doors = Doors()
    for number in range(SILENT + 2):
        doors.enter(number)
        doors.enter(100 + number, credential="another")
    assert doors.closed == [0, 100, 1, 101]
    assert doors.places.silent_of("host") == list(range(2, SILENT + 2))


def test_each_of_them_has_a_moment_for_its_hello_before_it_makes_room() -> None:
    doors = Doors()
    assert doors.places.must_wait("host", 0.0) == 0.0
    for number in range(SILENT):
        assert doors.places.must_wait("host", 0.1 * number) == 0.0
        doors.enter(number, 0.1 * number)
    assert doors.places.must_wait("host", 0.75) == PATIENCE - 0.75
    assert doors.places.must_wait("host", PATIENCE) == 0.0
    assert doors.places.must_wait("another", 0.75) == 0.0


@pytest.mark.parametrize("ends", [lambda doors: doors.greet(3), lambda doors: doors.places.leave("host", 3)])
def test_a_hello_or_an_end_makes_room_at_once(ends: Callable[[Doors], None]) -> None:
    doors = Doors()
    for number in range(SILENT):
        doors.enter(number)
    ends(doors)
    assert doors.places.must_wait("host", 0.0) == 0.0
    doors.enter(SILENT)
    assert doors.closed == []


def test_only_so_many_wait_for_a_place() -> None:
    places = Places()
    assert [places.queue("host") for _ in range(WAITING + 1)] == [True] * WAITING + [False]
    assert places.queue("another")
    places.unqueue("host")
    assert places.queue("host")


@pytest.mark.parametrize("purpose", ["agent", "report"])
def test_of_too_many_that_said_hello_the_one_goes_that_was_not_heard_for_longest(purpose: Purpose) -> None:
    doors = Doors()
    doors.greet(1_000, "report" if purpose == "agent" else "agent")
    for number in range(GREETED[purpose]):
        doors.greet(number, purpose)
    doors.places.heard("host", 0)
    doors.places.heard("host", 5_000)
    doors.places.heard("nobody", 0)
    doors.greet(2_000, purpose)
    assert doors.closed == [1]
    doors.greet(2_000, purpose)
    assert doors.closed == [1], "the same connection once more is no other one"


def test_who_greets_again_for_another_purpose_is_counted_there() -> None:
    doors = Doors()
    for number in range(GREETED["agent"]):
        doors.greet(number)
    doors.greet(0, "report")
    doors.greet(99)
    assert doors.closed == []


def test_nothing_is_remembered_of_those_that_have_left() -> None:
    doors = Doors()
    assert doors.places.silent_of("host") == []
    doors.places.queue("host")
    doors.enter(1)
    doors.places.unqueue("host")
    doors.greet(1)
    doors.enter(2)
    assert len(doors.places) == 1
    doors.places.leave("host", 1)
    doors.places.leave("host", 2)
    doors.places.leave("host", 3)
    assert len(doors.places) == 0
