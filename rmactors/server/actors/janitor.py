"""Removes what is older than its kind is kept, a little at a time.

Owns      nothing.
Receives  nothing: it begins a while after the start, and again every few hours.
Sends     `Prune`s to the store, one at a time, with a pause after each that is longer than the step was.
Restart   begins again: what is gone is gone.

What is old is searched for beside the writer, on a reading connection. Reports wait for one step at most.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import trio

from rmactors.common import clock
from rmactors.common.clock import DAY
from rmactors.server.messages.answers import Committed
from rmactors.server.messages.retention import OldKind, Prune, Pruned
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, ask_store
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.reader import Reader
from rmactors.server.store.retention import START, find_old

_log = logging.getLogger(__name__)

FIRST_SECONDS = 300.0
"""A server that was just started has better things to do."""
EVERY_SECONDS = 6 * 3600.0
AGAIN_SECONDS = 60.0
"""After a round that the store or the disk cut short."""
STEP = 200
"""Rows a step, lines of a job's output times five: some milliseconds of the writer."""
LINES = 1_000
SIZES_DAYS = 400.0
"""A year of a repository's sizes, and some: they are few, and what grows is seen over a year."""
PAUSE_SECONDS = 0.02
PAUSE_STEPS = 4
"""Between two steps the store is left alone for as many times as the last step took."""


@dataclass(frozen=True, slots=True)
class Periods:
    """How long each kind is kept, in days."""

    job_logs: float
    jobs: float
    alerts: float
    notification_log: float
    audit: float

    def of_each(self) -> Iterator[tuple[OldKind, float]]:
        """Kinds in the order in which they go: first what hangs on others."""
        yield "job_logs", min(self.job_logs, self.jobs)
        yield "jobs", self.jobs
        yield "held", 0
        yield "told", 0
        yield "group_windows", 0
        yield "shared_windows", 0
        yield "deliveries", self.notification_log
        yield "alerts", self.alerts
        yield "dead_deliveries", self.alerts
        yield "notification_log", self.notification_log
        yield "audit", self.audit
        yield "sessions", 0
        yield "enrollment_tokens", 1
        yield "silences", self.alerts
        yield "tracks", 0
        yield "host_notes", 0
        yield "good_ends", 0
        yield "schedules", self.jobs
        yield "policies", self.jobs
        yield "hosts", self.jobs
        yield "repository_sizes", SIZES_DAYS
        yield "repositories", SIZES_DAYS


async def run(
    to_store: Outlet[Commit],
    reader: Reader,
    periods: Periods,
    first: float = FIRST_SECONDS,
    every: float = EVERY_SECONDS,
    again: float = AGAIN_SECONDS,
) -> None:
    """Clear up again and again: after `first` seconds, then `every` so often."""
    await trio.sleep(first)
    while True:
        done = await clear_up(to_store, reader, periods, clock.now())
        await trio.sleep(every if done else min(every, again))


async def clear_up(to_store: Outlet[Commit], reader: Reader, periods: Periods, now: int) -> bool:
    """Every kind once, each until nothing of it is left. False if it was cut short."""
    removed: dict[str, int] = {}
    try:
        for what, days in periods.of_each():
            before = now - round(days * DAY)
            gone = await _clear(to_store, reader, what, before)
            if gone:
                removed[what] = gone
    except DatabaseError as error:
        _log.warning("what is old could not be searched for: %s", error)
        return False
    except _CutShort as cut:
        _log.warning("what is old could not be removed: %s", cut)
        return False
    finally:
        if removed:
            _log.info("removed what was old: %s", ", ".join(f"{number} {what}" for what, number in removed.items()))
    return True


class _CutShort(Exception):
    """The store does not take a step just now."""


async def _clear(to_store: Outlet[Commit], reader: Reader, what: OldKind, before: int) -> int:
    """Remove what is older than `before` of one kind; how many rows went. Raises _CutShort, DatabaseError."""
    most = LINES if what == "job_logs" else STEP
    total, place = 0, START
    while True:
        keys, further = await reader.run(find_old, what, before, place, STEP)
        while keys:
            gone = await _step(to_store, Prune(what, before, tuple(keys), most))
            total += gone
            if gone < most or what != "job_logs":
                break  # a job's output may take several steps; of all else a key is a row
        if further is None:
            return total
        place = further


async def _step(to_store: Outlet[Commit], write: Prune) -> int:
    began = trio.current_time()
    answer = await ask_store(to_store, write)
    match answer:
        case Committed(results=(Pruned(rows),)):
            took = trio.current_time() - began
            await trio.sleep(max(PAUSE_SECONDS, PAUSE_STEPS * took))
            return rows
        case _:
            raise _CutShort(f"{write.what}: {answer}")
