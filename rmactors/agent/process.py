"""One child process and everything below it: its bytes as they come, a stop in three steps, and no survivors.

Owns the child's session. Should the agent die without a word (SIGKILL), the `guard` beside the child ends it: gently
at first, so that restic still removes its lock. Must not know what the child is.
"""

import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Literal

import trio

from rmactors.agent import guard
from rmactors.agent.restic_output import Stream

StopReason = Literal["cancelled", "timeout"]

_CHUNK: Final = 1 << 16
_STRAGGLERS_SECONDS: Final = 5.0


class Stop:
    """Asks a job to stop, also when its time is up: then the reason is `timeout`. The first reason stays."""

    def __init__(self, within: float = math.inf) -> None:
        """`within` so many seconds."""
        self.reason: StopReason | None = None
        self._asked = trio.Event()
        self._deadline = math.inf
        if within < math.inf:
            self.within(within)

    def within(self, seconds: float) -> None:
        """Its time begins now. Said before anything waits."""
        self._deadline = trio.current_time() + seconds

    def ask(self, reason: StopReason) -> None:
        if self.reason is None:
            self.reason = reason
            self._asked.set()

    async def wait(self) -> None:
        """Until it is to stop."""
        with trio.CancelScope(deadline=self._deadline):
            await self._asked.wait()
        self.ask("timeout")  # if nothing else was asked


async def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    on_output: Callable[[Stream, bytes], None],
    stop: Stop,
    grace_seconds: float,
    started: Callable[[int], None] | None = None,
    niceness: int = 0,
) -> int:
    """Run `command` with stdin closed; its exit code, negative for a signal. `on_output` gets its output as it comes,
    `started` its process number. `niceness` comes on top of this process's own, from the command's first moment on.

    `stop` sends SIGINT, after the grace SIGTERM to the whole session, then SIGKILL. Cancellation does the same and
    waits for it. Raises OSError if it cannot be started.
    """
    process, streams, lifeline = _start(command, environment, grace_seconds, niceness)
    if started is not None:
        started(process.pid)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_when_asked, process, stop, grace_seconds)
            async with trio.open_nursery() as pumps:
                for name, stream in streams.items():
                    pumps.start_soon(_pump, stream, name, on_output)
                await wait_for(process)
                await _kill_the_rest(process)
                pumps.cancel_scope.deadline = trio.current_time() + _STRAGGLERS_SECONDS
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_end, process, grace_seconds)
                    await wait_for(process)
                    nursery.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            await _kill_the_rest(process)
        os.close(lifeline)
        for stream in streams.values():
            await trio.aclose_forcefully(stream)
    assert process.returncode is not None
    return process.returncode


def _start(
    command: Sequence[str], environment: Mapping[str, str], grace_seconds: float, niceness: int
) -> tuple[subprocess.Popen[bytes], dict[Stream, trio.lowlevel.FdStream], int]:
    """The process, its output, and the lifeline: open for as long as this agent lives."""
    out, child_out = os.pipe()
    err, child_err = os.pipe()
    child_lifeline, lifeline = os.pipe()
    # Not a preexec_fn: that runs Python in a forked copy of a process with threads.
    words = [str(child_lifeline), str(grace_seconds), str(niceness)]
    guarded = [sys.executable, "-I", "-S", guard.__file__, *words, *command]
    try:
        # The child holds the reading ends too: where the agent dies, the first word that restic writes on the way out
        # (about the signal it got) would otherwise end it by SIGPIPE before it has removed its lock.
        with _interrupts_held():
            process = subprocess.Popen(  # noqa: S603 - fixed words and values from the administrator's own file
                guarded, stdin=subprocess.DEVNULL, stdout=child_out, stderr=child_err, env=dict(environment),
                start_new_session=True, pass_fds=(out, err, child_lifeline), cwd="/",
            )  # fmt: skip
    except BaseException:
        for fd in (out, err, lifeline):
            os.close(fd)
        raise
    finally:
        for fd in (child_out, child_err, child_lifeline):
            os.close(fd)
    return process, {"stdout": trio.lowlevel.FdStream(out), "stderr": trio.lowlevel.FdStream(err)}, lifeline


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """What is started inside begins with SIGINT blocked, until the guard lets it through: Python may lose one while
    it starts, and a job that is called off at once would be ended by force after the grace."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


async def _pump(source: trio.lowlevel.FdStream, name: Stream, on_output: Callable[[Stream, bytes], None]) -> None:
    while data := await source.receive_some(_CHUNK):
        on_output(name, bytes(data))


async def wait_for(process: subprocess.Popen[bytes]) -> None:
    """Until the process has ended, and been reaped."""
    try:
        pidfd = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # an old kernel, or not Linux
        await trio.to_thread.run_sync(process.wait)
        return
    try:
        await trio.lowlevel.wait_readable(pidfd)
    finally:
        os.close(pidfd)
    process.wait()


async def _stop_when_asked(process: subprocess.Popen[bytes], stop: Stop, grace_seconds: float) -> None:
    await stop.wait()
    await _end(process, grace_seconds)


async def _end(process: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """SIGINT to the child alone: it removes its lock and needs its helpers for that. Then harder, to all."""
    process.send_signal(signal.SIGINT)
    await trio.sleep(grace_seconds)
    await trio.to_thread.run_sync(guard.signal_session, process.pid, signal.SIGTERM)
    await trio.sleep(min(guard.TERM_SECONDS, grace_seconds))
    await trio.to_thread.run_sync(guard.signal_session, process.pid, signal.SIGKILL)


async def _kill_the_rest(process: subprocess.Popen[bytes]) -> None:
    """What the child has left behind, and the guard's watcher. Waits until they are gone."""
    await trio.to_thread.run_sync(guard.signal_session, process.pid, signal.SIGKILL)
    with trio.move_on_after(_STRAGGLERS_SECONDS):
        while _may_reap(process.pid) or bool(await trio.to_thread.run_sync(guard.members, process.pid)):
            await trio.sleep(0.01)
            await trio.to_thread.run_sync(guard.signal_session, process.pid, signal.SIGKILL)  # one may be new


def _may_reap(group: int) -> bool:
    """In a container the agent may be what orphans fall to: whether some of that group's are still to end."""
    try:
        return os.waitpid(-group, os.WNOHANG) is not None
    except ChildProcessError:
        return False
