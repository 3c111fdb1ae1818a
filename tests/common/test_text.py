"""Words of others, as a terminal, a mail or a log may have them."""

import sys
import unicodedata

import pytest

from rmactors.common.text import MARK, excerpt, lines, one_line, printable, squeezed, steers

OBEYED = [
    "\x1b", "\x07", "\x00", "\x08", "\x7f", "\x9b", "\x9d", "\u061c", "\u200e", "\u200f", "\u202a", "\u202d", "\u202e",
    "\u2066", "\u2069", "\u200b", "\u2060", "\ufeff", "\u00ad", "\U000e0041", "\ud800", "\ufff9",
]  # fmt: skip


@pytest.mark.parametrize("evil", OBEYED)
def test_what_a_terminal_obeys_or_nobody_sees_is_a_mark(evil: str) -> None:
    assert one_line(f"a{evil}b") == lines(f"a{evil}b") == f"a{MARK}b"


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x85", "\u2028", "\u2029"])
def test_a_line_ends_in_one_way(end: str) -> None:
    assert one_line(f"a{end}b") == "a" + " " * len(end) + "b"
    assert lines(f"a{end}b{end}") == "a\nb"


def test_every_character_there_is_comes_out_printable_and_in_its_place() -> None:
    every = [chr(number) for number in range(sys.maxunicode + 1)]
    shown = one_line("".join(every))
    assert shown.isprintable()
    assert len(shown) == len(every)
    changed = {unicodedata.category(c) for c, now in zip(every, shown, strict=True) if c != now}
    assert changed == {"Cc", "Cf", "Cs", "Co", "Cn", "Zs", "Zl", "Zp"}


def test_what_people_write_stays() -> None:
    for text in ["", "größe – “x”", "バックアップ", "e\N{COMBINING ACUTE ACCENT}", "שלום", "Пароль\nневерен", "  a  "]:
        assert lines(text) == text


@pytest.mark.parametrize(
    "evil", ["\n", "\r", "\t", "\x00", "\x1b", "\x7f", "\x9b", "\u2028", "\u202e", "\u2069", "\ud800"]
)
def test_what_steers_is_found_anywhere(evil: str) -> None:
    assert steers(evil)
    assert steers(f"nightly{evil}")
    assert steers(f"{evil}größe")


def test_names_in_all_scripts_steer_nothing() -> None:
    for name in ["", "nightly", "größe – ü", "a\u00a0b", "می\u200cخواهم", "👩\u200d💻", "שלום"]:
        assert not steers(name)


def test_an_excerpt_has_a_longest_and_says_where_it_was_cut() -> None:
    assert excerpt("abcdef", 6) == "abcdef"
    assert excerpt("abcdefg\x1b", 6) == "abcde…"
    assert excerpt("a\nb", 6) == "a b"


def test_what_is_not_printable_is_a_mark_but_what_may_stay() -> None:
    assert printable("a\tb\x1b\u202ec") == f"a{MARK}b{MARK}{MARK}c"
    assert printable("a\tb\n", also="\t") == f"a\tb{MARK}"
    assert printable("plain") == "plain"


def test_what_separates_words_becomes_one_space() -> None:
    assert squeezed(" no such\r\n  room\x00\x1b[31m ") == "no such room [31m"
