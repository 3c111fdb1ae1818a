"""What changed in a text since another version of it: its lines, as ranges of the ones that are known and as new ones.

A part of a page is fetched again whenever something happens, and mostly a few of its lines differ from what the browser
has. Pure; keeps hashes of lines, not the lines.
"""

from array import array
from collections import OrderedDict
from hashlib import blake2b
from typing import Final, TypeAlias

Change: TypeAlias = tuple[int, int] | str
"""So many lines of the known version from this one on; or a line that is new."""

_KEPT: Final = 256
"""Versions, of all parts and browsers together: 8 bytes a line."""
_MOST_LINES: Final = 20_000


def tag_of(text: str) -> str:
    """An ETag of the text; weak, for what is sent is compressed."""
    return f'W/"{blake2b(text.encode(), digest_size=12).hexdigest()}"'


class KnownVersions:
    """The versions that browsers were sent lately, by their tags. Texts may be added by several threads."""

    def __init__(self, kept: int = _KEPT) -> None:
        self._kept = kept
        self._lines: OrderedDict[str, array[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, tag: str, text: str) -> None:
        """Remember a version. One of very many lines is not kept."""
        lines = text.split("\n")
        if len(lines) > _MOST_LINES:
            return
        self._lines[tag] = array("q", map(hash, lines))
        self._lines.move_to_end(tag)
        while len(self._lines) > self._kept:
            self._lines.popitem(last=False)

    def changes(self, tag: str, text: str) -> list[Change] | None:
        """What makes the version `tag` into `text`; None where that version is not known."""
        known = self._lines.get(tag)
        return None if known is None else changes(known, text.split("\n"))


def changes(known: "array[int]", lines: list[str]) -> list[Change]:
    """Runs as long as can be: a line that is there several times belongs to the run that it goes on with."""
    first: dict[int, int] = {}
    for number in range(len(known) - 1, -1, -1):
        first[known[number]] = number
    found: list[Change] = []
    begin, end = 0, 0  # the run at hand
    for line in lines:
        hashed = hash(line)
        if begin < end < len(known) and known[end] == hashed:
            end += 1
            continue
        if begin < end:
            found.append((begin, end - begin))
        at = first.get(hashed)
        if at is None:
            found.append(line)
            begin, end = 0, 0
        else:
            begin, end = at, at + 1
    if begin < end:
        found.append((begin, end - begin))
    return found


def applied(before: str, made: list[Change]) -> str:
    """The text that `changes` describes: what `web/static/live.js` does."""
    known = before.split("\n")
    lines: list[str] = []
    for change in made:
        lines.extend([change] if isinstance(change, str) else known[change[0] : change[0] + change[1]])
    return "\n".join(lines)
