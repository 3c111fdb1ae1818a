"""Which part of the data a check may read: what restic takes, 0.14 to 0.19.1, and nothing else."""

import pytest

from rmactors.common.subset import check_subset


@pytest.mark.parametrize("text", ["1/1", "1/5", "5/5", "256/256", "0.01%", "2.5%", "100%"])
def test_what_restic_takes_is_taken(text: str) -> None:
    check_subset(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("3/2", "n from 1 to m"),
        ("0/3", "n from 1 to m"),
        ("1/257", "at most 256"),
        ("0%", "above 0%"),
        ("0.000%", "above 0%"),
        ("150%", "at most 100%"),
        ("100.1%", "at most 100%"),
        ("", "like 1/5"),
        ("5", "like 1/5"),
        ("1/5 --x", "like 1/5"),
        ("\u0661/5", "like 1/5"),
        ("-5%", "like 1/5"),
        (5, "like 1/5"),
        (None, "like 1/5"),
    ],
)
def test_what_restic_refuses_is_refused_with_what_it_must_be(text: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        check_subset(text)
