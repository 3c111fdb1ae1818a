"""Words of others, made fit for a terminal, a mail or a log: nothing in them moves a cursor or reorders a line. Pure.

What is not printable is shown as a mark: control characters, and those that turn the direction of reading or that
nobody sees. Whitespace of every kind becomes a plain space.
"""

import unicodedata
from typing import Final

MARK: Final = "\N{REPLACEMENT CHARACTER}"


_REORDERING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def steers(text: str) -> bool:
    """Whether anything in it ends a line, is obeyed by a terminal or reverses the order of reading: no name does."""
    if text.isprintable():
        return False
    return any(sign in _REORDERING or unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") for sign in text)


def printable(text: str, also: str = "") -> str:
    """The text, as long as before, with a mark for each character that is neither printable nor one of `also`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in also else MARK for c in text)


def one_line(text: str) -> str:
    """The text in one line, as long as before."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else " " if c.isspace() else MARK for c in text)


def squeezed(text: str) -> str:
    """The text in one line: each run of whitespace and of what is not printable becomes one space."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def lines(text: str) -> str:
    """The text with its lines kept, each ended by a line feed but the last."""
    if text.isprintable():
        return text
    return "\n".join(map(one_line, text.splitlines()))


def excerpt(text: str, longest: int) -> str:
    """The text in one line of at most `longest` characters; `…` stands at the end of what was cut."""
    return one_line(text if len(text) <= longest else f"{text[: longest - 1]}…")
