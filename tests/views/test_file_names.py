"""Names that others gave are shown so that nothing in them acts, and that two never look the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.web.views import file_names
from rmactors.server.web.views.file_names import Piece


def marks(text: str) -> list[str]:
    return [piece.text for piece in file_names.name(text) if piece.odd]


@pytest.mark.parametrize("text", ["a", "Übung 3.pdf", "日本語", "a  b", r"a\nb", "שלום", "-rf", "[x]*?", "a" * 255])
def test_an_ordinary_name_is_one_plain_piece(text: str) -> None:
    assert file_names.name(text) == (Piece(text),)


def test_nothing_has_no_pieces() -> None:
    assert file_names.name("") == ()


@pytest.mark.parametrize(
    ("text", "mark", "said"),
    [
        ("a\nb", r"\n", "U+000A"),
        ("a\tb", r"\t", "U+0009"),
        ("a\x1b[2Jb", "U+001B", "U+001B"),
        ("a\u202egpj.exe", "U+202E", "right-to-left override (U+202E)"),
        ("a\u200bb", "U+200B", "zero width space (U+200B)"),
        ("a\u00a0b", "U+00A0", "no-break space (U+00A0)"),
        ("caf\ufffd", "\ufffd", "a byte that is not UTF-8, or this character itself"),
        ("end ", "␣", "a space"),
        (" begin", "␣", "a space"),
        (" ", "␣", "a space"),
        ("a\ud800b", "U+D800", "U+D800"),
    ],
)
def test_what_cannot_be_seen_is_a_mark_that_says_what_it_is(text: str, mark: str, said: str) -> None:
    odd = [piece for piece in file_names.name(text) if piece.odd]
    assert [piece.text for piece in odd] == [mark]
    assert odd[0].odd == said


def test_a_real_line_feed_and_a_backslash_with_an_n_look_different() -> None:
    assert file_names.name("a\nb") != file_names.name(r"a\nb")
    assert marks(r"a\nb") == []


@given(st.text(), st.text())
def test_two_names_never_look_the_same(one: str, other: str) -> None:
    assert (file_names.name(one) == file_names.name(other)) == (one == other)


@given(st.text())
def test_nothing_of_what_is_shown_acts(text: str) -> None:
    shown = "".join(piece.text + piece.odd for piece in file_names.name(text))
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert file_names.said(text).isprintable()


@pytest.mark.parametrize(
    ("path", "folder", "last"),
    [("/", "/", "/"), ("/etc", "/", "etc"), ("/etc/passwd", "/etc", "passwd"), ("/etc/ssl/", "/etc", "ssl")],
)
def test_the_folder_of_a_path_and_its_last_name(path: str, folder: str, last: str) -> None:
    assert (file_names.folder_of(path), file_names.last_of(path)) == (folder, last)


def test_crumbs_lead_to_each_folder_above_and_not_to_the_folder_itself() -> None:
    crumbs = file_names.crumbs("/srv/photos/2026", lambda path: f"at:{path}")
    assert [(crumb.name[0].text, crumb.href) for crumb in crumbs] == [
        ("/", "at:/"), ("srv", "at:/srv"), ("photos", "at:/srv/photos"), ("2026", ""),
    ]  # fmt: skip


def test_the_root_has_no_crumb_but_its_own() -> None:
    assert [(crumb.name[0].text, crumb.href) for crumb in file_names.crumbs("/", str)] == [("/", "")]


def test_of_a_very_long_way_the_root_and_the_end_are_shown() -> None:
    crumbs = file_names.crumbs("/" + "/".join(map(str, range(1000))), str)
    assert [crumb.name[0].text for crumb in crumbs] == ["/", "…", *map(str, range(992, 1000))]
    assert crumbs[1].name[0].odd == "992 more folders"
    assert crumbs[2].href == "/" + "/".join(map(str, range(993)))
