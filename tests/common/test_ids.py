"""Ids are ULIDs, made by the sender of a write."""

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from ulid import ULID

from rmactors.common import ids


def test_fresh_ids_differ_and_have_the_shape_of_one() -> None:
    made = {ids.new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.looks_valid(id) for id in made)


def test_a_fresh_id_says_when_it_was_made_as_a_ulid_does() -> None:
    before = time.time_ns() // 1_000_000
    made = ULID.from_str(ids.new())
    assert before <= made.milliseconds <= time.time_ns() // 1_000_000
    assert len({ULID.from_str(ids.new()).bytes[6:] for _ in range(1000)}) == 1000


def test_ids_of_a_thread_are_in_the_order_in_which_they_were_made() -> None:
    made = [ids.new() for _ in range(20_000)]
    assert made == sorted(set(made))


def test_ids_follow_a_clock_that_is_set_back_and_go_on_where_it_is_slowed_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at = 4_000_000_000_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: at)
    first = ids.new()
    at -= 500_000_000
    second = ids.new()
    assert second > first
    assert ULID.from_str(second).milliseconds == 4_000_000_000_000
    at -= 86_400_000_000_000
    assert ULID.from_str(ids.new()).milliseconds == 3_999_913_599_500


def test_threads_never_make_the_same_id() -> None:
    with ThreadPoolExecutor(4) as pool:
        made = [id for some in pool.map(lambda _: [ids.new() for _ in range(2_000)], range(8)) for id in some]
    assert len(set(made)) == len(made) == 16_000


def test_an_id_that_is_derived_is_the_same_every_time() -> None:
    assert ids.derived("host", "a") == ids.derived("host", "a")
    assert (
        len({ids.derived("host", "a"), ids.derived("host", "b"), ids.derived("hosta"), ids.derived("hos", "ta")}) == 4
    )
    assert ids.looks_valid(ids.derived("host", "a"))


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("01JDX0000000000000000000AB", True),
        ("01jdx0000000000000000000ab", True),
        ("01JDX0000000000000000000A", False),
        ("01JDX0000000000000000000ABC", False),
        ("01JDX0000000000000000000A\n", False),
        ("01JDX0000000000000000000Aé", False),
        ("", False),
    ],
)
def test_what_has_the_shape_of_an_id(text: str, valid: bool) -> None:
    assert ids.looks_valid(text) is valid


def test_an_id_and_its_sixteen_bytes_are_the_same_thing() -> None:
    text = ids.new()
    raw = ids.to_bytes(text)
    assert raw == ids.to_bytes(text.lower()) == ULID.from_str(text).bytes
    assert len(raw) == 16
    assert ids.from_bytes(raw) == text
    with pytest.raises(ValueError, match="26 characters"):
        ids.to_bytes("no id")


def test_the_ids_of_a_process_are_not_those_of_the_one_that_it_was_forked_from() -> None:
    ids.new()
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.write(writing, "".join(ids.new() for _ in range(100)).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        theirs = pipe.read()
    os.waitpid(child, 0)
    assert len(theirs) == 2600
    assert not {ids.new() for _ in range(100)} & {theirs[start : start + 26] for start in range(0, 2600, 26)}
