"""Words of others on one line: nothing in them moves a cursor, colours, hides or turns round."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.plain import excerpt, plain


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("all is well", "all is well"),
        ("größer, 大きい, 🦀", "größer, 大きい, 🦀"),
        ("\x1b[31mred\x1b[0m", "�[31mred�[0m"),
        ("\x1b]0;title\x07", "�]0;title�"),
        ("one\r\ntwo\tthree", "one  two three"),
        ("\x9b2J", "�2J"),
        ("abc\u202egnp.exe", "abc�gnp.exe"),
        ("a\u2028b", "a b"),
        ("half \ud800", "half �"),
        ("", ""),
    ],
)
def test_what_a_terminal_would_obey_is_shown_as_a_mark(said: str, shown: str) -> None:
    assert plain(said) == shown


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Zl", "Zp", "L"])))
def test_nothing_is_left_that_is_not_shown(said: str) -> None:
    assert all(unicodedata.category(c)[0] != "C" and c not in "\u2028\u2029" for c in plain(said))


def test_an_excerpt_has_a_longest_and_says_where_it_was_cut() -> None:
    assert excerpt("abcdef", 6) == "abcdef"
    assert excerpt("abcdefg\x1b", 6) == "abcde…"
