"""`rmactors agent exec`: runs the command that a cron job or timer already runs, and tells how it ended.

Owns the wrapped process and the two reports about it. Whatever goes wrong with reporting, the command runs, its
output passes through byte for byte as it comes, and its exit code is the one that is returned.
"""

import json
import os
import resource
import select
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import trio

from rmactors import __version__, ids, wire, zones
from rmactors.agent import this_host
from rmactors.agent.connection import LinkDown, Timings
from rmactors.agent.link import report_once
from rmactors.agent.outbox import Outbox, open_outbox
from rmactors.agent.restic_output import OutputParser, Stream
from rmactors.agent.spool import SpoolError
from rmactors.agent.state import KeptSchedules, NotEnrolled, StateDir, StateError
from rmactors.agent.verdict import Digest, Verdict, judge, judge_any, names_restic
from rmactors.vocabulary import JobKind

_FORWARDED: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_FROM_A_TERMINAL: Final = {signal.SIGINT, signal.SIGQUIT}
_CHUNK: Final = 1 << 16
_STRAGGLERS_SECONDS: Final = 5.0
"""How long output is passed on after the command has ended, where a child of its own still holds the pipes."""
MOST_STATS: Final = wire.MAX_FRAME_BYTES // 2
"""Bytes."""
_SHORT_SECONDS: Final = 2.0
"""A command that is over sooner gets one connection for its start and its end."""


@dataclass(frozen=True, slots=True)
class Fds:
    """Where the command's output goes: file descriptors."""

    stdout: int = 1
    stderr: int = 2


def _say(text: str) -> None:
    try:
        os.write(2, f"rmactors: {text}\n".encode("utf-8", "replace"))
    except OSError:
        pass  # there is nobody to tell


async def run_exec(
    command: Sequence[str],
    kind: JobKind,
    state_dir: Path,
    *,
    schedule: str | None = None,
    plan: str | None = None,
    timings: Timings | None = None,
    deliver_seconds: float = 10.0,
    forward_signals: bool = True,
    say: Callable[[str], None] = _say,
    fds: Fds | None = None,
) -> int:
    """Run `command` and report it as a job of `kind`. Returns its exit code, negative for a signal that ended it.

    127 and 126 as shells have it where it cannot be started. `forward_signals` needs the main thread. Reports go to
    the spool in `state_dir`; where no agent runs there, delivery is tried for `deliver_seconds`.
    Raises nothing about reporting: that is said through `say`.
    """
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        reporter = _Reporter(StateDir(state_dir), kind, plan, schedule, timings or Timings(), deliver_seconds, say)
        nursery.start_soon(reporter.begin, stack)
        wrapped = _Wrapped(command, fds or Fds())
        code = await wrapped.run(forward_signals)
        verdict = wrapped.verdict(kind, code)
        await reporter.end(code, verdict, wrapped.digest.summary or {})
        nursery.cancel_scope.cancel()
    return code


class _Wrapped:
    """The command: its output on its way through, and what it says of itself."""

    def __init__(self, command: Sequence[str], fds: Fds) -> None:
        self._command = list(command)
        self._fds = fds
        self._interrupted = False
        self.digest = Digest(speaks_restic=names_restic(command))

    def verdict(self, kind: JobKind, code: int) -> Verdict:
        if not names_restic(self._command) and not (self.digest.speaks_restic and code not in {0, 1, 2}):
            return judge_any(code, self.digest, interrupted=self._interrupted)
        return judge(kind, code, self.digest, stopped="cancelled" if self._interrupted else None)

    async def run(self, forward_signals: bool) -> int:
        async with trio.open_nursery() as nursery:
            if forward_signals:
                await nursery.start(self._forward)
            try:
                self._process: trio.Process = await trio.lowlevel.open_process(
                    self._command, stdin=None, stdout=-1, stderr=-1
                )
            except OSError as error:
                code = 127 if isinstance(error, FileNotFoundError) else 126
                words = "command not found" if code == 127 else (error.strerror or str(error)).lower()
                name = os.fsencode(self._command[0]).decode("utf-8", "replace")
                await self._pass_on("stderr", f"rmactors: {name}: {words}\n".encode())
                self.digest.last_stderr.append(f"{name}: {words}")
                nursery.cancel_scope.cancel()
                return code
            async with trio.open_nursery() as pumps:
                assert self._process.stdout is not None
                assert self._process.stderr is not None
                pumps.start_soon(self._pump, "stdout", self._process.stdout)
                pumps.start_soon(self._pump, "stderr", self._process.stderr)
                code = await self._process.wait()
                pumps.cancel_scope.deadline = trio.current_time() + _STRAGGLERS_SECONDS
            nursery.cancel_scope.cancel()
        return code

    async def _pump(self, stream: Stream, source: trio.abc.ReceiveStream) -> None:
        parser = OutputParser(stream)
        async with source:
            while data := await source.receive_some(_CHUNK):
                with trio.CancelScope(shield=True):  # what was read is passed on, however slow the reader
                    passed = await self._pass_on(stream, bytes(data))
                for item in parser.feed(bytes(data)):
                    self.digest.take(item)
                if not passed:
                    break  # nobody reads any more: closing the pipe tells the command, as it would have been told
        for item in parser.finish():
            self.digest.take(item)

    async def _pass_on(self, stream: Stream, data: bytes) -> bool:
        fd = self._fds.stdout if stream == "stdout" else self._fds.stderr

        return await trio.to_thread.run_sync(_write_all, fd, data)

    async def _forward(self, task_status: trio.TaskStatus[None]) -> None:
        """Hand on what is sent to this process. A terminal sends Ctrl-C to the command itself as well."""
        wanted = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
        with trio.open_signal_receiver(*wanted) as signals:
            task_status.started()
            async for number in signals:
                if number in {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}:
                    self._interrupted = True
                if hasattr(self, "_process") and not (number in _FROM_A_TERMINAL and _in_foreground()):
                    self._process.send_signal(number)


def _write_all(fd: int, data: bytes) -> bool:
    """All of it, waiting where the descriptor is non-blocking (it is shared, so it stays so). False: nobody reads."""
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except OSError:
            return False
    return True


def _in_foreground() -> bool:
    """Whether the terminal's own signals reach the command without help."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)


class _Reporter:
    """The start and the end of one job, into the spool and, where no agent runs, to the server."""

    def __init__(
        self,
        state: StateDir,
        kind: JobKind,
        plan: str | None,
        schedule: str | None,
        timings: Timings,
        seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._state = state
        self._kind = kind
        self._plan = plan.encode("utf-8", "replace").decode()[:200] if plan else None
        self._schedule = schedule
        self._schedule_id: str | None = None
        self._timings = timings
        self._seconds = seconds
        self._say = say
        self._job_id = ids.new()
        self._instance_id = ids.new()
        self._started_at = wire.utc_now()
        self._started = trio.current_time()
        self._outbox: Outbox | None = None
        self._begun = trio.Event()
        self._asking = trio.CancelScope(deadline=trio.current_time() + seconds)
        self._enrolled = True

    async def begin(self, stack: AsyncExitStack) -> None:
        """Put the start into the spool, and deliver it while the command runs, where no agent does."""
        try:
            try:
                self._state.make()
                self._outbox = await stack.enter_async_context(open_outbox(self._state))
                await self._outbox.report_orphans()
                self._enrolled = self._is_enrolled()
                await self._resolve_schedule()
                await self._outbox.add(
                    wire.JobStarted(
                        seq=0, job_id=self._job_id, kind=self._kind, plan=self._plan,
                        schedule_id=self._schedule_id, started_at=self._started_at,
                    )
                )  # fmt: skip
            finally:
                self._begun.set()
            if self._agent_delivers():
                return
            await trio.sleep(_SHORT_SECONDS)
            with trio.move_on_after(self._seconds):
                await self._deliver()
        except Exception as error:
            self._excuse(error)

    async def end(self, code: int, verdict: Verdict, stats: dict[str, Any]) -> None:
        """Put the end into the spool and see to its delivery."""
        finished_at = max(wire.utc_now(), self._started_at)
        deadline = trio.current_time() + self._seconds
        self._asking.deadline = min(self._asking.deadline, deadline)
        await self._begun.wait()
        if self._outbox is None:
            return
        report = wire.JobFinished(
            seq=0, job_id=self._job_id, kind=self._kind, plan=self._plan, schedule_id=self._schedule_id,
            status=verdict.status, reason=verdict.reason, error=verdict.error, exit_code=as_shells_say(code),
            started_at=self._started_at, finished_at=finished_at,
            stats=stats_of(stats, trio.current_time() - self._started),
        )  # fmt: skip
        try:
            await self._outbox.add(report)
            if self._agent_delivers():
                return
            with trio.CancelScope(deadline=deadline):
                await self._deliver()
        except Exception as error:
            self._excuse(error)

    def _excuse(self, error: Exception) -> None:
        """Nothing about reporting may touch the command, a bug of ours included: it is said, and that is all."""
        expected = isinstance(error, StateError | SpoolError)
        self._say(f"this run is not reported: {error if expected else repr(error)}")

    def _is_enrolled(self) -> bool:
        try:
            self._state.credential()
        except NotEnrolled as error:
            self._say(f"{error}; the outcome is kept in {self._state.path} until then")
            return False
        return True

    def _agent_delivers(self) -> bool:
        if self._state.agent_runs():
            self._state.ring()
            return True
        return False

    async def _deliver(self) -> None:
        """Try once; what cannot be delivered now stays in the spool for the next who tries."""
        if not self._enrolled or self._outbox is None:
            return
        try:
            await report_once(self._state, self._outbox, await self._hello(), self._timings, self._keep)
        except LinkDown:
            return

    async def _hello(self) -> wire.Hello:
        assert self._outbox is not None
        return wire.Hello(
            protocol=wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
            instance_id=self._instance_id,
            purpose="report",
            spool_id=self._outbox.spool_id,
            agent_version=__version__,
            hostname=this_host.hostname(),
            os=this_host.os_name(),
            arch=this_host.arch(),
            timezone=this_host.timezone(),
            utc_now=wire.utc_now(),
            tzdata_version=zones.version() or None,
            running_jobs=await self._outbox.running(),
            spooled=await self._outbox.count(),
        )

    async def _resolve_schedule(self) -> None:
        if self._schedule is None:
            return
        self._schedule_id = self._look_up()
        asked = ""
        if self._schedule_id is None and self._enrolled and not self._state.agent_runs():
            asked = ", and the server could not be asked"
            with self._asking:
                try:
                    assert self._outbox is not None
                    await report_once(self._state, self._outbox, await self._hello(), self._timings, self._keep)
                    asked = ""
                except LinkDown as down:
                    asked = f", and the server could not be asked: {down.reason}"
            self._schedule_id = self._look_up()
        if self._schedule_id is None:
            self._say(f"no schedule {self._schedule!r} is known for this host{asked}; reported without one")

    def _look_up(self) -> str | None:
        for info in self._state.schedules().schedules:
            if self._schedule in (info.name, info.id):
                return info.id
        return None

    def _keep(self, welcome: wire.Welcome) -> None:
        if not self._state.agent_runs():  # a running agent keeps them itself
            self._state.save_schedules(KeptSchedules(welcome.host_id, welcome.schedules_rev, tuple(welcome.schedules)))


def stats_of(numbers: dict[str, Any], seconds: float) -> msgspec.Raw:
    """A job's numbers as the wire wants them, `duration_seconds` among them. Large integers stay exact.

    What would not fit a frame is left out: a report that cannot be sent would hold up all behind it.
    """
    duration = {"duration_seconds": round(seconds, 3)}
    encoded = json.dumps(duration | numbers).encode()
    return msgspec.Raw(encoded if len(encoded) <= MOST_STATS else json.dumps(duration).encode())


def as_shells_say(code: int) -> int:
    """The exit code of a process, 128 + the signal's number where one ended it."""
    return code if code >= 0 else 128 - code


def leave_like(code: int) -> None:
    """End this process as the command ended: with its exit code or by its signal."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(as_shells_say(code))
