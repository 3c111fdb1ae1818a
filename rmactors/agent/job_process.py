"""One program of a job, restic or a hook: its output goes into the job's log, its progress to the live feed.

Owns the numbering of the job's lines, and what must not be shown in them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from rmactors.agent import process
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.loglines import LONGEST_LINE, said
from rmactors.agent.masking import Mask
from rmactors.agent.output_summary import OutputSummary
from rmactors.agent.process import Stop
from rmactors.agent.restic_output import Item, OutputParser, Progress, Stream
from rmactors.agent.verdict import cause_of
from rmactors.common import wire

LONGEST_ANSWER: Final = 64 << 20
"""Bytes: some ten thousand snapshots."""
_CAUSES_TOLD: Final = 20
_LAST_IN_TURN: Final = 19
"""A niceness, which Linux takes for the disk as well."""


class JobProcess:
    """Runs the programs of one job, one at a time."""

    def __init__(self, job_id: str, feed: LiveFeed, mask: Mask, stop: Stop, grace_seconds: float) -> None:
        self._job_id = job_id
        self._feed = feed
        self._mask = mask
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._lines = 0
        self._causes_told: set[str] = set()
        self.pid: int | None = None
        """Of the newest program."""
        self.in_background = False
        """Whether everything else on this machine goes first."""

    async def run(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        summary: OutputSummary,
        stop: Stop | None = None,
        *,
        give_up: bool = False,
        answer: bytearray | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> int:
        """Its exit code; 127 if it cannot be started. It stops with the job, or by a `stop` of its own.

        `give_up`: end it when the repository does not answer at once. `answer`: where stdout goes, up to a bound,
        instead of into the log. `take`: what gets it as it comes, without a bound.
        """
        parsers = {"stdout": OutputParser("stdout"), "stderr": OutputParser("stderr")}
        stop = stop or self._stop

        def on_output(stream: Stream, data: bytes) -> None:
            if take is not None and stream == "stdout":
                take(data)
                return
            if answer is not None and stream == "stdout":
                answer.extend(data[: LONGEST_ANSWER - len(answer)])
                return
            for item in parsers[stream].feed(data):
                self._take(item, summary)
            if give_up and summary.cause is not None:
                stop.ask("cancelled")

        def on_start(pid: int) -> None:
            self.pid = pid

        niceness = _LAST_IN_TURN if self.in_background else 0
        try:
            code = await process.run(command, environment, on_output, stop, self._grace_seconds, on_start, niceness)
        except OSError as error:
            summary.first_fatal = f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}"
            return 127
        for parser in parsers.values():
            for item in parser.finish():
                self._take(item, summary)
        return code

    def tell(self, text: str) -> None:
        """A line of the agent's own in the job's log."""
        self._line(wire.LogLine("stderr", f"rmactors: {text}"[:LONGEST_LINE]))

    def _take(self, item: Item, summary: OutputSummary) -> None:
        summary.take(item)
        self._tell_cause(cause_of(summary))
        match item:
            case Progress():
                self._feed.progress(
                    wire.JobProgress(
                        job_id=self._job_id, percent=item.percent, files_done=item.files_done,
                        files_total=item.files_total, bytes_done=item.bytes_done, bytes_total=item.bytes_total,
                        eta_seconds=item.eta_seconds,
                    )
                )  # fmt: skip
            case _:
                if (line := said(item)) is not None:
                    self._line(line)

    def _tell_cause(self, cause: str | None) -> None:
        """restic may try for a quarter of an hour what cannot be: who looks at the job is told why, once."""
        if cause is not None and cause not in self._causes_told and len(self._causes_told) < _CAUSES_TOLD:
            self._causes_told.add(cause)
            self.tell(f"{cause}; restic keeps trying, for up to 15 minutes")

    def _line(self, line: wire.LogLine) -> None:
        line = wire.LogLine(line.stream, self._mask(line.text))
        self._feed.line(self._job_id, self._lines, line)
        self._lines += 1
