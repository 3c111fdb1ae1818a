"""Signals that come to `exec`, and from whom: those of the terminal's keys reach the command without help.

Linux tells where a signal comes from (`si_code`), and Python does not pass that on. So SIGINT and SIGQUIT are held back
and read from a signalfd; if there is none, the foreground decides.
"""

import ctypes
import os
import signal
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import trio

_KEYS: Final = frozenset({signal.SIGINT, signal.SIGQUIT})
"""What Ctrl-C and Ctrl-\\ send."""
_NAMED: Final = (
    "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGVTALRM", "SIGPROF", "SIGXCPU",
    "SIGIO", "SIGPWR", "SIGSTKFLT",
)  # fmt: skip
_SI_KERNEL: Final = 0x80
_TURNS: Final = 5
"""Of trio's loop, in which a signal gets from its handler to the task that hears it."""
_RECORD: Final = 128
"""Bytes of a `signalfd_siginfo`."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """A signal; `by_key` says that the terminal sent it, to the command as well."""

    number: int
    by_key: bool


def forwarded() -> list[int]:
    """Signals that would end a program, and that nobody has told this one to ignore (`nohup`)."""
    numbers = [int(getattr(signal, name)) for name in _NAMED if hasattr(signal, name)]
    numbers += range(signal.SIGRTMIN, signal.SIGRTMAX + 1)
    return [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]


class Signals:
    """Hears what is sent to this process. To be made in the main thread, before others are started."""

    def __init__(self) -> None:
        self._wanted = forwarded()
        self.mask_before = signal.pthread_sigmask(signal.SIG_BLOCK, [])
        self._held = [number for number in self._wanted if number in _KEYS]
        self._fd = _signalfd(self._held) if self._held else -1

    async def run(
        self, on_signal: Callable[[Arrived], None], task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Pass on each signal until cancelled."""
        with trio.open_signal_receiver(*self._wanted) as signals:
            if self._fd >= 0:
                signal.pthread_sigmask(signal.SIG_BLOCK, self._held)
            try:
                task_status.started()
                async with trio.open_nursery() as nursery:
                    if self._fd >= 0:
                        nursery.start_soon(self._read, on_signal)
                    await _each(signals, on_signal)
            finally:
                if self._fd >= 0:
                    signal.pthread_sigmask(signal.SIG_SETMASK, self.mask_before)
                    os.close(self._fd)

    async def _read(self, on_signal: Callable[[Arrived], None]) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._fd)
            self._read_now(on_signal)

    def _read_now(self, on_signal: Callable[[Arrived], None]) -> None:
        while True:
            try:
                record = os.read(self._fd, _RECORD)
            except BlockingIOError:
                return
            number, _errno, code = struct.unpack_from("=IiI", record)
            on_signal(Arrived(number, by_key=code == _SI_KERNEL))

    async def catch_up(self, on_signal: Callable[[Arrived], None]) -> None:
        """Pass on what has come already: a key ends the command too, and its end may be noticed first."""
        if self._fd >= 0:
            self._read_now(on_signal)
        for _ in range(_TURNS):
            await trio.lowlevel.checkpoint()

    @contextmanager
    def let_through(self) -> Iterator[None]:
        """A process that is started inside, in this thread, holds back what it would hold back without us."""
        now = signal.pthread_sigmask(signal.SIG_SETMASK, self.mask_before)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, now)


async def _each(signals: AsyncIterator[int], on_signal: Callable[[Arrived], None]) -> None:
    async for number in signals:
        on_signal(Arrived(number, by_key=number in _KEYS and _in_foreground()))


def _signalfd(numbers: list[int]) -> int:
    """A descriptor that tells of these signals while they are held back; -1 if the system has none."""
    mask = (ctypes.c_uint64 * 16)()  # a sigset_t, 1,024 bits
    for number in numbers:
        mask[0] |= 1 << (number - 1)
    try:
        make = ctypes.CDLL(None, use_errno=True).signalfd
        return int(make(-1, ctypes.byref(mask), os.O_CLOEXEC | os.O_NONBLOCK))
    except (OSError, AttributeError):
        return -1


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
