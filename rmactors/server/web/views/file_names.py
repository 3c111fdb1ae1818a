"""Names of files as others gave them: shown so that nothing in them acts, and that two names never look the same. Pure.

What cannot be seen, or would change how the rest is read, is a mark with an explanation: a line feed, a control
character, a change of the direction of reading, a space at an end.
"""

import posixpath
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from rmactors.common.text import MARK
from rmactors.server.web.views.texts import _

_SHORT: Final = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
_NEAREST: Final = 8
"""Folders of a long path that are shown before its end."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a name. `odd` says what a mark stands for; it is empty where the text is the name's own."""

    text: str
    odd: str = ""


Name = tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Crumb:
    """A folder above the one that is shown; `href` is empty for that one itself."""

    name: Name
    href: str


def name(text: str) -> Name:
    """The pieces of a name or a path."""
    if text.isprintable() and MARK not in text and text.strip(" ") == text:
        return (Piece(text),) if text else ()
    found: list[Piece] = []
    plain: list[str] = []
    last = len(text) - 1
    for at, sign in enumerate(text):
        odd = _odd(sign, at in (0, last))
        if odd is None:
            plain.append(sign)
            continue
        if plain:
            found.append(Piece("".join(plain)))
            plain.clear()
        found.append(odd)
    if plain:
        found.append(Piece("".join(plain)))
    return tuple(found)


def said(text: str) -> str:
    """The name in one line, for what reads it aloud."""
    return "".join(piece.text for piece in name(text))


def folder_of(path: str) -> str:
    """The folder that holds it; `/` for what is in the root, or is the root."""
    return posixpath.dirname(path.rstrip("/")) or "/"


def last_of(path: str) -> str:
    """Its name without the folders above; `/` for the root."""
    return posixpath.basename(path.rstrip("/")) or "/"


def crumbs(path: str, href: Callable[[str], str]) -> tuple[Crumb, ...]:
    """The way from the root to this folder; of a very long way, the root and its end. `href` gives a folder's link."""
    parts = [part for part in path.split("/") if part]
    found = [Crumb(name(part), href("/" + "/".join(parts[: n + 1]))) for n, part in enumerate(parts)]
    if len(found) > _NEAREST:
        found = [Crumb((Piece("…", _("%(n)s more folders") % {"n": len(found) - _NEAREST}),), ""), *found[-_NEAREST:]]
    if found:
        found[-1] = Crumb(found[-1].name, "")
    return (Crumb((Piece("/"),), href("/") if found else ""), *found)


def _odd(sign: str, at_an_end: bool) -> Piece | None:
    if sign == MARK:
        return Piece(sign, _("a byte that is not UTF-8, or this character itself"))
    if sign == " ":
        return Piece("␣", _("a space")) if at_an_end else None
    if unicodedata.category(sign) not in _UNSEEN:
        return None
    code = f"U+{ord(sign):04X}"
    called = unicodedata.name(sign, "").lower()
    return Piece(_SHORT.get(sign, code), f"{called} ({code})" if called else code)
