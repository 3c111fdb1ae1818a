"""Words of somebody else, made fit for one line of a terminal, a log or a page. Pure.

What comes from hosts, servers and restic is not trusted: characters that a terminal would obey are shown as a mark.
"""

import unicodedata
from typing import Final

_MARK: Final = "\N{REPLACEMENT CHARACTER}"
_BREAKS: Final = "\n\r\t\u2028\u2029"


def plain(text: str) -> str:
    """The text in one line, without anything that moves a cursor or changes its direction."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(" " if c in _BREAKS else _MARK if unicodedata.category(c)[0] == "C" else c for c in text)


def excerpt(text: str, longest: int) -> str:
    """The same, with at most `longest` characters; `…` stands at the end of what was cut."""
    return plain(text if len(text) <= longest else f"{text[: longest - 1]}…")
