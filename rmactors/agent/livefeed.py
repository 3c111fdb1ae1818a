"""What may be dropped: progress and log lines of running jobs, while somebody may be looking.

Owns a few hundred lines per job until the link takes them; keeps the newest. Reports never come this way.
"""

from dataclasses import dataclass, field
from typing import Final

import trio

from rmactors.agent.loglines import LINES_A_FRAME
from rmactors.common import wire

LINES_HELD: Final = 400
"""Per job, between two sends a second apart. More than that nobody reads; the oldest go."""


@dataclass(slots=True)
class _Lines:
    first: int
    lines: list[wire.LogLine] = field(default_factory=list)


class LiveFeed:
    """Progress coalesces, lines queue up to a bound, and nothing is kept while no link is open."""

    def __init__(self) -> None:
        self._progress: dict[str, wire.JobProgress] = {}
        self._lines: dict[str, _Lines] = {}
        self._news = trio.Event()
        self._hurry = trio.Event()
        self._open = False

    def open(self) -> None:
        self._open = True

    def close(self) -> None:
        self._open = False
        self._progress.clear()
        self._lines.clear()

    def progress(self, frame: wire.JobProgress) -> None:
        if self._open:
            self._progress[frame.job_id] = frame
            self._news.set()

    def line(self, job_id: str, number: int, line: wire.LogLine) -> None:
        """Line `number` of a job's output, counted from 0 by the job itself."""
        if not self._open:
            return
        held = self._lines.setdefault(job_id, _Lines(number))
        if len(held.lines) >= LINES_HELD:
            del held.lines[0]
            held.first += 1
        held.lines.append(line)
        self._news.set()

    def ended(self, job_id: str) -> None:
        """A job is over: its last lines need not wait for their second, its progress is of no interest any more."""
        self._progress.pop(job_id, None)
        self._hurry.set()

    async def wait(self) -> None:
        """Until there is something to take."""
        await self._news.wait()

    async def pause(self, seconds: float) -> None:
        """Between two sends: for so long, or until a job ends."""
        with trio.move_on_after(seconds):
            await self._hurry.wait()
        self._hurry = trio.Event()

    def take(self) -> list[wire.Frame]:
        """Everything held, as frames, lines before progress."""
        frames: list[wire.Frame] = []
        for job_id, held in self._lines.items():
            for start in range(0, len(held.lines), LINES_A_FRAME):
                part = held.lines[start : start + LINES_A_FRAME]
                frames.append(wire.JobLog(job_id=job_id, first_line=held.first + start, lines=part))
        frames.extend(self._progress.values())
        self._lines.clear()
        self._progress.clear()
        self._news = trio.Event()
        return frames
