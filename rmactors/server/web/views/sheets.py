"""Tables as CSV, for spreadsheets and people. Pure. Every CSV of the product is made here.

Spreadsheets run a cell that begins like a formula, also behind blanks and invisible characters that they skip. Texts
come from strangers, so such a cell gets an apostrophe in front, which spreadsheets do not show.
"""

import csv
import io
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

_RUN: Final = frozenset("=+-@＝＋－＠")
_SKIPPED: Final = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of texts, with its columns' names in the first line."""
    out = io.StringIO()
    written = csv.writer(out)
    written.writerow(columns)
    for row in rows:
        written.writerow([cell(text) for text in row])
    return out.getvalue()


def cell(text: str) -> str:
    """The text, which no spreadsheet runs. What begins with a tab or a line break is kept from being one, too."""
    first = next((character for character in text if unicodedata.category(character) not in _SKIPPED), "")
    return f"'{text}" if first in _RUN or text[:1] in {"\t", "\r", "\n"} else text
