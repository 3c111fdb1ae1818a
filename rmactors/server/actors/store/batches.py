"""What may share one transaction of the store: so many requests, rows and characters. Pure.

A transaction that is too large keeps everybody waiting who comes after it. One request alone always fits: it cannot
be divided. Log lines have bounds of their own, so that they never take more than their share of a batch.
"""

from dataclasses import dataclass
from typing import Final

from rmactors.server.messages.hosts import NoteOnHost, RecordHello, RecordSigns
from rmactors.server.messages.jobs import SaveEnd, SaveLogLines
from rmactors.server.messages.writes import Commit

REQUESTS: Final = 256
"""Past this, a batch costs more in latency than it saves in fsyncs."""
ROWS: Final = 4_000
CHARACTERS: Final = 2 << 20
"""Both are some 50 ms of the writing thread."""
LINE_ROWS: Final = 800
LINE_CHARACTERS: Final = 256 << 10
"""Of log lines: an eighth and a fifth of a full batch, four frames of an agent."""


@dataclass(slots=True)
class Room:
    """What is left of a batch. `takes` says whether a request still fits, and counts it in."""

    rows: int
    characters: int
    empty: bool = True

    def takes(self, commit: Commit) -> bool:
        rows, characters = weight(commit)
        if not self.empty and (rows > self.rows or characters > self.characters):
            return False
        self.empty = False
        self.rows -= rows
        self.characters -= characters
        return True


def for_requests() -> Room:
    return Room(ROWS, CHARACTERS)


def for_log_lines() -> Room:
    return Room(LINE_ROWS, LINE_CHARACTERS)


def weight(commit: Commit) -> tuple[int, int]:
    """Rows that it changes, more or less, and characters of the texts in it that may be long."""
    rows = characters = 0
    for write in commit.writes:
        rows += 1
        match write:
            case SaveEnd():
                characters += len(write.report.stats) + len(write.report.error or "")
            case SaveLogLines():
                rows += len(write.lines)
                characters += sum(len(text) for _, _, text in write.lines)
            case RecordHello():
                characters += len(write.plans)
            case RecordSigns():
                rows += len(write.signs)
            case NoteOnHost():
                characters += len(write.detail)
            case _:
                pass
    return rows, characters
