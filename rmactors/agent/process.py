"""One child process and everything below it: its bytes as they come, a stop in three steps, and no survivors.

Owns the child's process group. The child gets SIGINT as well should the agent die without a word (SIGKILL), so
that restic still removes its lock. Must not know what the child is.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

import trio

from rmactors.agent.restic_output import Stream

StopReason = Literal["cancelled", "timeout"]

_CHUNK: Final = 1 << 16
_TERM_SECONDS: Final = 5.0
"""Between SIGTERM and SIGKILL, or the grace where that is shorter."""
_STRAGGLERS_SECONDS: Final = 5.0

# Runs between fork and restic, and is gone after its exec. Not a preexec_fn: that runs Python in a forked copy of a
# process with threads. PR_SET_PDEATHSIG (1) counts from the thread that forks: ours forks from the main thread.
_GUARD: Final = (
    "import ctypes,os,signal,sys\n"
    "signal.signal(signal.SIGINT,signal.SIG_DFL);signal.signal(signal.SIGPIPE,signal.SIG_DFL)\n"
    "ctypes.CDLL(None).prctl(1,int(signal.SIGINT))\n"
    "if os.getppid()!=int(sys.argv[1]): sys.exit(130)\n"
    "try: os.execvp(sys.argv[2],sys.argv[2:])\n"
    "except OSError as e: sys.exit(f'{sys.argv[2]}: {e.strerror}')\n"
)


class Stop:
    """Asks a job to stop. The first reason stays."""

    def __init__(self) -> None:
        self.reason: StopReason | None = None
        self._asked = trio.Event()

    def ask(self, reason: StopReason) -> None:
        if self.reason is None:
            self.reason = reason
            self._asked.set()

    async def wait(self) -> None:
        await self._asked.wait()


async def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    hear: Callable[[Stream, bytes], None],
    stop: Stop,
    grace_seconds: float,
) -> int:
    """Run `command` with stdin closed; its exit code, negative for a signal. `hear` gets its output as it comes.

    `stop` sends SIGINT, after the grace SIGTERM to the whole group, then SIGKILL. Cancellation does the same and
    waits for it. Raises OSError where it cannot be started.
    """
    process, streams = _start(command, environment)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_stop_when_asked, process, stop, grace_seconds)
            async with trio.open_nursery() as pumps:
                for name, stream in streams.items():
                    pumps.start_soon(_pump, stream, name, hear)
                await _wait(process)
                _signal_group(process, signal.SIGKILL)  # what it left behind
                pumps.cancel_scope.deadline = trio.current_time() + _STRAGGLERS_SECONDS
            nursery.cancel_scope.cancel()
    finally:
        if process.returncode is None:
            with trio.CancelScope(shield=True):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(_end, process, grace_seconds)
                    await _wait(process)
                    nursery.cancel_scope.cancel()
        _signal_group(process, signal.SIGKILL)
        for stream in streams.values():
            await trio.aclose_forcefully(stream)
    assert process.returncode is not None
    return process.returncode


def _start(
    command: Sequence[str], environment: Mapping[str, str]
) -> tuple[subprocess.Popen[bytes], dict[Stream, trio.lowlevel.FdStream]]:
    guarded = list(command)
    if sys.platform == "linux" and sys.executable:
        guarded = [sys.executable, "-I", "-S", "-c", _GUARD, str(os.getpid()), *command]
    out, child_out = os.pipe()
    err, child_err = os.pipe()
    try:
        # The child holds the reading ends too: where the agent dies, the first word that restic writes on its way out
        # (about the signal it got) would otherwise end it by SIGPIPE before it has removed its lock.
        process = subprocess.Popen(  # noqa: S603 - fixed words and values from the administrator's own file
            guarded, stdin=subprocess.DEVNULL, stdout=child_out, stderr=child_err, env=dict(environment),
            start_new_session=True, pass_fds=(out, err), cwd="/",
        )  # fmt: skip
    except BaseException:
        os.close(out)
        os.close(err)
        raise
    finally:
        os.close(child_out)
        os.close(child_err)
    return process, {"stdout": trio.lowlevel.FdStream(out), "stderr": trio.lowlevel.FdStream(err)}


async def _pump(source: trio.lowlevel.FdStream, name: Stream, hear: Callable[[Stream, bytes], None]) -> None:
    while data := await source.receive_some(_CHUNK):
        hear(name, bytes(data))


async def _wait(process: subprocess.Popen[bytes]) -> None:
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
    _signal_group(process, signal.SIGTERM)
    await trio.sleep(min(_TERM_SECONDS, grace_seconds))
    _signal_group(process, signal.SIGKILL)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # nobody is left
