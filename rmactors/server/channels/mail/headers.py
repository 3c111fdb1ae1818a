"""Headers of a mail as they go out: folded, and encoded where they must be (RFC 5322, RFC 2047). Pure.

The standard library loses spaces between encoded words, and takes a text that looks like an encoded word for one. Here
a text arrives as it is, in the view of everybody who follows the RFCs.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Sequence
from email.headerregistry import Address
from typing import Final

_LINE: Final = 76
"""Characters of a line with an encoded word in it (RFC 2047, 2)."""
_AROUND: Final = len("=?utf-8?b??=")
_PLAIN_IN_Q: Final = re.compile(r"[A-Za-z0-9!*+/-]")
"""What may stand for itself in an encoded word, also in a name before an address (RFC 2047, 5)."""
_ATOMS: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+( [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


def text(name: str, value: str) -> str:
    """What stands behind `name:` for a text on one line, without the line end after it."""
    words = value.split(" ")
    literal: list[str] = []
    while words and _is_safe(words[0], _room(name) + _AROUND):
        literal.append(words.pop(0))
    rest = _encoded(" ".join(words), _room(name)) if words else []
    return _folded(name, [*literal, *rest])


def addresses(name: str, each: Sequence[Address]) -> str:
    """What stands behind `name:` for these addresses. One whose local part is not ASCII stays in UTF-8."""
    found: list[str] = []
    for number, address in enumerate(each):
        phrase = list(_phrase(address.display_name, _room(name)))
        last = f"<{address.addr_spec}>" if phrase else address.addr_spec
        found += [*phrase, last + ("," if number < len(each) - 1 else "")]
    return _folded(name, found)


def _phrase(display_name: str, room: int) -> Iterator[str]:
    """A name before an address: as it is, in quotes, or in encoded words."""
    if not display_name:
        return
    if _is_safe(display_name.replace(" ", "x"), room + _AROUND):
        escaped = display_name.replace("\\", "\\\\").replace('"', '\\"')
        yield display_name if _ATOMS.fullmatch(display_name) else f'"{escaped}"'
    else:
        yield from _encoded(display_name, room)


def _is_safe(word: str, room: int) -> bool:
    """Whether a word may stand as it is. Where `=?` is in it, a reader may see an encoded word."""
    return bool(word) and word.isascii() and word.isprintable() and "=?" not in word and len(word) <= room


def _encoded(value: str, room: int) -> list[str]:
    """The text as encoded words, its spaces in them: those between the words do not count. The shorter of the kinds."""
    in_q = [_in_q(letter) for letter in value]
    in_b = len(base64.b64encode(_bytes(value)))
    if sum(map(len, in_q)) <= in_b:
        return [f"=?utf-8?q?{''.join(piece)}?=" for piece in _pieces(zip(in_q, map(len, in_q), strict=True), room)]
    sizes = [len(_bytes(letter)) for letter in value]
    pieces = _pieces(zip(value, sizes, strict=True), room // 4 * 3)
    return [f"=?utf-8?b?{base64.b64encode(_bytes(''.join(piece))).decode()}?=" for piece in pieces]


def _pieces(sized: Iterable[tuple[str, int]], room: int) -> Iterator[list[str]]:
    """Letters with their sizes, in pieces that are not larger than that. No letter is divided."""
    piece: list[str] = []
    left = room
    for letter, size in sized:
        if size > left:
            yield piece
            piece, left = [], room
        piece.append(letter)
        left -= size
    yield piece


def _in_q(letter: str) -> str:
    if letter == " ":
        return "_"
    return letter if _PLAIN_IN_Q.fullmatch(letter) else "".join(f"={byte:02X}" for byte in _bytes(letter))


def _bytes(value: str) -> bytes:
    return value.encode(errors="replace")


def _room(name: str) -> int:
    """For what is in an encoded word, so that each has room on a header's first line."""
    return _LINE - len(name) - len(": ") - _AROUND


def _folded(name: str, words: Sequence[str]) -> str:
    """The words, with a line end before one that has no room on its line."""
    line_so_far = len(name) + len(": ")
    found = words[0] if words else ""
    line_so_far += len(found)
    for word in words[1:]:
        if line_so_far + 1 + len(word) > _LINE:
            found += "\r\n"
            line_so_far = 0
        found += f" {word}"
        line_so_far += 1 + len(word)
    return found
