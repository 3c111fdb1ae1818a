"""Lines that take turns, against lists that are looked through."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.edges.turns import Turns


def drained(turns: Turns[str, int]) -> list[int]:
    return [turns.next() for _ in range(len(turns))]


def lined_up(text: str) -> Turns[str, int]:
    """A letter for each that joins: the line it joins. Items are their positions."""
    turns: Turns[str, int] = Turns()
    for number, key in enumerate(text):
        turns.join(key, number)
    return turns


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("", []),
        ("aaa", [0, 1, 2]),
        ("aaaab", [0, 4, 1, 2, 3]),  # the last to come is the second
        ("aabbc", [0, 2, 4, 1, 3]),
    ],
)
def test_each_line_in_turn_and_in_each_the_first_to_come(text: str, order: list[int]) -> None:
    assert drained(lined_up(text)) == order


def test_a_line_that_has_had_its_turn_stands_behind_one_that_came_meanwhile() -> None:
    turns = lined_up("aaa")
    assert turns.next() == 0
    turns.join("b", 3)
    assert drained(turns) == [1, 3, 2]


def test_where_nobody_waits_there_is_no_next() -> None:
    with pytest.raises(KeyError):
        lined_up("").next()


def test_of_the_longest_line_the_first_can_be_sent_away() -> None:
    turns = lined_up("abbb")
    assert turns.longest() == ("b", 3)
    assert turns.send_away("b") == 1
    assert turns.longest() == ("b", 2)
    assert turns.send_away("a") == 0
    assert drained(turns) == [2, 3]


def test_where_nobody_waits_no_line_is_the_longest() -> None:
    turns = lined_up("a")
    turns.next()
    with pytest.raises(KeyError):
        turns.longest()


@given(st.lists(st.one_of(st.sampled_from("abcde"), st.none(), st.just("-")), max_size=60))
def test_the_longest_line_is_known_as_some_come_and_others_go(steps: list[str | None]) -> None:
    """A letter joins its line, None has its turn, and `-` is the first of the longest, sent away."""
    turns: Turns[str, str] = Turns()
    waiting: Counter[str] = Counter()
    for step in steps:
        if step is not None and step != "-":
            turns.join(step, step)
            waiting[step] += 1
        elif waiting.total():
            waiting[turns.next() if step is None else turns.send_away(turns.longest()[0])] -= 1
        assert len(turns) == waiting.total()
        if waiting.total():
            key, length = turns.longest()
            assert waiting[key] == length == max(waiting.values())


@given(st.text("abcde", max_size=60))
def test_nobody_is_forgotten_and_nobody_waits_for_more_than_one_of_each_other_line(text: str) -> None:
    order = drained(lined_up(text))
    assert sorted(order) == list(range(len(text)))
    for key in set(text):
        mine = [place for place, number in enumerate(order) if text[number] == key]
        for before, after in pairwise(mine):
            between = [text[number] for number in order[before + 1 : after]]
            assert len(between) == len(set(between))
