"""The two named pipes into the running agent: one wakes it, one takes what an `exec` cannot write.

A byte on the first makes the agent look into the spool. On the other come reports, a line each, with the process that
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

from rmactors.agent.report_queue import ReportQueue
from rmactors.agent.state_dir import StateDir
from rmactors.common import wire

log = logging.getLogger(__name__)

_CHUNK: Final = 4096
_LOOK_SECONDS: Final = 0.25
LAST_READ_SECONDS: Final = 10.0
"""What an agent that is stopped takes for what is in a pipe still."""


class _Handed(msgspec.Struct, frozen=True):
    frame: str
    owner: str | None = None


async def watch_wakeup_pipe(state: StateDir, queue: ReportQueue) -> None:
    """Look into the spool whenever another process asks for that. Without the pipe, the heartbeats make it look."""

    async def look(_: bytes) -> None:
        queue.look()

    await _read_pipe(state.wakeup_pipe, look)


async def receive_handovers(state: StateDir, queue: ReportQueue) -> None:
    """Keep what is handed over: on disk if this process can write there, else in memory."""
    rest = b""

    async def take(data: bytes) -> None:
        nonlocal rest
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            await _keep(line, queue)
        rest = rest if len(rest) <= select.PIPE_BUF else b""

    await _read_pipe(state.handover_pipe, take)


async def _keep(line: bytes, queue: ReportQueue) -> None:
    try:
        handed = msgspec.json.decode(line, type=_Handed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        log.warning("what was handed over is no report")
        return
    report = wire.decode_from_agent(handed.frame)
    if isinstance(report, wire.JobStarted) and await queue.knows(report.job_id):
        return  # it is handed over again and again, for an agent that does not know it yet
    if isinstance(report, wire.JobStarted | wire.JobFinished):
        await queue.add(report, owner=handed.owner)
    else:
        log.warning("what was handed over is no report")


async def until_runs_are_known(state: StateDir, queue: ReportQueue, seconds: float) -> None:
    """At the start of an agent: until each `exec` whose start is on no disk has handed it over here, or has ended.

    Else the first hello would leave such a run out, and the server take it for lost. No longer than so many seconds.
    """
    with trio.move_on_after(seconds):
        while True:
            news = queue.unwritten.news()
            if not state.runs_in_memory() - await _known(queue):
                return
            with trio.move_on_after(_LOOK_SECONDS):  # one that has ended says nothing
                await news.wait()
    log.warning("a run of `exec` that is not on disk was not handed over in time")


async def _known(queue: ReportQueue) -> set[int]:
    numbers = {owner.partition(":")[0] for owner in await queue.owners()}
    return {int(number) for number in numbers if number.isdecimal()}  # it came through a pipe, and may be anything


def hand_over(state: StateDir, frame: str, owner: str | None) -> bool:
    """Give a report, as JSON text, to the running agent. False if there is none that takes it. Never waits."""
    line = msgspec.json.encode(_Handed(frame, owner)) + b"\n"
    if len(line) > select.PIPE_BUF:
        return False  # it could go in by halves
    try:
        pipe = os.open(state.handover_pipe, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return stat.S_ISFIFO(os.fstat(pipe).st_mode) and os.write(pipe, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(pipe)


async def _read_pipe(file: Path, on_data: Callable[[bytes], Awaitable[None]]) -> None:
    try:
        pipe = _open_pipe(file)
    except OSError as error:
        log.warning("cannot listen on %s: %s", file, error.strerror)
        return
    try:
        while True:
            await trio.lowlevel.wait_readable(pipe)
            await on_data(_what_is_there(pipe))
    finally:
        until = trio.current_time() + LAST_READ_SECONDS
        with trio.CancelScope(shield=True):  # anyone who wrote it has gone, and nobody else has it
            while trio.current_time() < until and (data := _what_is_there(pipe)):
                await on_data(data)
        os.close(pipe)


def _what_is_there(pipe: int) -> bytes:
    """Nothing if somebody else, who reads all files of a folder say, was faster."""
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
