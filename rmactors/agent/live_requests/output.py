"""restic's answers as entries: bytes as they come in, JSON values out. Pure.

What restic shows of a name is text: a byte that is no UTF-8 has become U+FFFD. Times come out in UTC.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct

LONGEST_LINE: Final = 4 << 20
"""Bytes. A snapshot of a few thousand paths has one of some 100 KiB."""
_MOST_BYTES: Final = (1 << 63) - 1
_encode: Final = msgspec.json.Encoder().encode


class Unreadable(Exception):
    """This is not what restic answers."""


class Lines:
    """Whole lines of a stream."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Raises Unreadable if one does not end."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise Unreadable
        return lines


class Node(Struct, frozen=True):
    """A file or folder as `ls` and `find` show it, or the snapshot that `ls` shows first."""

    name: str = ""
    path: str = ""
    type: str = ""
    size: int | None = None
    mtime: str | None = None
    struct_type: str = ""
    id: str = ""
    hostname: str = ""


class Entry(Struct, frozen=True):
    """One line of a folder. `size` is that of a file, in bytes."""

    name: str
    path: str
    type: str
    size: int | None
    mtime: str | None


class Found(Struct, frozen=True):
    """One hit of `find`, without the snapshot that it is in."""

    path: str
    type: str
    size: int | None
    mtime: str | None


class Changed(Struct, frozen=True):
    path: str
    change: str


class _Change(Struct, frozen=True):
    message_type: str = ""
    path: str = ""
    modifier: str = ""


_node: Final = msgspec.json.Decoder(Node)
_change: Final = msgspec.json.Decoder(_Change)


def node(line: bytes) -> Node:
    """A line of `ls`, or a hit. Raises Unreadable."""
    try:
        return _node.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable from None


def entry(found: Node) -> bytes:
    """One line of a folder, as JSON."""
    return _encode(Entry(found.name, found.path, found.type, _size(found), utc(found.mtime)))


def hit(found: Node) -> bytes:
    """The end of a hit as JSON: which snapshot it is in comes before it."""
    return _encode(Found(found.path, found.type, _size(found), utc(found.mtime)))[1:]


def change(line: bytes) -> bytes | None:
    """One change that `diff --json` shows; None for what is none. Raises Unreadable."""
    try:
        found = _change.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Unreadable from None
    if found.message_type != "change":
        return None
    return _encode(Changed(found.path, _kind_of(found.modifier)))


def _kind_of(modifier: str) -> str:
    """`TU`: the type changed, and what goes with it. `?` is content that changed under the same size and time."""
    for sign, kind in (("+", "added"), ("-", "removed"), ("T", "type"), ("M", "modified"), ("?", "modified")):
        if sign in modifier:
            return kind
    return "metadata"


class Finds:
    """The answer of `find --json`: one list, in which each snapshot has its hits before its name."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[Node | str]:
        """Each hit, and behind the last one of a snapshot its full id. Raises Unreadable."""
        text, at = self._rest + data, 0
        while found := _PART.match(text, at):
            at = found.end()
            if found["hit"] is not None:
                yield node(found["hit"])
            elif found["id"] is not None:
                yield found["id"].decode()
        self._rest = text[at:]
        if len(self._rest) > LONGEST_LINE:
            raise Unreadable


_FLAT: Final = rb'\{(?:[^{}"]++|"(?:[^"\\]++|\\.)*+")*+\}'
_PART: Final = re.compile(
    rb'[\s,\[\]]++|\{"matches":(?:\[|null)|(?P<hit>' + _FLAT + rb')|"hits":\d+,"snapshot":"(?P<id>[0-9a-f]{64})"\}'
)
"""Each is taken where the one before ended, so that nothing inside of a name is taken for one."""


def _size(found: Node) -> int | None:
    """restic leaves a size of 0 out."""
    return min(found.size or 0, _MOST_BYTES) if found.type == "file" else None


def utc(time: str | None) -> str | None:
    """As `2026-11-29T12:09:29.683796Z`; None for one that no calendar here has."""
    if time is None:
        return None
    try:
        return datetime.fromisoformat(time).astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, OverflowError):
        return None
