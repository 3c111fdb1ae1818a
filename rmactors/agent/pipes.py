"""The two named pipes into the running agent: the bell, and what an `exec` hands over because it cannot write it.

A byte on the bell makes the agent look into the spool. On the other come reports, a line each, with the process that
answers for the job. Named pipes work on disks that take nothing any more. Each line goes in whole or not at all.
"""

import logging
import os
import select
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import msgspec
import trio

from rmactors.agent.outbox import Outbox
from rmactors.agent.state import StateDir
from rmactors.common import wire

log = logging.getLogger(__name__)

_CHUNK: Final = 4096
LAST_READ_SECONDS: Final = 10.0
"""What an agent that is stopped takes for what is in a pipe still."""


class _Handed(msgspec.Struct, frozen=True):
    frame: str
    owner: str | None = None


async def hear_the_bell(state: StateDir, outbox: Outbox) -> None:
    """Look into the spool whenever somebody rings. Without a bell, the link's heartbeats make it look."""

    async def look(_: bytes) -> None:
        outbox.look()

    await _listen(state.bell_file, look)


async def take_over(state: StateDir, outbox: Outbox) -> None:
    """Keep what is handed over: on disk where this process can write there, else in memory."""
    rest = b""

    async def take(data: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await _keep(line, outbox)
        rest = rest if len(rest) <= select.PIPE_BUF else b""

    await _listen(state.handover_file, take)


async def _keep(line: bytes, outbox: Outbox) -> None:
    try:
        handed = msgspec.json.decode(line, type=_Handed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.warning("what was handed over is no report")
        return
    report = wire.decode_from_agent(handed.frame)
    if isinstance(report, wire.JobStarted | wire.JobFinished):
        await outbox.add(report, owner=handed.owner)
    else:
        log.warning("what was handed over is no report")


def hand_over(state: StateDir, frame: str, owner: str | None) -> bool:
    """Give a report, as JSON text, to the running agent. False where there is none that takes it. Never waits."""
    line = msgspec.json.encode(_Handed(frame, owner)) + b"\n"
    if len(line) > select.PIPE_BUF:
        return False  # it could go in by halves
    try:
        pipe = os.open(state.handover_file, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISFIFO(os.fstat(pipe).st_mode) and os.write(pipe, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(pipe)


async def _listen(file: Path, hear: Callable[[bytes], Awaitable[None]]) -> None:
    try:
        pipe = _open_pipe(file)
    except OSError as error:
        log.warning("cannot listen on %s: %s", file, error.strerror)
        return
    try:
        while True:
            await trio.lowlevel.wait_readable(pipe)
            await hear(_what_is_there(pipe))
    finally:
        until = trio.current_time() + LAST_READ_SECONDS
        with trio.CancelScope(shield=True):  # whoever wrote it has gone, and nobody else has it
            while trio.current_time() < until and (data := _what_is_there(pipe)):
                await hear(data)
        os.close(pipe)


def _what_is_there(pipe: int) -> bytes:
    """Nothing where somebody else, who reads all files of a folder say, was faster."""
    try:
        return os.read(pipe, _CHUNK)
    except BlockingIOError:
        return b""


def _open_pipe(file: Path) -> int:
    """The pipe, open for both ends so that it never ends."""
    try:
        os.mkfifo(file, 0o600)
    except FileExistsError:
        if not stat.S_ISFIFO(file.stat().st_mode):
            file.unlink()
            os.mkfifo(file, 0o600)
    return os.open(file, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
