"""What a job wrote, as the lines that people read; and the ones worth keeping of a long output. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from rmactors.agent.restic_output import ExitError, Item, ItemTrouble, Summary, Text
from rmactors.common import wire
from rmactors.common.sizes import size

LONGEST_LINE: Final = 1_000
"""Characters of a line that travel; the rest is cut off."""
LINES_A_FRAME: Final = 200
"""Keeps a frame under the limit whatever is in the lines."""

HEAD_LINES: Final = 500
TAIL_LINES: Final = 1_400
"""The end of a long output tells how it ended."""
ERROR_LINES: Final = 100
"""The last ones of stderr, which may lie before all that is still to be read of stdout. With the others, no more than
the server holds while the start of the job is in flight to disk."""
HEAD_BYTES: Final = 64 << 10
TAIL_BYTES: Final = 168 << 10
ERROR_BYTES: Final = 16 << 10
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


class _Newest:
    """The newest lines with their numbers, bounded. `add` gives back what had to go."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._bytes = 0
        self.lines: deque[tuple[int, wire.LogLine]] = deque()

    def add(self, number: int, line: wire.LogLine) -> list[tuple[int, wire.LogLine]]:
        self.lines.append((number, line))
        self._bytes += _bytes(line)
        gone = []
        while len(self.lines) > self._most or self._bytes > self._most_bytes:
            gone.append(self.lines.popleft())
            self._bytes -= _bytes(gone[-1][1])
        return gone


class KeptLines:
    """The head and the tail of an output, bounded in lines and bytes, no matter who writes how much."""

    def __init__(self) -> None:
        self._count = 0
        self._head: list[tuple[int, wire.LogLine]] = []
        self._head_room = HEAD_BYTES
        self._tail = _Newest(TAIL_LINES, TAIL_BYTES)
        self._errors = _Newest(ERROR_LINES, ERROR_BYTES)

    def add(self, line: wire.LogLine) -> None:
        number, self._count = self._count, self._count + 1
        if number == len(self._head) < HEAD_LINES:  # once a line was too long for it, the head is complete
            self._head_room -= _bytes(line)
            if self._head_room >= 0:
                self._head.append((number, line))
                return
        for old, gone in self._tail.add(number, line):
            if gone.stream == "stderr":
                self._errors.add(old, gone)

    def frames(self, job_id: str) -> Iterator[wire.JobLog]:
        """What was kept, under the numbers that the lines had: what is missing between is seen from them."""
        first, part = 0, list[wire.LogLine]()
        for number, line in [*self._head, *self._errors.lines, *self._tail.lines]:
            if part and (number != first + len(part) or len(part) == LINES_A_FRAME):
                yield wire.JobLog(job_id, first, part)
                part = []
            if not part:
                first = number
            part.append(line)
        if part:
            yield wire.JobLog(job_id, first, part)


def _bytes(line: wire.LogLine) -> int:
    return len(msgspec.json.encode(line)) + 1


def in_a_line(numbers: Mapping[str, Any]) -> str:
    """A summary for the log: `3 new, 0 changed, 12 unmodified files; 48.8 MB in all; snapshot 82f6f905`."""
    parts = []
    files = [
        f"{numbers[f'files_{what}']} {what}" for what in ("new", "changed", "unmodified") if f"files_{what}" in numbers
    ]
    if files:
        parts.append(f"{', '.join(files)} files")
    sizes = [
        f"{size(numbers[name])} {words}"
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
