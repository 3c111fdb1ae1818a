"""One job with restic, from the first look at its sources to its verdict.

Owns nothing beyond the job: locks waited for, hooks, the live lines, the numbers at the end. Reports are the
workshop's affair.
"""

import logging
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import trio

from rmactors import wire
from rmactors.agent import process, this_host
from rmactors.agent.environment import environment_for, has_cache
from rmactors.agent.livefeed import LONGEST_LINE, LiveFeed
from rmactors.agent.locks import Leftovers, explained, is_dead, stay
from rmactors.agent.process import Stop
from rmactors.agent.requests import Work
from rmactors.agent.restic_output import ExitError, Item, ItemTrouble, OutputParser, Progress, Stream, Summary, Text
from rmactors.agent.settings import AgentFile, AgentFileError
from rmactors.agent.spool import SpoolError
from rmactors.agent.summary_line import in_a_line
from rmactors.agent.verdict import Digest, Verdict, cause_of, judge

log = logging.getLogger(__name__)

_FIRST_LOCK_PAUSE: Final = 2.0
_LONGEST_LOCK_PAUSE: Final = 60.0
_RETRIES_LOCKS: Final = (0, 16)
"""The first restic that has --retry-lock."""
_CAUSES_TOLD: Final = 20
_MOST_LISTED: Final = 100
_CLEAR_UP_SECONDS: Final = 60.0
_LAST_CLEAR_UP_SECONDS: Final = 15.0
"""Of a service manager's patience, which the grace for restic has used some of already."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the job ended. `exit_code` is restic's, None where it never ran."""

    verdict: Verdict
    exit_code: int | None
    stats: dict[str, Any]


STOPPED: Final = Outcome(Verdict("failed", "terminated", "the agent was stopped"), None, {})
"""No operator asked for that: an agent that is restarted in every slot would else be silent for ever."""


class Counters(Protocol):
    """Named numbers on disk."""

    async def number(self, name: str) -> int: ...

    async def count_on(self, name: str) -> None: ...


class ResticJob:
    """Runs one `Work`. `counters` remember across restarts whose turn it is."""

    def __init__(
        self,
        job_id: str,
        work: Work,
        agent_file: AgentFile,
        feed: LiveFeed,
        stop: Stop,
        counters: Counters,
    ) -> None:
        self._job_id = job_id
        self._work = work
        self._file = agent_file
        self._feed = feed
        self._stop = stop
        self._counters = counters
        self._lines = 0
        self._told_causes: set[str] = set()
        self._pid: int | None = None
        self.max_runtime_seconds: float | None = None
        self.spare_cache: str | None = None
        """A folder for restic's cache where its own place cannot be written."""
        self.leftovers = Leftovers()

    async def run(self) -> Outcome:
        """Never raises for what restic, the repository or the sources do."""
        try:
            environment = environment_for(self._work.repository, os.environ, self.spare_cache)
        except AgentFileError as error:
            return Outcome(Verdict("failed", "error", str(error)), None, {})
        hooks = self._work.plan.hooks if self._work.plan is not None and self._work.kind == "backup" else None
        if hooks is None:
            return await self._between_hooks(environment)
        outcome, stopped = STOPPED, True
        try:
            trouble = await self._hook("before", hooks.before, environment, hooks.timeout_seconds, None)
            outcome = await self._between_hooks(environment) if trouble is None else Outcome(trouble, None, {})
            stopped = False
        finally:
            if stopped:  # `before` may have halted a database: it is not to stay so because the agent goes
                with trio.move_on_after(_LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._hook("after", hooks.after, environment, hooks.timeout_seconds, outcome.verdict)
        trouble = await self._hook("after", hooks.after, environment, hooks.timeout_seconds, outcome.verdict)
        if trouble is not None and outcome.verdict.status == "succeeded":
            return Outcome(trouble, outcome.exit_code, outcome.stats)
        return outcome

    async def _between_hooks(self, environment: Mapping[str, str]) -> Outcome:
        missing = await self._look_at_sources()  # behind `before`, which may have mounted or written them
        if missing is None:
            return self._stopped(Digest())
        if missing and len(missing) == len(self._work.sources):
            words = "none of the sources exists: " + ", ".join(missing[:5])
            return Outcome(Verdict("failed", "no_source", words), None, {})
        if self._work.restore_into is not None:
            try:
                os.makedirs(self._work.restore_into, mode=0o700)
            except OSError as error:
                words = f"cannot make {self._work.restore_into}: {error.strerror}"
                return Outcome(Verdict("failed", "error", words), None, {})
        return await self._with_locks(environment, missing)

    async def _look_at_sources(self) -> list[str] | None:
        """Which of them are missing. None where the job was stopped first: a dead network mount never answers."""
        missing: list[str] | None = None
        async with trio.open_nursery() as nursery:

            async def watch() -> None:
                await self._stop.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(watch)
            missing = await trio.to_thread.run_sync(_missing, self._work.sources, abandon_on_cancel=True)
            nursery.cancel_scope.cancel()
        return missing

    def _stopped(self, digest: Digest) -> Outcome:
        """The end of a job that was stopped while restic did not run."""
        ended = judge(self._work.kind, -2, digest, stopped=self._stop.reason, seconds=self.max_runtime_seconds)
        return Outcome(ended, None, {})

    async def _with_locks(self, environment: Mapping[str, str], missing: Sequence[str]) -> Outcome:
        """Run; where another restic holds the repository, wait for it, and clear a lock that nobody holds any more."""
        arguments = await self._arguments(environment)
        version = await trio.to_thread.run_sync(this_host.restic_number, self._file.restic)
        deadline = trio.current_time() + self._file.lock_wait_seconds
        pause, unlocked = _FIRST_LOCK_PAUSE, False
        unlock_failed: str | None = None
        waiting: tuple[str, ...] = ()
        while True:
            code, digest = await self._restic((*waiting, *arguments), environment)
            verdict = judge(
                self._work.kind, code, digest,
                stopped=self._stop.reason, missing_sources=missing, seconds=self.max_runtime_seconds,
            )  # fmt: skip
            self._remember_end(verdict, digest)
            if self._stop.reason is not None and code != 0:
                await self._clear_up(environment)
            if verdict.reason != "locked" or self._work.kind == "unlock":
                break
            lock = digest.lock
            if lock is not None and is_dead(lock):
                if not unlocked and "unlock" in self._file.allow:
                    self._tell(f"{lock} is no more: removing its lock")
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
            self._tell(f"{verdict.error}; trying again")
            if version is not None and version >= _RETRIES_LOCKS:
                # restic waits itself, without another look at the password; in parts, so that a lock whose owner
                # has died meanwhile is seen
                waiting = ("--retry-lock", f"{max(1, round(min(left, _LONGEST_LOCK_PAUSE)))}s")
                continue
            with trio.move_on_after(min(pause, left)):
                await self._stop.wait()
            if self._stop.reason is not None:
                return self._stopped(digest)
            pause = min(_LONGEST_LOCK_PAUSE, pause * 2)
        if self._work.rotation is not None and verdict.reason in {"ok", "corrupt"}:
            await self._turn_is_over(self._work.rotation[0])
        stats = self._numbers(digest)
        if self._work.kind == "unlock" and verdict.status == "succeeded":
            verdict = replace(verdict, warning=await self._locks_left(environment, stats))
        if verdict.warning is not None:
            stats["warning"] = verdict.warning
        return Outcome(verdict, code, stats)

    def _remember_end(self, verdict: Verdict, digest: Digest) -> None:
        """Should the restic that just ended have left its lock, the next who meets that lock is to know whose it is."""
        if self._pid is None or verdict.reason == "locked":
            return
        of = f"the {self._work.kind}{f' of {self._work.plan_name}' if self._work.plan_name else ''}"
        at = wire.utc_now().strftime("%Y-%m-%d %H:%M UTC")
        if digest.kept_lock is not None:
            self.leftovers.remember(self._pid, f"{of} of {at}, whose key may not delete ({digest.kept_lock})")
        elif verdict.status in {"failed", "cancelled"}:
            ended = "was cancelled" if verdict.status == "cancelled" else "failed"
            self.leftovers.remember(self._pid, f"{of} that {ended} at {at} ({verdict.error})"[:400])

    async def _locks_left(self, environment: Mapping[str, str], stats: dict[str, Any]) -> str | None:
        """What to say of the locks that an unlock left: restic says nothing of them, and 0.14 that it removed them."""
        listed = Digest()
        code = await self._command([self._file.restic, "--no-lock", "list", "locks"], environment, listed, quiet=True)
        ids = [line for line in listed.last_stdout if re.fullmatch(r"[0-9a-f]{64}", line)]
        if code != 0 or not ids:
            return None
        stats["locks_left"] = len(ids)
        shown = Digest()
        await self._command([self._file.restic, "--no-lock", "cat", "lock", ids[0]], environment, shown, quiet=True)
        return stay(len(ids), "\n".join(shown.last_stdout))

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
        digest, stop = Digest(), Stop()
        command = [self._file.restic, *self._cache_flags(environment), "unlock"]
        with trio.move_on_after(_CLEAR_UP_SECONDS):
            code = await self._command(command, environment, digest, stop, give_up=True)
            return None if code == 0 else digest.failed or digest.cause or f"exit code {code}"
        return "it took too long"

    def _cache_flags(self, environment: Mapping[str, str]) -> list[str]:
        return [] if has_cache(environment) else ["--no-cache"]

    async def _arguments(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        repository, arguments = self._work.repository, list(self._work.arguments)
        if self._work.rotation is not None:
            name, parts = self._work.rotation
            part = await self._counters.number(name) % parts + 1
            arguments.append(f"--read-data-subset={part}/{parts}")
        flags = self._cache_flags(environment)
        if repository.limit_upload:
            flags += ["--limit-upload", str(repository.limit_upload)]
        if repository.limit_download:
            flags += ["--limit-download", str(repository.limit_download)]
        for option in repository.options:
            flags += ["-o", option]
        return (*flags, *arguments)

    async def _restic(self, arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[int, Digest]:
        digest, stopped = Digest(speaks_restic=True), True
        try:
            code = await self._command([self._file.restic, *arguments], environment, digest)
            stopped = False
        finally:  # not `except trio.Cancelled`: nurseries make a group of several
            if stopped:  # the agent is being stopped, and restic has been
                with trio.move_on_after(_LAST_CLEAR_UP_SECONDS, shield=True):
                    await self._clear_up(environment)
        return code, digest

    async def _hook(
        self,
        name: str,
        command: Sequence[str] | None,
        environment: Mapping[str, str],
        seconds: float,
        verdict: Verdict | None,
    ) -> Verdict | None:
        """Run a hook, where there is one; what went wrong, or None.

        It sees the repository's environment and, behind the job, how that ended.
        """
        if not command:
            return None
        variables = {"RM_JOB_ID": self._job_id, "RM_JOB_KIND": self._work.kind, "RM_PLAN": self._work.plan_name or ""}
        if verdict is not None:
            variables |= {"RM_JOB_STATUS": verdict.status, "RM_JOB_REASON": verdict.reason}
        digest, stop = Digest(), Stop()
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
            code = await self._command(list(command), {**environment, **variables}, digest, stop)
            nursery.cancel_scope.cancel()
        if code == 0:
            return None
        if stop.reason == "cancelled":
            return self._stopped(digest).verdict
        last = digest.last_stderr[-1] if digest.last_stderr else f"exit code {code}"
        words = "it took too long" if stop.reason == "timeout" else last
        return Verdict("failed", "error", f"the hook `{name}` failed: {words}")

    async def _command(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        digest: Digest,
        stop: Stop | None = None,
        *,
        give_up: bool = False,
        quiet: bool = False,
    ) -> int:
        """Run it. `give_up`: end it when the repository does not answer at once. `quiet`: no lines for the log."""
        parsers = {"stdout": OutputParser("stdout"), "stderr": OutputParser("stderr")}
        stop = stop or self._stop

        def hear(stream: Stream, data: bytes) -> None:
            for item in parsers[stream].feed(data):
                if quiet:
                    digest.take(item)
                else:
                    self._heard(item, digest)
            if give_up and digest.cause is not None:
                stop.ask("cancelled")

        def started(pid: int) -> None:
            self._pid = pid

        try:
            code = await process.run(command, environment, hear, stop, self._file.cancel_grace_seconds, started)
        except OSError as error:
            digest.first_fatal = f"cannot run {command[0]}: {(error.strerror or str(error)).lower()}"
            return 127
        for parser in parsers.values():
            for item in parser.finish():
                self._heard(item, digest)
        return code

    def _heard(self, item: Item, digest: Digest) -> None:
        digest.take(item)
        self._tell_cause(cause_of(digest))
        match item:
            case Text():
                self._line(item.stream, item.text)
            case ItemTrouble():
                self._line("stderr", item.message)
            case ExitError(message=message) if message:
                self._line("stderr", message.partition("\n")[0])
            case Summary():
                self._line("stdout", in_a_line(item.numbers))
            case Progress():
                self._feed.progress(
                    wire.JobProgress(
                        job_id=self._job_id, percent=item.percent, files_done=item.files_done,
                        files_total=item.files_total, bytes_done=item.bytes_done, bytes_total=item.bytes_total,
                        eta_seconds=item.eta_seconds,
                    )
                )  # fmt: skip
            case _:
                pass

    def _tell_cause(self, cause: str | None) -> None:
        """restic may try for a quarter of an hour what cannot be: who looks at the job is told why, once."""
        if cause is not None and cause not in self._told_causes and len(self._told_causes) < _CAUSES_TOLD:
            self._told_causes.add(cause)
            self._tell(f"{cause}; restic keeps trying, for up to 15 minutes")

    def _tell(self, text: str) -> None:
        self._line("stderr", f"rmactors: {text}")

    def _line(self, stream: Stream, text: str) -> None:
        self._feed.line(self._job_id, self._lines, wire.LogLine(stream, text[:LONGEST_LINE]))
        self._lines += 1

    def _numbers(self, digest: Digest) -> dict[str, Any]:
        stats: dict[str, Any] = {**(digest.summary or {}), **digest.counts}
        if digest.troubles:
            stats["files_unread"] = digest.troubles
        if self._work.restore_into is not None:
            stats["restored_into"] = self._work.restore_into
        listing = digest.listing
        if self._work.kind == "snapshots" and isinstance(listing, list):
            found = [one for one in listing if isinstance(one, dict)]
            stats["snapshots_count"] = len(found)
            stats["snapshots"] = [_snapshot(one) for one in found[-_MOST_LISTED:]]
        if self._work.kind == "forget" and isinstance(listing, list):
            groups = [group for group in listing if isinstance(group, dict)]
            stats["snapshots_kept"] = sum(len(group.get("keep") or []) for group in groups)
            stats["snapshots_removed"] = sum(len(group.get("remove") or []) for group in groups)
        if self._work.kind == "diff" and isinstance(listing, dict):
            stats["changed_files"] = listing.get("changed_files", 0)
            for side in ("added", "removed"):
                if isinstance(listing.get(side), dict):
                    stats[side] = {k: v for k, v in listing[side].items() if isinstance(v, int)}
        return stats


def _missing(sources: Sequence[str]) -> list[str]:
    return [source for source in sources if not os.path.lexists(source)]


def _snapshot(found: Mapping[str, Any]) -> dict[str, Any]:
    paths = found.get("paths")
    return {
        "id": str(found.get("short_id") or found.get("id") or "")[:64],
        "time": str(found.get("time") or "")[:40],
        "host": str(found.get("hostname") or "")[:200],
        "paths": [str(path)[:120] for path in paths[:5]] if isinstance(paths, list) else [],
    }
