"""restic on one job's repository: its flags, its waits for locks of other restics, and what it leaves behind.

Owns nothing beyond the job. What a call means for the job is `restic_job`'s affair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import trio

from rmactors.agent import this_host
from rmactors.agent.agent_file import AgentFile, Repository
from rmactors.agent.environment import has_cache
from rmactors.agent.job_process import LONGEST_ANSWER, JobProcess
from rmactors.agent.job_spec import JobSpec
from rmactors.agent.output_summary import OutputSummary
from rmactors.agent.process import Stop
from rmactors.agent.restic_locks import Leftovers, explained, is_dead, may_have_left_one
from rmactors.agent.restic_steps import Run
from rmactors.agent.verdict import JobVerdict, judge
from rmactors.common import wire
from rmactors.common.vocabulary import JobKind

LAST_CLEAR_UP_SECONDS: Final = 15.0
"""Behind a stop. Of a service manager's patience, which the grace for restic has used some of already."""
_CLEAR_UP_SECONDS: Final = 60.0
_FIRST_LOCK_PAUSE: Final = 2.0
_LONGEST_LOCK_PAUSE: Final = 60.0
_NO_LOCK: Final = "--no-lock"
"""With it, restic leaves none behind."""
_RETRIES_LOCKS: Final = (0, 16)
"""The first restic that has --retry-lock."""


class ResticCalls:
    """The calls of one job (`restic_steps.Restic`). `missing` are its sources that are not there."""

    def __init__(
        self,
        spec: JobSpec,
        agent_file: AgentFile,
        process: JobProcess,
        environment: Mapping[str, str],
        stop: Stop,
        leftovers: Leftovers,
        max_runtime_seconds: float | None,
    ) -> None:
        self._spec = spec
        self._file = agent_file
        self._process = process
        self.environment = environment
        self._stop = stop
        self._leftovers = leftovers
        self._max_runtime_seconds = max_runtime_seconds
        self.missing: Sequence[str] = ()

    def tell(self, text: str) -> None:
        self._process.tell(text)

    async def run(self, kind: JobKind, *arguments: str, answer: bool = False) -> Run:
        """If another restic holds the repository, wait for it, and clear a lock that nobody holds any more."""
        version = await self.version()
        waits_itself = version >= _RETRIES_LOCKS
        deadline = trio.current_time() + self._file.lock_wait_seconds
        pause, unlocked = _FIRST_LOCK_PAUSE, False
        waiting: tuple[str, ...] = ()
        out = bytearray() if answer else None
        while True:
            code, summary = await self._restic((*waiting, *arguments), out)
            verdict = self._judged(kind, code, summary)
            self._remember_end(code, verdict, summary)
            is_stopped = self._stop.reason is not None and code != 0 and _NO_LOCK not in arguments
            if is_stopped and may_have_left_one(summary):
                with trio.move_on_after(LAST_CLEAR_UP_SECONDS):  # who called it off waits for this
                    await self._clear_up()
            if verdict.reason != "locked" or kind == "unlock":
                break
            lock = summary.lock
            if lock is not None and is_dead(lock):
                unlock_failed = "`restic unlock` left it" if unlocked else None
                if not unlocked and "unlock" in self._file.allow:
                    self.tell(f"{lock} is no more: removing its lock")
                    unlocked, unlock_failed = True, await self._unlock()
                    if unlock_failed is None:
                        continue
                # it does not go away by itself: waiting for it is in vain
                whose = self._leftovers.whose(lock)
                verdict = replace(verdict, error=explained(verdict.error or "", whose, unlock_failed))
                break
            left = deadline - trio.current_time()
            if left <= 0:
                break
            self.tell(f"{verdict.error}; trying again")
            if waits_itself:
                # without another look at the password; in parts, so that a lock whose owner has died meanwhile is seen
                waiting = ("--retry-lock", f"{max(1, round(min(left, _LONGEST_LOCK_PAUSE)))}s")
                continue
            with trio.move_on_after(min(pause, left)):
                await self._stop.wait()
            if self._stop.reason is not None:
                return Run(code, summary, self.stopped(summary))
            pause = min(_LONGEST_LOCK_PAUSE, pause * 2)
        return Run(code, summary, verdict, bytes(out or b""))

    async def ask(self, *arguments: str) -> Run:
        """Run what only reads; its stdout is the answer."""
        out = bytearray()
        code, summary = await self._restic(arguments, out)
        verdict = judge("snapshots", code, summary, stopped=self._stop.reason, seconds=self._max_runtime_seconds)
        if verdict.status == "succeeded" and len(out) >= LONGEST_ANSWER:
            verdict = JobVerdict("failed", "error", f"restic's answer to `{arguments[0]}` is longer than 64 MiB")
        return Run(code, summary, verdict, bytes(out))

    async def read(self, take: Callable[[bytes], None], *arguments: str) -> Run:
        """Run what only reads, without a lock; `take` gets its stdout as it comes, however long that is."""
        code, summary = await self._restic(arguments, take=take)
        return Run(code, summary, self._judged(self._spec.kind, code, summary))

    async def version(self) -> tuple[int, ...]:
        """The numbers of restic's version; none if it does not tell."""
        return await trio.to_thread.run_sync(this_host.restic_number, self._file.restic) or ()

    def stopped(self, summary: OutputSummary) -> JobVerdict:
        """Of a job that was stopped while restic did not run."""
        return judge(self._spec.kind, -2, summary, stopped=self._stop.reason, seconds=self._max_runtime_seconds)

    def _judged(self, kind: JobKind, code: int, summary: OutputSummary) -> JobVerdict:
        return judge(
            kind, code, summary, stopped=self._stop.reason, missing_sources=self.missing,
            seconds=self._max_runtime_seconds,
        )  # fmt: skip

    def _remember_end(self, code: int, verdict: JobVerdict, summary: OutputSummary) -> None:
        """If the restic that just ended left its lock, the next one that meets it is to know whose it is."""
        pid = self._process.pid
        if pid is None or verdict.reason == "locked":
            return
        of = f"the {self._spec.kind}{f' of {self._spec.plan_name}' if self._spec.plan_name else ''}"
        at = wire.utc_now().strftime("%Y-%m-%d %H:%M UTC")
        if summary.kept_lock is not None:
            self._leftovers.remember(pid, f"{of} of {at}, whose key may not delete ({summary.kept_lock})")
        elif verdict.status == "succeeded" and code != 0:
            self._leftovers.remember(pid, f"{of} of {at}, which was ended behind its snapshot")
        elif verdict.status in {"failed", "cancelled"}:
            ended = "was cancelled" if verdict.status == "cancelled" else "failed"
            self._leftovers.remember(pid, f"{of} that {ended} at {at} ({verdict.error})"[:400])

    async def _restic(
        self,
        arguments: Sequence[str],
        answer: bytearray | None = None,
        take: Callable[[bytes], None] | None = None,
    ) -> tuple[int, OutputSummary]:
        summary, stopped = OutputSummary(speaks_restic=True), True
        try:
            command = [self._file.restic, *flags_of(self._spec.repository, self.environment), *arguments]
            code = await self._process.run(command, self.environment, summary, answer=answer, take=take)
            stopped = False
        finally:  # not `except trio.Cancelled`: nurseries make a group of several
            # the agent is being stopped, and restic has been
            if stopped and _NO_LOCK not in arguments:
                with trio.move_on_after(LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._clear_up()
        return code, summary

    async def _clear_up(self) -> None:
        """After a stop: restic leaves its lock where it was stopped in its first moments, or had to be killed.

        A plain unlock takes away what belongs to processes of this host that are no more, and nothing else.
        """
        if "unlock" in self._file.allow:
            await self._unlock()

    async def _unlock(self) -> str | None:
        """Remove stale locks. What went wrong, or None. Ends at once if the repository does not let it."""
        summary = OutputSummary()
        command = [self._file.restic, *flags_of(self._spec.repository, self.environment), "unlock"]
        with trio.move_on_after(_CLEAR_UP_SECONDS):
            code = await self._process.run(command, self.environment, summary, Stop(), give_up=True)
            return None if code == 0 else summary.failed or summary.cause or f"exit code {code}"
        return "it took too long"


def flags_of(repository: Repository, environment: Mapping[str, str]) -> tuple[str, ...]:
    """restic's flags for this repository, before every command."""
    flags = [] if has_cache(environment) else ["--no-cache"]
    if repository.limit_upload:
        flags += ["--limit-upload", str(repository.limit_upload)]
    if repository.limit_download:
        flags += ["--limit-download", str(repository.limit_download)]
    for option in repository.options:
        flags += ["-o", option]
    return tuple(flags)
