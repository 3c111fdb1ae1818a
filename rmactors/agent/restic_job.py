"""One job with restic, from the first look at its sources to its verdict.

Owns nothing beyond the job: locks waited for, hooks, the live lines, the numbers at the end. Reports are the
job runner's affair.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, assert_never

import trio

from rmactors.agent import forget_job, listing, programs, restore_job, unlock_job
from rmactors.agent.agent_file import AgentFile, AgentFileError
from rmactors.agent.environment import environment_for
from rmactors.agent.job_process import JobProcess
from rmactors.agent.job_spec import JobSpec
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.masking import Mask
from rmactors.agent.process import Stop
from rmactors.agent.restic_calls import LAST_CLEAR_UP_SECONDS, ResticCalls
from rmactors.agent.restic_locks import Leftovers
from rmactors.agent.restic_steps import Counters, JobResult, Run
from rmactors.agent.restore_test.folder import PrivateFolders
from rmactors.agent.restore_test.job import restore_test
from rmactors.agent.spool import SpoolError
from rmactors.agent.verdict import JobVerdict, OutputSummary
from rmactors.common.race import race

log = logging.getLogger(__name__)


STOPPED: Final = JobResult(JobVerdict("failed", "terminated", "the agent was stopped"), None, {})
"""No operator asked for that: an agent that is restarted in every slot would else be silent forever."""


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
        self._stop = stop
        self._counters = counters
        self._mask = Mask(spec.repository.repository)
        self._process = JobProcess(job_id, feed, self._mask, stop, agent_file.cancel_grace_seconds)
        self.max_runtime_seconds: float | None = None
        self.spare_cache: str | None = None
        """A folder for restic's cache where its own place cannot be written."""
        self.leftovers = Leftovers()
        self.private_folders: PrivateFolders | None = None
        """Where a restore test may put what it restores."""

    async def run(self) -> JobResult:
        """Never raises for what restic, the repository or the sources do."""
        ended = await self._run()
        verdict, stats = ended.verdict, ended.stats
        if verdict.error is not None:
            verdict = replace(verdict, error=self._mask(verdict.error))
        if isinstance(stats.get("warning"), str):
            stats = {**stats, "warning": self._mask(stats["warning"])}
        if self._spec.plan_name is None:  # else the plan says which one it was
            stats = {**stats, "repository": self._spec.repository_name}
        return replace(ended, verdict=verdict, stats=stats)

    async def _run(self) -> JobResult:
        try:
            environment = environment_for(self._spec.repository, os.environ, self.spare_cache)
        except AgentFileError as error:
            return JobResult(JobVerdict("failed", "error", str(error)), None, {})
        if distrust := await trio.to_thread.run_sync(self._distrusted):
            return JobResult(JobVerdict("failed", "refused", f"nothing was run: {distrust}"), None, {})
        restic = ResticCalls(
            self._spec, self._file, self._process, environment, self._stop, self.leftovers, self.max_runtime_seconds
        )
        hooks = self._spec.plan.hooks if self._spec.plan is not None and self._spec.kind == "backup" else None
        if hooks is None:
            return await self._between_hooks(restic)
        outcome, stopped = STOPPED, True
        try:
            trouble = await self._hook("before", hooks.before, restic, hooks.timeout_seconds, None)
            outcome = await self._between_hooks(restic) if trouble is None else JobResult(trouble, None, {})
            stopped = False
        finally:
            if stopped:  # `before` may have halted a database: it is not to stay so because the agent goes
                with trio.move_on_after(LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._hook("after", hooks.after, restic, hooks.timeout_seconds, outcome.verdict)
        trouble = await self._hook("after", hooks.after, restic, hooks.timeout_seconds, outcome.verdict)
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

    async def _between_hooks(self, restic: ResticCalls) -> JobResult:
        missing = await self._look_at_sources()  # behind `before`, which may have mounted or written them
        if missing is None:
            return JobResult(restic.stopped(OutputSummary()), None, {})
        if missing and len(missing) == len(self._spec.sources):
            words = "none of the sources exists: " + ", ".join(missing[:5])
            return JobResult(JobVerdict("failed", "no_source", words), None, {})
        restic.missing = missing
        return await self._steps(restic)

    async def _steps(self, restic: ResticCalls) -> JobResult:
        match self._spec.kind:
            case "forget":
                return await forget_job.forget(restic, self._spec, self._counters)
            case "restore":
                return await restore_job.restore(restic, self._spec, self._counters)
            case "unlock":
                return await unlock_job.unlock(restic)
            case "snapshots":
                return await listing.snapshots(restic, self._spec, self._counters)
            case "restore_test":
                assert self.private_folders is not None
                return await restore_test(
                    restic, self._spec, self._counters, self.private_folders, self._job_id, self._stop
                )
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
        """Which of them are missing. None if the job was stopped first: a dead network mount never answers."""
        look = partial(trio.to_thread.run_sync, _missing, self._spec.sources, abandon_on_cancel=True)
        return await race(look, self._stop.wait)

    async def _turn_is_over(self, name: str) -> None:
        """That part was read. If it was not, because of a lock perhaps, the next check reads the same."""
        try:
            await self._counters.count_on(name)
        except SpoolError as error:
            log.error("job %s: which part of the data comes next cannot be kept: %s", self._job_id, error)

    async def _arguments(self) -> tuple[str, ...]:
        arguments = list(self._spec.arguments)
        if self._spec.rotation is not None:
            name, parts = self._spec.rotation
            part = await self._counters.number(name) % parts + 1
            arguments.append(f"--read-data-subset={part}/{parts}")
        return tuple(arguments)

    async def _hook(
        self,
        name: str,
        command: Sequence[str] | None,
        restic: ResticCalls,
        seconds: float,
        verdict: JobVerdict | None,
    ) -> JobVerdict | None:
        """Run a hook, if there is one; what went wrong, or None.

        It sees the repository's environment and, behind the job, how that ended.
        """
        if not command:
            return None
        variables = {"RM_JOB_ID": self._job_id, "RM_JOB_KIND": self._spec.kind, "RM_PLAN": self._spec.plan_name or ""}
        if verdict is not None:
            variables |= {"RM_JOB_STATUS": verdict.status, "RM_JOB_REASON": verdict.reason}
        summary, stop = OutputSummary(), Stop(seconds)

        async def stop_with_the_job() -> None:
            await self._stop.wait()
            stop.ask("cancelled")
            await trio.sleep_forever()

        run = partial(self._process.run, list(command), {**restic.environment, **variables}, summary, stop)
        # clearing up afterwards is let finish
        code = await run() if verdict is not None else await race(run, stop_with_the_job)
        if code == 0:
            return None
        if stop.reason == "cancelled":
            return restic.stopped(summary)
        last = summary.last_stderr[-1] if summary.last_stderr else f"exit code {code}"
        words = "it took too long" if stop.reason == "timeout" else last
        return JobVerdict("failed", "error", f"the hook `{name}` failed: {words}")

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


def _missing(sources: Sequence[str]) -> list[str]:
    return [source for source in sources if not os.path.lexists(source)]
