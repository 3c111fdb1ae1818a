"""Tables for people: aligned, as wide as the terminal, and deaf to what hosts would tell a terminal."""

from datetime import UTC, datetime, timedelta

import pytest
from wcwidth import wcswidth

from rmactors.client import views
from rmactors.client.tables import GAP, cut, plain, sheet, table

HEAD = ("ID", "HOST", "MESSAGE")
ROWS = [("01ARZ3", "nas", "Backup of home failed: wrong password"), ("01ARZ4", "datenbank", "short")]


def test_columns_are_aligned_under_their_head() -> None:
    assert table(HEAD, ROWS, None).splitlines() == [
        "ID      HOST       MESSAGE",
        "01ARZ3  nas        Backup of home failed: wrong password",
        "01ARZ4  datenbank  short",
    ]


@pytest.mark.parametrize("columns", [80, 57, 56, 40, 30])
def test_a_table_fits_the_terminal_and_the_last_column_gives_way(columns: int) -> None:
    lines = table(HEAD, ROWS, columns).splitlines()
    assert max(wcswidth(line) for line in lines) <= columns
    assert all(line.startswith(("ID ", "01ARZ3 ", "01ARZ4 ")) for line in lines), "what names a row is never cut"
    assert lines[2].split()[1] == ("datenbank" if columns >= 40 else lines[2].split()[1])


def test_where_nothing_more_can_be_cut_it_is_wider_rather_than_useless() -> None:
    assert "01ARZ3" in table(HEAD, ROWS, 5)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("", 0), ("abc", 3), ("größe", 5), ("バックアップ", 12), ("e\N{COMBINING ACUTE ACCENT}", 1), ("🔧", 2)],
)
def test_columns_are_as_wide_as_a_terminal_shows_them(text: str, columns: int) -> None:
    head, row = table((text, "|"), [("", "|")], None).splitlines()
    assert head == f"{text}{GAP}|"
    assert row.index("|") == columns + len(GAP)


def test_what_is_cut_ends_with_an_ellipsis_and_fits() -> None:
    assert cut("backup", 6) == "backup"
    assert cut("backups", 6) == "backu…"
    assert cut("バックアップ", 6) == "バッ…"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\x1b]0;title\x07", "\r", "\x9b31m", "\u202e", "\x00", "\u2066", "\n"])
def test_nothing_that_a_terminal_obeys_gets_through(evil: str) -> None:
    shown = table(("A", "B"), [(f"x{evil}y", evil)], None) + sheet([("name", evil + "z"), (f"k{evil}", "value")])
    assert not set(shown) & set("\x1b\r\x9b\u202e\x00\u2066\x07")
    assert len(table(("A",), [(evil,)], None).splitlines()) <= 2


def test_a_tab_is_a_space_and_text_stays_text() -> None:
    assert plain("a\tb – ü 日本") == "a b – ü 日本"


def test_a_sheet_leaves_out_what_is_empty() -> None:
    assert sheet([("name", "nas"), ("error", ""), ("status", "online")]) == "name    nas\nstatus  online"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0s"), (119, "119s"), (120, "2m"), (7_199, "120m"), (7_200, "2h"), (200_000, "2d"), (-5, "0s")],
)
def test_an_age_has_one_unit(seconds: int, said: str) -> None:
    now = datetime(2026, 11, 27, tzinfo=UTC)
    assert views.age((now - timedelta(seconds=seconds)).isoformat(), now) == said
    assert views.age(None, now) == "-"
