"""Which scheduled runs are due. Pure: schedules, marks and the time come in, runs and the next look come out.

A slot is taken once. However many slots passed while the host slept, one run catches up, for the newest of them. A
schedule that is given by an interval has no slots: it counts from the end of its last run, however that ended, so that
what fails is tried again after the interval and not at once; a run that was asked for counts too.
Only schedules of mode `agent` run here; `external` ones are run by others and only watched by the server.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from rmactors.agent.spool import Mark
from rmactors.common import clock, cron
from rmactors.common.wire import ScheduleInfo

_FUTURE: Final = clock.DAY
"""A mark this far ahead was made by a clock that was wrong."""


@dataclass(frozen=True, slots=True)
class Due:
    """A run that should start now, for the slot at `slot` microseconds; None if the schedule has no slots."""

    schedule: ScheduleInfo
    slot: int | None
    now: int = 0

    @property
    def mark(self) -> int:
        """How far the schedule has come with this run."""
        return self.now if self.slot is None else self.slot


def definition(schedule: ScheduleInfo) -> str:
    """If it changes, slots count from then on. An interval is no part of it: it counts from the last run anyway."""
    if schedule.every_hours is not None:
        return f"every|{schedule.mode}"
    return f"{schedule.cron}|{schedule.timezone}|{schedule.mode}|{int(schedule.enabled)}"


def reconcile(schedules: Iterable[ScheduleInfo], marks: Mapping[str, Mark], now: int) -> tuple[list[Mark], list[str]]:
    """Marks to set, and ids of marks to forget: a schedule that is new or changed counts from now on."""
    known = {schedule.id: schedule for schedule in schedules}
    fresh = []
    for schedule in known.values():
        mark = marks.get(schedule.id)
        if mark is None or mark.definition != definition(schedule) or mark.slot > now + _FUTURE:
            fresh.append(Mark(schedule.id, definition(schedule), now))
    return fresh, [gone for gone in marks if gone not in known]


def due(
    schedules: Iterable[ScheduleInfo], marks: Mapping[str, Mark], now: int, salt: str, jitter_seconds: float
) -> tuple[list[Due], int | None]:
    """Runs to start, and the microsecond at which to look again (None: nothing is planned).

    `salt` tells hosts apart, so that they do not all begin in the same second.
    """
    runs: list[Due] = []
    next_look: int | None = None
    for schedule in schedules:
        mark = marks.get(schedule.id)
        if not schedule.enabled or schedule.mode != "agent" or mark is None:
            continue
        if schedule.every_hours is not None:
            at = mark.slot + interval(schedule.every_hours)
            if now >= at:
                runs.append(Due(schedule, None, now))
                at = now + interval(schedule.every_hours)
            next_look = at if next_look is None else min(next_look, at)
            continue
        try:
            slot = cron.previous_fire(schedule.cron, schedule.timezone, now, mark.slot + 1)
            following = cron.next_fire(schedule.cron, schedule.timezone, now)
            later = cron.next_fire(schedule.cron, schedule.timezone, following)
        except ValueError:
            continue  # a server that knows more than this version does
        shift = jitter(schedule.id, salt, min(clock.seconds(jitter_seconds), (later - following) // 10))
        if slot is not None and now >= slot + shift:
            runs.append(Due(schedule, slot))
            look = following + shift
        else:
            look = (slot if slot is not None else following) + shift
        next_look = look if next_look is None else min(next_look, look)
    return runs, next_look


def interval(hours: float) -> int:
    """In microseconds, and never so short that the agent does nothing else."""
    return max(round(hours * clock.HOUR), clock.SECOND)


def jitter(schedule_id: str, salt: str, most: int) -> int:
    """Microseconds from 0 to `most`, always the same for the same schedule on the same host."""
    if most <= 0:
        return 0
    digest = hashlib.sha256(f"{salt}/{schedule_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % (most + 1)
