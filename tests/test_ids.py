"""Ids are ULIDs, made by whoever asks for a write."""

import pytest

from rmactors import ids


def test_fresh_ids_differ_and_have_the_shape_of_one() -> None:
    made = {ids.new() for _ in range(1000)}
    assert len(made) == 1000
    assert all(ids.looks_valid(id) for id in made)


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
