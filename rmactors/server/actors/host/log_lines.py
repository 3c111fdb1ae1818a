"""A host's log lines until they are on disk: within its budget, in order, and few at a time. Pure.

What is beyond the budget is left out; the numbers of lines show it as a gap. Of a job whose last lines were left out,
the very last one is kept and written down at its end: a gap is seen only if something follows.
"""

from collections import OrderedDict, deque
from typing import Final

from rmactors.server.actors.host.effects import CountLeftOut, SaveLines
from rmactors.server.actors.host.translate import Line
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.runtime.rate_limits import LINE_BYTES, LINE_CHARACTERS, LINES, LINES_A_FRAME, Bucket

AT_ONCE: Final = 2
"""Writes of a host in flight. The next is sent when one is done, so that hosts take turns."""
JOBS_REMEMBERED: Final = 100
"""Jobs of a host whose last line is kept although it was beyond the budget."""

LineEffects = list[SaveLines | CountLeftOut]


class LogLines:
    """Of one host. Each `SaveLines` that it returns is answered by one call of `written`."""

    def __init__(self, host_id: str) -> None:
        self._host_id = host_id
        self._lines, self._bytes = Bucket(*LINES), Bucket(*LINE_BYTES)
        self._waiting: deque[tuple[str, list[Line]]] = deque()
        self._characters = 0
        self._last: OrderedDict[str, Line] = OrderedDict()
        self._in_flight = 0

    def admit(self, job_id: str, lines: list[Line], now: float) -> list[Line]:
        """Those of a frame, from the first on, that the host may send now; each cut to what our agent sends."""
        taken: list[Line] = []
        for number, stream, text in lines[:LINES_A_FRAME]:
            line = (number, stream, text[:LINE_CHARACTERS])
            if not (self._lines.take(1, now) and self._bytes.take(len(line[2]), now)):
                break
            taken.append(line)
        if len(taken) < len(lines):
            number, stream, text = lines[-1]
            self._last[job_id] = (number, stream, text[:LINE_CHARACTERS])
            self._last.move_to_end(job_id)
            if len(self._last) > JOBS_REMEMBERED:
                self._last.popitem(last=False)
        elif lines:
            self._last.pop(job_id, None)
        return taken

    def save(self, job_id: str, lines: list[Line]) -> LineEffects:
        """They are to be written down. While nothing can be written, they do not pile up."""
        effects: LineEffects = []
        for first in range(0, len(lines), LINES_A_FRAME):
            part = lines[first : first + LINES_A_FRAME]
            size = _characters(part)
            if self._characters + size > LINE_BYTES[1] or len(self._waiting) * LINES_A_FRAME >= LINES[1]:
                effects.append(CountLeftOut("log_lines", len(lines) - first))
                break
            self._characters += size
            self._waiting.append((job_id, part))
        return effects + self._send()

    def last_of(self, job_id: str) -> list[Line]:
        """The job's end is on disk: the line that shows that others before it are missing, if any are."""
        last = self._last.pop(job_id, None)
        return [last] if last is not None else []

    def written(self, dropped: int) -> LineEffects:
        """One write is done. `dropped` of its lines found no place at the store."""
        self._in_flight -= 1
        return [*([CountLeftOut("log_lines", dropped)] if dropped else []), *self._send()]

    def _send(self) -> LineEffects:
        effects: LineEffects = []
        while self._waiting and self._in_flight < AT_ONCE:
            job_id, lines = self._waiting.popleft()
            self._characters -= _characters(lines)
            self._in_flight += 1
            effects.append(SaveLines(SaveLogLines(self._host_id, job_id, tuple(lines))))
        return effects


def _characters(lines: list[Line]) -> int:
    return sum(len(text) for _, _, text in lines)
