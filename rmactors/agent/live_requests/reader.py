"""restic, for a question: it reads one repository, takes no lock, and shows what it does to nobody.

Owns nothing beyond the call. What it prints is never logged: names of files stand in it.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

import trio

from rmactors.agent import process
from rmactors.agent.agent_file import Repository
from rmactors.agent.masking import Mask
from rmactors.agent.output_summary import OutputSummary
from rmactors.agent.process import Stop
from rmactors.agent.restic_calls import flags_of
from rmactors.agent.restic_output import OutputParser, Stream
from rmactors.agent.restic_steps import Run
from rmactors.agent.verdict import JobVerdict, cause_of, judge

LONGEST_ANSWER: Final = 64 << 20
"""Bytes of an answer that is read whole."""
GRACE_SECONDS: Final = 5.0
"""What a restic that reads is given to end by itself."""
TRY_SECONDS: Final = 10.0
"""For so long restic may try again what its backend does not do. A job waits a quarter of an hour; somebody who looks
is told."""


class TooLong(Exception):
    """What takes restic's output has enough of it."""


class Reader:
    """Calls of restic on one repository. `turns` is how many may run at once, over all repositories.

    Each call ends with its restic, also when it is cancelled.
    """

    def __init__(
        self, restic: str, repository: Repository, environment: Mapping[str, str], turns: trio.CapacityLimiter
    ) -> None:
        self._restic = restic
        self._environment = environment
        self._flags = flags_of(repository, environment)
        self._turns = turns
        self.mask = Mask(repository.repository)

    async def ask(self, *arguments: str) -> Run:
        """With restic's whole stdout as the answer."""
        out = bytearray()

        def take(data: bytes) -> None:
            out.extend(data)
            if len(out) > LONGEST_ANSWER:
                raise TooLong

        try:
            run = await self.read(take, *arguments)
        except TooLong:
            words = f"restic's answer to `{arguments[0]}` is longer than {LONGEST_ANSWER >> 20} MiB"
            return Run(0, OutputSummary(), JobVerdict("failed", "error", words))
        return replace(run, answer=bytes(out))

    async def read(self, take: Callable[[bytes], None], *arguments: str) -> Run:
        """`take` gets restic's stdout as it comes. What it raises ends restic, and comes out."""
        async with self._turns:
            return await self._read(take, arguments)

    async def _read(self, take: Callable[[bytes], None], arguments: tuple[str, ...]) -> Run:
        summary, stop, parser = OutputSummary(speaks_restic=True), Stop(), OutputParser("stderr")
        trouble: Exception | None = None

        def on_output(stream: Stream, data: bytes) -> None:
            nonlocal trouble
            if stream == "stderr":
                for item in parser.feed(data):
                    summary.take(item)
                if summary.tried_seconds > TRY_SECONDS:
                    stop.ask("timeout")
            elif trouble is None:
                try:
                    take(data)
                except Exception as error:
                    trouble = error
                    stop.ask("cancelled")

        command = [self._restic, *self._flags, *arguments]
        try:
            code = await process.run(command, self._environment, on_output, stop, GRACE_SECONDS)
        except OSError as error:
            summary.first_fatal = f"cannot run {self._restic}: {(error.strerror or str(error)).lower()}"
            code = 127
        if trouble is not None:
            raise trouble
        for item in parser.finish():
            summary.take(item)
        verdict = judge("snapshots", code, summary)
        if stop.reason == "timeout" and code != 0:
            words = f"the repository does not answer: {cause_of(summary) or 'restic keeps trying'}"
            verdict = JobVerdict("failed", "no_repository", words)
        if verdict.error is not None:
            verdict = replace(verdict, error=self.mask(verdict.error))
        return Run(code, summary, verdict)
