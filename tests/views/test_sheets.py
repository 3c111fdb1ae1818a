"""What a spreadsheet gets of texts that strangers wrote."""

import csv
import io

import pytest

from rmactors.server.web.views import sheets


@pytest.mark.parametrize(
    "before", ["", " ", "   ", "\r", "\n", "\r\n", "\t", " \t \n", "\xa0", "\u3000", "\ufeff", "\u200b", "\x00", "\x1f"]
)
@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20"])
def test_a_cell_that_begins_like_a_formula_is_none_whatever_stands_before(before: str, sign: str) -> None:
    text = f"{before}{sign}1+1"
    assert sheets.cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", " ", "anna", "a=1", "1-2", " x @ y", "\u00fc", "'=1"])
def test_any_other_stays_as_it_is(text: str) -> None:
    assert sheets.cell(text) == text


@pytest.mark.parametrize("text", ["\tx", "\rx", "\nx"])
def test_a_tab_or_a_line_break_begins_no_cell(text: str) -> None:
    assert sheets.cell(text) == f"'{text}"


def test_a_table_can_be_read_back_cell_by_cell() -> None:
    rows = [["a", 'say "x", then'], ["=1+1", "two\nlines"]]
    text = sheets.table(["one", "two"], rows)
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["one", "two"], ["a", 'say "x", then'], ["'=1+1", "two\nlines"],
    ]  # fmt: skip
