"""What a job wrote, as the lines that people read; and the ones worth keeping of a long output. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from rmactors import wire
from rmactors.agent.restic_output import ExitError, Item, ItemTrouble, Summary, Text

LONGEST_LINE: Final = 1_000
"""Characters of a line that travel; the rest is cut off."""
LINES_A_FRAME: Final = 200
"""Keeps a frame under the limit whatever is in the lines."""

HEAD_LINES: Final = 500
TAIL_LINES: Final = 1_500
"""The end of a long output tells how it ended."""
HEAD_BYTES: Final = 64 << 10
TAIL_BYTES: Final = 184 << 10
"""As JSON; with what frames put around, under 256 KiB a job."""


def said(item: Item) -> wire.LogLine | None:
    """An item of restic's as a line; None for what is not for reading, such as progress."""
    match item:
        case Text(stream=stream, text=text):
            return wire.LogLine(stream, text[:LONGEST_LINE])
        case ItemTrouble(message=message):
            return wire.LogLine("stderr", message[:LONGEST_LINE])
        case ExitError(message=message) if message:
            return wire.LogLine("stderr", message.partition("\n")[0][:LONGEST_LINE])
        case Summary(numbers=numbers):
            return wire.LogLine("stdout", in_a_line(numbers)[:LONGEST_LINE])
        case _:
            return None


class KeptLines:
    """The head and the tail of an output, bounded in lines and bytes, whoever writes however much."""

    def __init__(self) -> None:
        self._count = 0
        self._head: list[wire.LogLine] = []
        self._head_bytes = 0
        self._head_full = False
        self._tail: deque[wire.LogLine] = deque()
        self._tail_bytes = 0

    def add(self, line: wire.LogLine) -> None:
        self._count += 1
        size = _bytes(line)
        if not self._head_full and len(self._head) < HEAD_LINES and self._head_bytes + size <= HEAD_BYTES:
            self._head.append(line)
            self._head_bytes += size
            return
        self._head_full = True  # also for a short line behind a long one: lines stay in order
        self._tail.append(line)
        self._tail_bytes += size
        while len(self._tail) > TAIL_LINES or self._tail_bytes > TAIL_BYTES:
            self._tail_bytes -= _bytes(self._tail.popleft())

    def frames(self, job_id: str) -> Iterator[wire.JobLog]:
        """What was kept, under the numbers that the lines had: what is missing between is seen from them."""
        for first, lines in ((0, self._head), (self._count - len(self._tail), list(self._tail))):
            for start in range(0, len(lines), LINES_A_FRAME):
                yield wire.JobLog(job_id, first + start, lines[start : start + LINES_A_FRAME])


def _bytes(line: wire.LogLine) -> int:
    return len(msgspec.json.encode(line)) + 1


def in_a_line(numbers: Mapping[str, Any]) -> str:
    """A summary for the log: `3 new, 0 changed, 12 unmodified files; 48.8 KiB in all; snapshot 82f6f905`."""
    parts = []
    files = [
        f"{numbers[f'files_{what}']} {what}" for what in ("new", "changed", "unmodified") if f"files_{what}" in numbers
    ]
    if files:
        parts.append(f"{', '.join(files)} files")
    sizes = [
        f"{_size(numbers[name])} {words}"
        for name, words in (("bytes_total", "in all"), ("bytes_added", "added"), ("bytes_restored", "restored"))
        if name in numbers
    ]
    if sizes:
        parts.append(", ".join(sizes))
    if "errors" in numbers:
        parts.append(f"{numbers['errors']} errors")
    if "snapshot_id" in numbers:
        parts.append(f"snapshot {numbers['snapshot_id']}")
    return "; ".join(parts) or "done"


def _size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1024 or unit == "TiB":
            break
        count /= 1024
    return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
