"""`rmactors agent exec`: runs the command that a cron job or timer already runs, and tells how it ended.

`wrapped` owns the process, `run_reporter` what is told of it. Whatever goes wrong with reporting, the command runs, its
output passes through byte for byte as it comes, and its exit code is the one that is returned.
"""

import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import trio

from rmactors.agent.connection import Timings
from rmactors.agent.inheritance import Inheritance
from rmactors.agent.job_end import as_shells_say
from rmactors.agent.run_reporter import RunReporter
from rmactors.agent.signals import Arrived, Signals
from rmactors.agent.state_dir import StateDir
from rmactors.agent.wrapped import CannotWrap, Fds, Wrapped
from rmactors.common.text import one_line
from rmactors.common.vocabulary import JobKind


def _say(text: str) -> None:
    try:
        os.write(2, f"rmactors: {one_line(text)}\n".encode("utf-8", "replace"))
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
    inheritance: Inheritance | None = None,
) -> int:
    """Run `command` and report it as a job of `kind`. Returns its exit code, negative for a signal that ended it.

    127 and 126 as shells have it if it cannot be started. `forward_signals` needs the main thread. Reports go to
    the spool in `state_dir`; if no agent runs there, delivery is tried for `deliver_seconds`. `inheritance` is what
    the command gets beside stdin, stdout and stderr. Raises nothing about reporting: that is said through `say`;
    CannotWrap if the command was not started because this process is at a limit of the system.
    """
    signals = Signals() if forward_signals else None
    wrapped = Wrapped(command, fds or Fds(), inheritance or Inheritance(), signals)
    reporter = RunReporter(StateDir(state_dir), kind, plan, schedule, timings or Timings(), deliver_seconds, say)
    ended = False
    failed: CannotWrap | None = None

    def on_signal(arrived: Arrived) -> None:
        if ended:
            reporter.hurry()
        else:
            wrapped.on_signal(arrived)

    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:
        if signals is not None:
            await nursery.start(signals.run, on_signal)
        nursery.start_soon(reporter.begin, stack)
        try:
            code = await wrapped.run()
            if signals is not None:
                await signals.catch_up(on_signal)
            ended = True
            await reporter.end(code, wrapped.judge(kind, code), wrapped)
        except CannotWrap as error:
            failed = error
        nursery.cancel_scope.cancel()
    if failed is not None:
        raise failed
    return code


def leave_like(code: int) -> None:
    """End this process as the command ended: with its exit code or by its signal."""
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if -code not in {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    sys.exit(as_shells_say(code))
