"""A host's log lines on their way to the store: within its budget, in order, and few at a time. Pure.

What is beyond the budget is left out; the numbers of lines show it as a gap. Of a job whose last lines were left out,
the very last one is kept and written down at its end: a gap is seen only where something follows.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

from rmactors.server.messages.answers import Answer
from rmactors.server.messages.jobs import SaveLogLines
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.rate_limits import LINE_BYTES, LINE_CHARACTERS, LINES, LINES_A_FRAME, Bucket

Line = tuple[int, str, str]
"""Number, stream, text."""

AT_ONCE: Final = 2
"""Writes of a host under way. The next sets out when one is done, so that hosts take turns."""
JOBS_REMEMBERED: Final = 100
"""Jobs of a host whose last line is kept although it was beyond the budget."""


class LogLines:
    """Of one host.

    `put_aside` hands a commit to the store, or is False where it takes no more. When one is done, `written` is called;
    then the owner calls `go_on`. `count` is told of lines that found no room although they were within the
    budget: ("left_out", "log_lines") → number.
    """

    def __init__(
        self,
        host_id: str,
        put_aside: Callable[[Commit], bool],
        written: Callable[[], None],
        count: Callable[[dict[tuple[str, ...], int]], None],
    ) -> None:
        self._host_id = host_id
        self._put_aside, self._written, self._count = put_aside, written, count
        self._lines, self._bytes = Bucket(*LINES), Bucket(*LINE_BYTES)
        self._waiting: deque[tuple[str, list[Line]]] = deque()
        self._characters = 0
        self._last: OrderedDict[str, Line] = OrderedDict()
        self._under_way = 0

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

    def save(self, job_id: str, lines: list[Line]) -> None:
        """They are to be written down. Where nothing can be written, they do not pile up."""
        for first in range(0, len(lines), LINES_A_FRAME):
            part = lines[first : first + LINES_A_FRAME]
            size = _characters(part)
            if self._characters + size > LINE_BYTES[1] or len(self._waiting) * LINES_A_FRAME >= LINES[1]:
                self._lost(len(lines) - first)
                break
            self._characters += size
            self._waiting.append((job_id, part))
        self._set_out()

    def last_of(self, job_id: str) -> list[Line]:
        """The job's end is on disk: the line that shows that others before it are missing, where there is one."""
        last = self._last.pop(job_id, None)
        return [last] if last is not None else []

    def go_on(self) -> None:
        """One write is done, whatever became of it."""
        self._under_way -= 1
        self._set_out()

    def _set_out(self) -> None:
        while self._waiting and self._under_way < AT_ONCE:
            job_id, lines = self._waiting.popleft()
            self._characters -= _characters(lines)
            if self._put_aside(Commit((SaveLogLines(self._host_id, job_id, tuple(lines)),), self._reply)):
                self._under_way += 1
            else:
                self._lost(len(lines))

    def _lost(self, number: int) -> None:
        self._count({("left_out", "log_lines"): number})

    def _reply(self, _: Answer) -> None:
        self._written()


def _characters(lines: list[Line]) -> int:
    return sum(len(text) for _, _, text in lines)
