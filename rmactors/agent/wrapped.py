"""The process that `exec` wraps: as it would be without us, its output passed through, and the signals for it.

Owns the process and the two pipes of its output. What cannot be written any more is read all the same; only a reader
that has gone away is shown to the command, as it would have been without us. Knows nothing of reports.
"""

import errno
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, Literal

import trio

from rmactors.agent import stand_in
from rmactors.agent.command_line import program_of
from rmactors.agent.inheritance import Inheritance
from rmactors.agent.loglines import KeptLines, said
from rmactors.agent.process import wait_for
from rmactors.agent.restic_output import Item, OutputParser, Stream
from rmactors.agent.signals import Arrived, Signals
from rmactors.agent.verdict import JobVerdict
from rmactors.agent.wrapped_verdict import CommandOutput, Sent, judge_wrapped
from rmactors.common.vocabulary import JobKind

_ENDING: Final = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT}
"""What somebody sends who wants it to end."""
_CHUNK: Final = 1 << 16
_STRAGGLERS_SECONDS: Final = 5.0
"""How long output is passed on after the command has ended, where a child of its own still holds the pipes."""


@dataclass(frozen=True, slots=True)
class Fds:
    """Where the command's output goes: file descriptors."""

    stdout: int = 1
    stderr: int = 2


class CannotWrap(Exception):
    """There is not even enough for a second process beside ours: descriptors, memory or processes are at their limit.

    Not raised for what is wrong with the command itself: that ends as in a shell.
    """


_AT_A_LIMIT: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN}


@dataclass(frozen=True, slots=True)
class _Running:
    """The process, and the reading ends of its output."""

    popen: subprocess.Popen[bytes]
    out: int
    err: int


class Wrapped:
    """One run of one command."""

    def __init__(self, command: Sequence[str], fds: Fds, inheritance: Inheritance, signals: Signals | None) -> None:
        self._command = list(command)
        self._fds = fds
        self._inheritance = inheritance
        self._signals = signals
        self._process: _Running | None = None
        self._early: list[int] = []
        self._sent: Sent | None = None
        self.output = CommandOutput()
        self.lines = KeptLines()

    def judge(self, kind: JobKind, code: int) -> JobVerdict:
        return judge_wrapped(kind, code, self.output, program_of(self._command), self._sent)

    def on_signal(self, arrived: Arrived) -> None:
        """Hand a signal on. What a key of the terminal sends has come to the command already."""
        if self._sent is None and arrived.number in _ENDING:
            self._sent = Sent(arrived.number, arrived.by_key)
        if arrived.by_key:
            return
        if self._process is None:
            self._early.append(arrived.number)
        else:
            self._send(arrived.number)

    def _send(self, number: int) -> None:
        assert self._process is not None
        try:
            self._process.popen.send_signal(number)
        except PermissionError:
            pass  # it has become another user, as sudo does: anyone who sent this could not have reached it either

    async def run(self) -> int:
        """Its exit code, negative for a signal that ended it; 127 and 126 if it cannot be started.

        Raises CannotWrap before the command was started.
        """
        try:
            process = await self._start()
        except OSError as error:
            if error.errno in _AT_A_LIMIT:
                raise CannotWrap(os.strerror(error.errno).lower()) from None
            code = 127 if isinstance(error, FileNotFoundError) else 126
            words = "command not found" if code == 127 else (error.strerror or str(error)).lower()
            line = f"{os.fsencode(self._command[0]).decode('utf-8', 'replace')}: {words}"
            await self._pass_on("stderr", f"rmactors: {line}\n".encode())
            self._take(OutputParser("stderr").feed(f"{line}\n".encode()))
            return code
        self._process = process
        for number in self._early:
            self._send(number)
        async with trio.open_nursery() as pumps:
            pumps.start_soon(self._pump, "stdout", trio.lowlevel.FdStream(process.out))
            pumps.start_soon(self._pump, "stderr", trio.lowlevel.FdStream(process.err))
            await wait_for(process.popen)
            pumps.cancel_scope.deadline = trio.current_time() + _STRAGGLERS_SECONDS
        return process.popen.returncode

    async def _start(self) -> "_Running":
        command = self._command
        if self._inheritance.names_this_process:
            command = [sys.executable, "-I", "-S", stand_in.__file__, str(os.getpid()), *command]
        try:
            return await trio.to_thread.run_sync(self._open, command)
        except OSError as error:
            # A script without its first line: shells, and so cron, let a shell run it.
            script = shutil.which(command[0]) if error.errno == errno.ENOEXEC else None
            if script is None:
                raise
        return await trio.to_thread.run_sync(self._open, ["/bin/sh", script, *command[1:]])

    def _open(self, command: list[str]) -> "_Running":
        out, child_out = os.pipe()
        err, child_err = os.pipe()
        try:
            with self._signals.let_through() if self._signals is not None else nullcontext():
                process = subprocess.Popen(  # noqa: S603 - running what the caller wants is what this is for
                    command, stdin=None, stdout=child_out, stderr=child_err, pass_fds=self._inheritance.fds,
                    env=self._inheritance.environment,
                )  # fmt: skip
        except BaseException:
            os.close(out)
            os.close(err)
            raise
        finally:
            os.close(child_out)
            os.close(child_err)
        return _Running(process, out, err)

    async def _pump(self, stream: Stream, source: trio.lowlevel.FdStream) -> None:
        parser = OutputParser(stream)
        async with source:
            while data := await source.receive_some(_CHUNK):
                with trio.CancelScope(shield=True):  # what was read is passed on, however slow the reader
                    became = await self._pass_on(stream, bytes(data))
                self._take(parser.feed(bytes(data)))
                if became == "unread" and not self._is_journal(stream):
                    break  # nobody reads any more: closing the pipe tells the command, as it would have been told
        self._take(parser.finish())

    def _take(self, items: list[Item]) -> None:
        for item in items:
            self.output.take(item)
            if (line := said(item)) is not None:
                self.lines.add(line)

    def _fd(self, stream: Stream) -> int:
        return self._fds.stdout if stream == "stdout" else self._fds.stderr

    async def _pass_on(self, stream: Stream, data: bytes) -> Literal["written", "lost", "unread"]:
        return await trio.to_thread.run_sync(_write_all, self._fd(stream), data)

    def _is_journal(self, stream: Stream) -> bool:
        """systemd's services ignore SIGPIPE: a journal that goes away is no reason for a command to end."""
        try:
            found = os.fstat(self._fd(stream))
        except OSError:
            return False
        return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def _write_all(fd: int, data: bytes) -> Literal["written", "lost", "unread"]:
    """All of it, waiting where the descriptor is non-blocking (it is shared, so it stays so).

    `lost`: it cannot be written now, on a full disk for example. `unread`: the reader has gone away.
    """
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(fd, rest) :]
        except BlockingIOError:
            select.select([], [fd], [])
        except BrokenPipeError:
            return "unread"
        except OSError:
            return "lost"
    return "written"
