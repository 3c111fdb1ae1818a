"""What runs when, and how many runs begin in each hour. Pure.

Schedules that run at the same times are counted together, so forty thousand of them are a few hundred expressions,
whose times on a day are kept from one look to the next.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Final

from rmactors.common import clock
from rmactors.server.calendars.when import When
from rmactors.server.store.queries.calendar import Plan, Planned, PlannedRun
from rmactors.server.web.views import lists, schedules, words
from rmactors.server.web.views.lists import Asked, Choice, ListKind
from rmactors.server.web.views.measures import number
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time

CALENDAR: Final = ListKind(
    "/calendar", MappingProxyType({"time": "time"}), "time", MappingProxyType({"range": ("7d",)}), ("tag",)
)
_MOST_A_DAY: Final = 1_440
_BUDGET: Final = 200_000
"""Runs that are counted one by one for one page; what would go beyond is said to be left out."""
_WIDTH, _HEIGHT, _BAR = 400, 40, 16


@dataclass(frozen=True, slots=True)
class Hour:
    """How many runs begin in an hour. `width` is that of its bar, of `WIDTH`; `kinds` says what they are."""

    begins: Time
    runs: int
    said: str
    width: int
    kinds: str


@dataclass(frozen=True, slots=True)
class Day:
    """A day as bars, one an hour: (x, y, height). `words` is the text alternative."""

    name: str
    said: str
    bars: tuple[tuple[int, int, int], ...]
    words: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run that comes."""

    at: Time
    host_id: str
    host: str
    schedule: str
    kind_name: str


@dataclass(frozen=True, slots=True)
class Calendar:
    """`hours` of a day, or `days` of a week. `note` says what could not be counted, if anything."""

    asked: Asked
    lede: str
    note: str
    hours: tuple[Hour, ...]
    days: tuple[Day, ...]
    runs: tuple[Run, ...]
    tags: tuple[Choice, ...]
    ranges: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class Load:
    """From `begin` on, for each hour how many runs begin, by kind. `left_out`: schedules that were not counted."""

    begin: int
    hours: tuple[Counter[str], ...]
    left_out: int


def hour_of(moment: Moment) -> int:
    """When the present hour began where the viewer is."""
    local = moment.local(moment.now)
    return clock.from_datetime(
        local - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
    )


def load(plan: Plan, begin: int, now: int, hours: int) -> Load:
    """What begins within so many hours after `now`, by the hours from `begin` on. The first of them has begun, so that
    the last one ends as far into the next."""
    end, left, left_out = now + hours * clock.HOUR, _BUDGET, 0
    counted = tuple(Counter[str]() for _n in range(begin, end, clock.HOUR))
    for group in plan.slots:
        if left <= 0:
            left_out += group.many
            continue
        for at in _between(group.when, now, end):
            counted[(at - begin) // clock.HOUR][group.kind] += group.many
            left -= 1
    for interval in plan.intervals:
        at = max(interval.next_at or 0, now + 1)
        if at < end:
            counted[(at - begin) // clock.HOUR][interval.kind] += 1
    return Load(begin, counted, left_out)


def soonest(plan: Plan, now: int, most: int) -> list[tuple[int, Planned]]:
    """(when, which) of the groups that run next, until they have so many runs."""
    known = ((schedules.next_run(group.when, now, 0), group) for group in plan.slots)
    found: list[tuple[int, Planned]] = []
    runs = 0
    for at, group in sorted(((at, group) for at, group in known if at is not None), key=lambda pair: pair[0]):
        found.append((at, group))
        runs += group.many
        if runs >= most:
            break
    return found


def calendar(
    of: Asked,
    counted: Load,
    coming: Sequence[tuple[int, Planned]],
    who: Sequence[Sequence[PlannedRun]],
    tags: Sequence[str],
    moment: Moment,
) -> Calendar:
    """`coming` are those that run next, `who` the schedules of each of them."""
    week = of.get("range") == "7d"
    return Calendar(
        asked=of,
        lede=_lede(counted, moment, week=week),
        note=many("%(n)s schedule runs too often to be counted here.",
                  "%(n)s schedules run too often to be counted here.", counted.left_out) if counted.left_out else "",
        hours=() if week else _hours(counted, moment),
        days=_days(counted, moment) if week else (),
        runs=tuple(
            Run(moment.until(at), run.host_id, run.host_name, run.name, words.kind_name(run.kind))
            for (at, _group), runs in zip(coming, who, strict=False)
            for run in runs
        ),
        tags=lists.choices(of, "tag", [(tag, tag) for tag in tags]),
        ranges=(
            (of.with_filter("range", "").href(), _("24 hours"), not week),
            (of.with_filter("range", "7d").href(), _("7 days"), week),
        ),
    )  # fmt: skip


def _lede(counted: Load, moment: Moment, *, week: bool) -> str:
    totals = [sum(hour.values()) for hour in counted.hours]
    every = many("%(n)s run", "%(n)s runs", sum(totals))
    if not any(totals):
        return _("Nothing is planned in the next 7 days.") if week else _("Nothing is planned in the next 24 hours.")
    worst = max(range(len(totals)), key=lambda n: totals[n])
    text = (
        _("%(runs)s in the next 7 days, most of them from %(when)s on: %(most)s in that hour.")
        if week
        else _("%(runs)s in the next 24 hours, most of them from %(when)s on: %(most)s in that hour.")
    )
    when = moment.slot(counted.begin + worst * clock.HOUR).words
    return text % {"runs": every, "when": when, "most": number(totals[worst])}


def _hours(counted: Load, moment: Moment) -> tuple[Hour, ...]:
    totals = [sum(hour.values()) for hour in counted.hours]
    highest = max([*totals, 1])
    return tuple(
        Hour(
            moment.slot(counted.begin + n * clock.HOUR),
            total,
            many("%(n)s run", "%(n)s runs", total) if total else _("nothing"),
            max(2, round(total / highest * _WIDTH)) if total else 0,
            ", ".join(f"{words.kind_name(kind)} {number(runs)}" for kind, runs in counted.hours[n].most_common()),
        )
        for n, total in enumerate(totals)
    )


def _days(counted: Load, moment: Moment) -> tuple[Day, ...]:
    totals = [sum(hour.values()) for hour in counted.hours]
    highest = max([*totals, 1])
    days: dict[str, list[tuple[int, int]]] = {}
    for n, total in enumerate(totals):
        local = moment.local(counted.begin + n * clock.HOUR)
        days.setdefault(f"{local:%a} {local.day} {local:%b}", []).append((local.hour, total))
    return tuple(_day(name, hours, highest) for name, hours in days.items())


def _day(name: str, hours: Sequence[tuple[int, int]], highest: int) -> Day:
    runs = sum(total for _hour, total in hours)
    said = many("%(n)s run", "%(n)s runs", runs) if runs else _("nothing")
    bars = []
    for hour, total in hours:
        height = max(2, round(total / highest * _HEIGHT)) if total else 0
        bars.append((hour * _BAR, _HEIGHT - height, height))
    most_at, most = max(hours, key=lambda pair: pair[1])
    busiest = _(", most from %(hour)02d:00 on (%(most)s)") % {"hour": most_at, "most": number(most)} if runs else ""
    return Day(name, said, tuple(bars), f"{name}: {said}{busiest}")


def _between(when: When, after: int, until: int) -> list[int]:
    """Its slots later than `after` and before `until`."""
    days = range(after // clock.DAY, (until - 1) // clock.DAY + 1)
    return [at for day in days for at in _of_day(when, day) if after < at < until]


@lru_cache(maxsize=16_384)
def _of_day(when: When, day: int) -> tuple[int, ...]:
    """Its slots on a day since 1970, in UTC; none where it cannot be read here."""
    begin = day * clock.DAY
    try:
        return tuple(islice(when.fires_between(begin - 1, begin + clock.DAY - 1), _MOST_A_DAY))
    except ValueError:
        return ()
