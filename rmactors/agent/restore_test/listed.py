"""What `restic ls --json` prints, as it comes: the files of a snapshot, one after the other. Pure.

Memory does not grow with the listing. Any cut of the same bytes gives the same entries.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from rmactors.agent.restore_test.sampling import Entry
from rmactors.common.text import MARK

LONGEST_LINE: Final = 1 << 20
"""Bytes. A path has 4,096 at most, each escaped; what is longer is no line of restic's."""
LONGEST_PATH: Final = 4_096
"""Bytes: with more, nothing can be opened by it."""
_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")


class _Node(msgspec.Struct):
    type: str = ""
    path: str = ""
    size: int = 0
    mtime: str = ""
    ctime: str = ""


_node: Final = msgspec.json.Decoder(_Node)


class Listing:
    """Hands each file to `take`. `unnamed` counts files whose path cannot be given back to restic: bytes that are no
    UTF-8 come as marks, and nobody can tell which they were."""

    def __init__(self, take: Callable[[Entry], None]) -> None:
        self._take = take
        self._rest = bytearray()
        self._cut = False
        self.unnamed = 0

    def feed(self, data: bytes) -> None:
        start = 0
        while (end := data.find(b"\n", start)) >= 0:
            self._keep(data[start:end])
            if not self._cut:
                self._line(bytes(self._rest))
            self._rest.clear()
            self._cut = False
            start = end + 1
        self._keep(data[start:])

    def _keep(self, part: bytes) -> None:
        if len(self._rest) + len(part) > LONGEST_LINE:
            self._cut = True
        else:
            self._rest += part

    def _line(self, line: bytes) -> None:
        try:
            node = _node.decode(line)
        except (msgspec.DecodeError, UnicodeError):
            return
        if node.type != "file":  # the snapshot's own line has none
            return
        if MARK in node.path or "\0" in node.path or not node.path.startswith("/") or _is_long(node.path):
            self.unnamed += 1
            return
        self._take(Entry(node.path, max(0, node.size), nanoseconds(node.mtime), nanoseconds(node.ctime)))


def nanoseconds(text: str) -> int | None:
    """Since 1970, of a time as Go writes it (`2026-11-29T12:02:04.363132571Z`); None of anything else."""
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    try:
        whole = datetime.fromisoformat(found[1] + found[3].replace("Z", "+00:00"))
        return int((whole - _EPOCH).total_seconds()) * 10**9 + int((found[2] or "0").ljust(9, "0"))
    except ValueError:
        return None


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _is_long(path: str) -> bool:
    return len(path) * 4 > LONGEST_PATH and len(path.encode("utf-8", "surrogatepass")) >= LONGEST_PATH
