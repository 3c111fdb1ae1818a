"""What could not be written into the spool, in a running agent: delivered all the same, and written once that works.

Owns the tries to write again, and when the server is told that the spool cannot be written, or can be again. Delivers
over connections of its own (`purpose: report`): the reports stand under the numbers of another spool than the file's.
"""

import logging
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import trio

from rmactors.agent.connection import LinkDown, Timings
from rmactors.agent.pauses import Pauses
from rmactors.agent.report_queue import ReportQueue
from rmactors.agent.state_dir import StateError

log = logging.getLogger(__name__)

Tell = Callable[[], Awaitable[None]]
"""Delivers what is in memory over a connection of its own. Raises LinkDown, StateError."""

LONGEST_CALM_SECONDS: Final = 3600.0
LAST_WORDS_SECONDS: Final = 20.0
"""What an agent that is stopped takes for what is in its memory alone."""


@dataclass(slots=True)
class Announced:
    """What the server was told: whether the spool can be written. Pure: knows neither the disk nor the time.

    Trouble is told at once. That it is over is told after so many seconds of `calm`, twice as many each time that the
    trouble came back: on a disk that is just full, the agent would else come and go.
    """

    calm: float
    told: bool | None = None
    """Whether there is trouble, as the newest hello said; None before the first."""
    _troubles: int = 0

    def said(self, in_trouble: bool) -> None:
        """A hello says so now."""
        self._troubles += in_trouble and not self.told
        self.told = in_trouble

    def wait(self, in_trouble: bool) -> float | None:
        """How long things must stay as they are now until a hello is due for that; None if the server knows."""
        if self.told is None or self.told == in_trouble:
            return None
        return 0.0 if in_trouble else min(self.calm * 2.0 ** min(self._troubles - 1, 20), LONGEST_CALM_SECONDS)


async def mend(queue: ReportQueue, announced: Announced, say_hello_again: Callable[[str], None], every: float) -> None:
    """Until cancelled: write again what is not written, and have the server told of what has changed."""
    spool_id, was_in_trouble = queue.spool_id, False
    while True:
        turned, problem = queue.turned(), queue.problem
        in_trouble = problem is not None
        if problem is not None and not was_in_trouble:
            log.error("reports are kept in memory alone: %s; %s", problem.cause.words, problem.cause.advice)
        elif was_in_trouble and not in_trouble:
            log.info("reports are written again")
        was_in_trouble = in_trouble
        if queue.spool_id != spool_id:  # what follows stands under other numbers
            spool_id = queue.spool_id
            say_hello_again("the spool is another than before")
        wait = announced.wait(in_trouble)
        if in_trouble:
            if wait is not None:
                say_hello_again("the spool cannot be written")
            wait = every
        with trio.move_on_after(math.inf if wait is None else wait):
            await turned.wait()
            continue
        if in_trouble:
            await queue.mend()
        else:
            say_hello_again("the spool can be written again")
            with trio.move_on_after(every):  # it takes a moment until it is said
                await turned.wait()


async def deliver(queue: ReportQueue, tell: Tell, timings: Timings) -> None:
    """Until cancelled: what is in memory alone, to the server."""
    pauses = Pauses(timings, random.uniform)
    while True:
        news = queue.unwritten.news()
        pause = None
        if await queue.unwritten.count():
            try:
                await tell()
                pauses = Pauses(timings, random.uniform)
                continue
            except (LinkDown, StateError) as trouble:
                refused = isinstance(trouble, LinkDown) and trouble.status == 401
                pause = pauses.after_refusal() if refused else pauses.after(0.0)
                log.warning("what is in memory alone is not delivered: %s; trying again in %.1f s", trouble, pause)
            except Exception:
                log.exception("delivering what is in memory alone failed")  # no reason to stop running backups
                pause = pauses.after(0.0)
        if pause is None:
            await news.wait()
        else:
            await trio.sleep(pause)


async def last_words(queue: ReportQueue, tell: Tell) -> None:
    """The agent ends: what is in memory alone is written or told now, or never."""
    with trio.move_on_after(LAST_WORDS_SECONDS, shield=True):
        while await queue.unwritten.count():
            if await queue.mend():
                return
            try:
                await tell()
            except (LinkDown, StateError) as trouble:
                log.warning("%s", trouble)
                await trio.sleep(1.0)
    with trio.CancelScope(shield=True):
        if number := await queue.unwritten.count():
            log.error("%d reports could neither be written nor told, and are lost", number)
