"""One job with restic, from the first look at its sources to its verdict.

Owns nothing beyond the job: locks waited for, hooks, the live lines, the numbers at the end. Reports are the
job runner's affair.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, assert_never

import trio

from rmactors.agent import forget_job, listing, process, programs, restore_job, this_host, unlock_job
from rmactors.agent.agent_file import AgentFile, AgentFileError
from rmactors.agent.environment import environment_for, has_cache
from rmactors.agent.job_spec import JobSpec
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.loglines import LONGEST_LINE, said
from rmactors.agent.masking import Mask
from rmactors.agent.process import Stop
from rmactors.agent.restic_locks import Leftovers, explained, is_dead, may_have_left_one
from rmactors.agent.restic_output import Item, OutputParser, Progress, Stream
from rmactors.agent.restic_steps import Counters, JobResult, Run
from rmactors.agent.spool import SpoolError
from rmactors.agent.verdict import JobVerdict, OutputSummary, cause_of, judge
from rmactors.common import wire
from rmactors.common.vocabulary import JobKind

log = logging.getLogger(__name__)

_FIRST_LOCK_PAUSE: Final = 2.0
_LONGEST_LOCK_PAUSE: Final = 60.0
_RETRIES_LOCKS: Final = (0, 16)
"""The first restic that has --retry-lock."""
_CAUSES_TOLD: Final = 20
_LONGEST_ANSWER: Final = 64 << 20
"""Bytes: some ten thousand snapshots."""
_CLEAR_UP_SECONDS: Final = 60.0
_LAST_CLEAR_UP_SECONDS: Final = 15.0
"""Behind a stop. Of a service manager's patience, which the grace for restic has used some of already."""


STOPPED: Final = JobResult(JobVerdict("failed", "terminated", "the agent was stopped"), None, {})
"""No operator asked for that: an agent that is restarted in every slot would else be silent for ever."""


class ResticJob:
    """Runs one `JobSpec`. `counters` remember across restarts whose turn it is."""

    def __init__(
        self,
        job_id: str,
        spec: JobSpec,
        agent_file: AgentFile,
        feed: LiveFeed,
        stop: Stop,
        counters: Counters,
    ) -> None:
        self._job_id = job_id
        self._spec = spec
        self._file = agent_file
        self._feed = feed
        self._stop = stop
        self._counters = counters
        self._mask = Mask(spec.repository.repository)
        self._lines = 0
        self._told_causes: set[str] = set()
        self._pid: int | None = None
        self.max_runtime_seconds: float | None = None
        self.spare_cache: str | None = None
        """A folder for restic's cache where its own place cannot be written."""
        self.leftovers = Leftovers()

    async def run(self) -> JobResult:
        """Never raises for what restic, the repository or the sources do."""
        ended = await self._run()
        verdict, stats = ended.verdict, ended.stats
        if verdict.error is not None:
            verdict = replace(verdict, error=self._mask(verdict.error))
        if isinstance(stats.get("warning"), str):
            stats = {**stats, "warning": self._mask(stats["warning"])}
        return replace(ended, verdict=verdict, stats=stats)

    async def _run(self) -> JobResult:
        try:
            environment = environment_for(self._spec.repository, os.environ, self.spare_cache)
        except AgentFileError as error:
            return JobResult(JobVerdict("failed", "error", str(error)), None, {})
        if distrust := await trio.to_thread.run_sync(self._distrusted):
            return JobResult(JobVerdict("failed", "refused", f"nothing was run: {distrust}"), None, {})
        hooks = self._spec.plan.hooks if self._spec.plan is not None and self._spec.kind == "backup" else None
        if hooks is None:
            return await self._between_hooks(environment)
        outcome, stopped = STOPPED, True
        try:
            trouble = await self._hook("before", hooks.before, environment, hooks.timeout_seconds, None)
            outcome = await self._between_hooks(environment) if trouble is None else JobResult(trouble, None, {})
            stopped = False
        finally:
            if stopped:  # `before` may have halted a database: it is not to stay so because the agent goes
                with trio.move_on_after(_LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._hook("after", hooks.after, environment, hooks.timeout_seconds, outcome.verdict)
        trouble = await self._hook("after", hooks.after, environment, hooks.timeout_seconds, outcome.verdict)
        if trouble is not None and outcome.verdict.status == "succeeded":
            return JobResult(trouble, outcome.exit_code, outcome.stats)
        return outcome

    def _distrusted(self) -> str | None:
        """Why something that this job would run is not to be trusted: it may have been changed since the start."""
        spec = self._spec
        return (
            programs.trouble_of_restic(self._file.restic)
            or programs.trouble_of_repository(spec.repository_name, spec.repository)
            or (programs.trouble_of_hooks(spec.plan_name or "", spec.plan) if spec.plan is not None else None)
        )

    async def _between_hooks(self, environment: Mapping[str, str]) -> JobResult:
        missing = await self._look_at_sources()  # behind `before`, which may have mounted or written them
        if missing is None:
            return self._stopped(OutputSummary())
        if missing and len(missing) == len(self._spec.sources):
            words = "none of the sources exists: " + ", ".join(missing[:5])
            return JobResult(JobVerdict("failed", "no_source", words), None, {})
        return await self._steps(_OnRepository(self, environment, missing))

    async def _steps(self, restic: "_OnRepository") -> JobResult:
        match self._spec.kind:
            case "forget":
                return await forget_job.forget(restic, self._spec, self._counters)
            case "restore":
                return await restore_job.restore(restic, self._spec, self._counters)
            case "unlock":
                return await unlock_job.unlock(restic)
            case "snapshots":
                return await listing.snapshots(restic, self._spec, self._counters)
            case "backup" | "prune" | "check" | "init" | "diff":
                compared = await listing.named(restic, self._spec, *self._spec.compared) if self._spec.compared else []
                if isinstance(compared, Run):
                    return compared.outcome()
                run = await restic.run(self._spec.kind, *await self._arguments(), *compared)
                if self._spec.rotation is not None and run.verdict.reason in {"ok", "corrupt"}:
                    await self._turn_is_over(self._spec.rotation[0])
                return run.outcome(self._numbers(run.summary))
            case _:
                assert_never(self._spec.kind)

    async def _look_at_sources(self) -> list[str] | None:
        """Which of them are missing. None where the job was stopped first: a dead network mount never answers."""
        missing: list[str] | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await self._stop.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            missing = await trio.to_thread.run_sync(_missing, self._spec.sources, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()
        return missing

    def _stopped(self, summary: OutputSummary) -> JobResult:
        """The end of a job that was stopped while restic did not run."""
        ended = judge(self._spec.kind, -2, summary, stopped=self._stop.reason, seconds=self.max_runtime_seconds)
        return JobResult(ended, None, {})

    async def with_locks(
        self,
        kind: JobKind,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        missing: Sequence[str],
        answer: bytearray | None = None,
    ) -> Run:
        """Run; where another restic holds the repository, wait for it, and clear a lock that nobody holds any more."""
        version = await trio.to_thread.run_sync(this_host.restic_number, self._file.restic)
        deadline = trio.current_time() + self._file.lock_wait_seconds
        pause, unlocked = _FIRST_LOCK_PAUSE, False
        unlock_failed: str | None = None
        waiting: tuple[str, ...] = ()
        while True:
            code, summary = await self._restic((*waiting, *arguments), environment, answer)
            verdict = self._judged(kind, code, summary, missing)
            self._remember_end(code, verdict, summary)
            if self._stop.reason is not None and code != 0 and may_have_left_one(summary):
                with trio.move_on_after(_LAST_CLEAR_UP_SECONDS):  # who called it off waits for this
                    await self._clear_up(environment)
            if verdict.reason != "locked" or kind == "unlock":
                break
            lock = summary.lock
            if lock is not None and is_dead(lock):
                if not unlocked and "unlock" in self._file.allow:
                    self.tell(f"{lock} is no more: removing its lock")
                    unlocked = True
                    unlock_failed = await self._unlock(environment)
                    if unlock_failed is None:
                        continue
                elif unlocked:
                    unlock_failed = "`restic unlock` left it"
                # it does not go away by itself: waiting for it is in vain
                whose = self.leftovers.whose(lock)
                verdict = replace(verdict, error=explained(verdict.error or "", whose, unlock_failed))
                break
            left = deadline - trio.current_time()
            if left <= 0:
                break
            self.tell(f"{verdict.error}; trying again")
            if version is not None and version >= _RETRIES_LOCKS:
                # restic waits itself, without another look at the password; in parts, so that a lock whose owner
                # has died meanwhile is seen
                waiting = ("--retry-lock", f"{max(1, round(min(left, _LONGEST_LOCK_PAUSE)))}s")
                continue
            with trio.move_on_after(min(pause, left)):
                await self._stop.wait()
            if self._stop.reason is not None:
                return Run(code, summary, self._stopped(summary).verdict)
            pause = min(_LONGEST_LOCK_PAUSE, pause * 2)
        return Run(code, summary, verdict, bytes(answer or b""))

    async def answer(self, arguments: Sequence[str], environment: Mapping[str, str]) -> Run:
        """Run what only reads; its stdout is the answer."""
        out = bytearray()
        code, summary = await self._restic(arguments, environment, out)
        verdict = self._judged("snapshots", code, summary, ())
        if verdict.status == "succeeded" and len(out) >= _LONGEST_ANSWER:
            verdict = JobVerdict("failed", "error", f"restic's answer to `{arguments[0]}` is longer than 64 MiB")
        return Run(code, summary, verdict, bytes(out))

    def _judged(self, kind: JobKind, code: int, summary: OutputSummary, missing: Sequence[str]) -> JobVerdict:
        return judge(
            kind, code, summary, stopped=self._stop.reason, missing_sources=missing, seconds=self.max_runtime_seconds
        )

    def _remember_end(self, code: int, verdict: JobVerdict, summary: OutputSummary) -> None:
        """Should the restic that just ended have left its lock, the next who meets that lock is to know whose it is."""
        if self._pid is None or verdict.reason == "locked":
            return
        of = f"the {self._spec.kind}{f' of {self._spec.plan_name}' if self._spec.plan_name else ''}"
        at = wire.utc_now().strftime("%Y-%m-%d %H:%M UTC")
        if summary.kept_lock is not None:
            self.leftovers.remember(self._pid, f"{of} of {at}, whose key may not delete ({summary.kept_lock})")
        elif verdict.status == "succeeded" and code != 0:
            self.leftovers.remember(self._pid, f"{of} of {at}, which was ended behind its snapshot")
        elif verdict.status in {"failed", "cancelled"}:
            ended = "was cancelled" if verdict.status == "cancelled" else "failed"
            self.leftovers.remember(self._pid, f"{of} that {ended} at {at} ({verdict.error})"[:400])

    async def _turn_is_over(self, name: str) -> None:
        """That part was read. Where it was not, because of a lock perhaps, the next check reads the same."""
        try:
            await self._counters.count_on(name)
        except SpoolError as error:
            log.error("job %s: which part of the data comes next cannot be kept: %s", self._job_id, error)

    async def _clear_up(self, environment: Mapping[str, str]) -> None:
        """After a stop: restic leaves its lock where it was stopped in its first moments, or had to be killed.

        A plain unlock takes away what belongs to processes of this host that are no more, and nothing else.
        """
        if "unlock" not in self._file.allow:
            return
        await self._unlock(environment)

    async def _unlock(self, environment: Mapping[str, str]) -> str | None:
        """Remove stale locks. What went wrong, or None. Ends at once where the repository does not let it."""
        summary, stop = OutputSummary(), Stop()
        command = [self._file.restic, *self._flags(environment), "unlock"]
        with trio.move_on_after(_CLEAR_UP_SECONDS):
            code = await self._command(command, environment, summary, stop, give_up=True)
            return None if code == 0 else summary.failed or summary.cause or f"exit code {code}"
        return "it took too long"

    def _cache_flags(self, environment: Mapping[str, str]) -> list[str]:
        return [] if has_cache(environment) else ["--no-cache"]

    async def _arguments(self) -> tuple[str, ...]:
        arguments = list(self._spec.arguments)
        if self._spec.rotation is not None:
            name, parts = self._spec.rotation
            part = await self._counters.number(name) % parts + 1
            arguments.append(f"--read-data-subset={part}/{parts}")
        return tuple(arguments)

    def _flags(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """Before every command on the repository."""
        repository, flags = self._spec.repository, self._cache_flags(environment)
        if repository.limit_upload:
            flags += ["--limit-upload", str(repository.limit_upload)]
        if repository.limit_download:
            flags += ["--limit-download", str(repository.limit_download)]
        for option in repository.options:
            flags += ["-o", option]
        return tuple(flags)

    async def _restic(
        self, arguments: Sequence[str], environment: Mapping[str, str], answer: bytearray | None = None
    ) -> tuple[int, OutputSummary]:
        summary, stopped = OutputSummary(speaks_restic=True), True
        try:
            command = [self._file.restic, *self._flags(environment), *arguments]
            code = await self._command(command, environment, summary, answer=answer)
            stopped = False
        finally:  # not `except trio.Cancelled`: nurseries make a group of several
            if stopped:  # the agent is being stopped, and restic has been
                with trio.move_on_after(_LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._clear_up(environment)
        return code, summary

    async def _hook(
        self,
        name: str,
        command: Sequence[str] | None,
        environment: Mapping[str, str],
        seconds: float,
        verdict: JobVerdict | None,
    ) -> JobVerdict | None:
        """Run a hook, where there is one; what went wrong, or None.

        It sees the repository's environment and, behind the job, how that ended.
        """
        if not command:
            return None
        variables = {"RM_JOB_ID": self._job_id, "RM_JOB_KIND": self._spec.kind, "RM_PLAN": self._spec.plan_name or ""}
        if verdict is not None:
            variables |= {"RM_JOB_STATUS": verdict.status, "RM_JOB_REASON": verdict.reason}
        summary, stop = OutputSummary(), Stop()
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                with trio.move_on_after(seconds):
                    if verdict is None:  # clearing up afterwards is let finish
                        await self._stop.wait()
                        stop.ask("cancelled")
                        return
                    await trio.sleep_forever()
                stop.ask("timeout")

            nursery.start_soon(watch)
            code = await self._command(list(command), {**environment, **variables}, summary, stop)
            nursery.cancel_scope.cancel()
        if code == 0:
            return None
        if stop.reason == "cancelled":
            return self._stopped(summary).verdict
        last = summary.last_stderr[-1] if summary.last_stderr else f"exit code {code}"
        words = "it took too long" if stop.reason == "timeout" else last
        return JobVerdict("failed", "error", f"the hook `{name}` failed: {words}")

    async def _command(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        summary: OutputSummary,
        stop: Stop | None = None,
        *,
        give_up: bool = False,
        answer: bytearray | None = None,
    ) -> int:
        """Run it. `give_up`: end it when the repository does not answer at once. `answer`: where stdout goes, up to a
        bound, instead of into the log.
        """
        parsers = {"stdout": OutputParser("stdout"), "stderr": OutputParser("stderr")}
        stop = stop or self._stop

        def on_output(stream: Stream, data: bytes) -> None:
            if answer is not None and stream == "stdout":
                answer.extend(data[: _LONGEST_ANSWER - len(answer)])
                return
            for item in parsers[stream].feed(data):
                self._take(item, summary)
            if give_up and summary.cause is not None:
                stop.ask("cancelled")

        def on_start(pid: int) -> None:
            self._pid = pid

        try:
            code = await process.run(command, environment, on_output, stop, self._file.cancel_grace_seconds, on_start)
        except OSError as error:
            summary.first_fatal = f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}"
            return 127
        for parser in parsers.values():
            for item in parser.finish():
                self._take(item, summary)
        return code

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
        if cause is not None and cause not in self._told_causes and len(self._told_causes) < _CAUSES_TOLD:
            self._told_causes.add(cause)
            self.tell(f"{cause}; restic keeps trying, for up to 15 minutes")

    def tell(self, text: str) -> None:
        self._line(wire.LogLine("stderr", f"rmactors: {text}"[:LONGEST_LINE]))

    def _line(self, line: wire.LogLine) -> None:
        line = wire.LogLine(line.stream, self._mask(line.text))
        self._feed.line(self._job_id, self._lines, line)
        self._lines += 1

    def _numbers(self, summary: OutputSummary) -> dict[str, Any]:
        stats: dict[str, Any] = {**(summary.numbers or {}), **summary.counts}
        if summary.troubles:
            stats["files_unread"] = summary.troubles
        compared = summary.listing
        if self._spec.kind == "diff" and isinstance(compared, dict):
            stats["changed_files"] = compared.get("changed_files", 0)
            for side in ("added", "removed"):
                if isinstance(compared.get(side), dict):
                    stats[side] = {k: v for k, v in compared[side].items() if isinstance(v, int)}
        return stats


class _OnRepository:
    """restic on the job's repository, for a job of several steps."""

    def __init__(self, job: ResticJob, environment: Mapping[str, str], missing: Sequence[str]) -> None:
        self._job = job
        self._environment = environment
        self._missing = missing

    async def run(self, kind: JobKind, *arguments: str, answer: bool = False) -> Run:
        out = bytearray() if answer else None
        return await self._job.with_locks(kind, arguments, self._environment, self._missing, out)

    async def ask(self, *arguments: str) -> Run:
        return await self._job.answer(arguments, self._environment)

    def tell(self, text: str) -> None:
        self._job.tell(text)


def _missing(sources: Sequence[str]) -> list[str]:
    return [source for source in sources if not os.path.lexists(source)]
