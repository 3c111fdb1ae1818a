"""The 30-day strip: what became of each day of a schedule, as SVG paths and as a sentence. Pure.

One path for each kind of day, so that five hundred strips stay a small page. Days differ in shape as well as in
colour: a partial day is lower, a failed one taller, one that was put right is cut in two, a missed one is hollow, one
on which nothing was due a speck.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final, Literal, get_args

from rmactors.common import clock
from rmactors.server.calendars.when import When
from rmactors.server.store.queries.pages import Days
from rmactors.server.web.views.texts import _, later, many
from rmactors.server.web.views.times import Moment

Day = Literal["good", "recovered", "partial", "failed", "running", "missed", "none"]
"""`recovered`: something went wrong, and a later run of the same day was good."""
DAYS: Final = 30
_STEP: Final = 7
_STROKES: Final[Mapping[Day, str]] = {
    "good": "M{x}.5 3v16",
    "recovered": "M{x}.5 0v4M{x}.5 7v12",
    "partial": "M{x}.5 9v10",
    "failed": "M{x}.5 0v22",
    "running": "M{x}.5 3v16",
    "missed": "M{l}.75 3.75h3.5v14.5h-3.5z",
    "none": "M{x}.5 17v2",
}
_OF_STATUS: Final[Mapping[str, Day]] = {
    "succeeded": "good", "partial": "partial", "failed": "failed", "running": "running",
}  # fmt: skip
"""What is queued, was skipped or called off is no run of a day."""
_RUNS: Final[tuple[Day, ...]] = ("good", "partial", "failed", "running")
"""What a run can be, in the order in which words count them."""


@dataclass(frozen=True, slots=True)
class Window:
    """The days that a strip shows, in the viewer's zone. `starts` has one more than there are days: the end."""

    first: date
    starts: tuple[int, ...]

    def spans(self) -> list[Days]:
        """The days in groups of equal length: where clocks change, a day has 23 or 25 hours."""
        found: list[Days] = []
        for n, (start, end) in enumerate(pairwise(self.starts)):
            length = end - start
            if found and found[-1].length == length == clock.DAY:
                found[-1] = Days(found[-1].first, found[-1].start, end, length)
            else:
                found.append(Days(n, start, end, length))
        return found

    def index(self, at: int) -> int | None:
        """Which day a time falls on; None outside."""
        if not self.starts[0] <= at < self.starts[-1]:
            return None
        return bisect_right(self.starts, at) - 1


@dataclass(frozen=True, slots=True)
class Strip:
    """`name` says whose it is; `paths` are (class, path data); `words` is the text alternative."""

    name: str
    paths: tuple[tuple[Day, str], ...]
    words: str
    days: tuple[Day, ...]


def window(moment: Moment) -> Window:
    """The last thirty days, today included."""
    first = moment.local(moment.now).date() - timedelta(days=DAYS - 1)
    starts = tuple(
        clock.from_datetime(datetime.combine(first + timedelta(days=n), datetime.min.time(), moment.zone))
        for n in range(DAYS + 1)
    )
    return Window(first, starts)


@dataclass(frozen=True, slots=True)
class Past:
    """What became of each day, and how many runs there were of each kind in `_RUNS`."""

    days: tuple[Day, ...]
    runs: tuple[int, ...]


def past(shown: Window, runs: str, expected: frozenset[int], counts_from: int, now: int) -> Past:
    """A day is as bad as its worst run that was not made good by a later one of that day; without a run, it tells
    whether something was due since `counts_from`.

    `runs` as in `queries.pages.SubjectRuns`. Today is not missed before it is over: a late run may still come, and
    alerts are what is quick about that.
    """
    first, over = bisect_left(shown.starts, counts_from), bisect_right(shown.starts, now) - 1
    return _past(len(shown.starts) - 1, runs, expected, first, over)


@lru_cache(maxsize=4096)
def _past(count: int, runs: str, expected: frozenset[int], first: int, over: int) -> Past:
    found: list[Day] = ["missed" if n in expected and first <= n < over else "none" for n in range(count)]
    counts = dict.fromkeys(_RUNS, 0)
    for text in runs.split(",") if runs else ():
        day, what = _run(text)
        if what is None:
            continue
        counts[what] += 1
        before = found[day]
        if before == "running":  # one that goes on tells more than those that have ended
            continue
        if what == "good":
            found[day] = "recovered" if before in ("failed", "partial", "recovered") else "good"
        elif what != "partial" or before != "failed":  # some of the files are not what the failed run was to save
            found[day] = what
    return Past(tuple(found), tuple(counts.values()))


@lru_cache(maxsize=1024)
def _run(text: str) -> tuple[int, Day | None]:
    """`12failed` as its parts; None where it is no run of a day. An hourly fleet has few texts, very often."""
    status = text.lstrip("0123456789")
    return int(text[: len(text) - len(status)]), _OF_STATUS.get(status)


def expected_days(shown: Window, when: When) -> frozenset[int]:
    """The days on which a schedule fires. Kept: fleets share few expressions, and the days change once a day."""
    return _expected(shown, when)


@lru_cache(maxsize=4096)
def _expected(shown: Window, when: When) -> frozenset[int]:
    found: set[int] = set()
    for n in range(len(shown.starts) - 1):
        try:
            fire = when.next_fire(shown.starts[n] - 1)
        except ValueError:  # a zone that this machine no longer knows
            return frozenset()
        if fire is not None and fire < shown.starts[n + 1]:
            found.add(n)
    return frozenset(found)


@lru_cache(maxsize=4096)
def strip(name: str, of: Past) -> Strip:
    """The days as shapes, and what ran in them as words."""
    return Strip(name, _paths(of.days), in_words(name, of), of.days)


_WORST_FIRST: Final[tuple[Day, ...]] = ("failed", "missed", "partial", "running", "recovered", "good", "none")


@lru_cache(maxsize=4096)
def of_host(name: str, pasts: tuple[Past, ...]) -> Strip:
    """One strip for all that a host runs: each day is as bad as the worst of them, and days are what is counted."""
    days = tuple(min(each, key=_WORST_FIRST.index) for each in zip(*(past.days for past in pasts), strict=True))
    return Strip(name, _paths(days), f"{name}{_days_in_words(days)}", days)


@lru_cache(maxsize=4096)
def _days_in_words(days: tuple[Day, ...]) -> str:
    counts = (
        ("good", later("%(n)s day good"), later("%(n)s days good")),
        ("partial", later("%(n)s day partial"), later("%(n)s days partial")),
        ("failed", later("%(n)s day failed"), later("%(n)s days failed")),
        ("running", later("%(n)s day running"), later("%(n)s days running")),
        ("recovered", later("%(n)s day recovered by a later run"), later("%(n)s days recovered by a later run")),
        ("missed", later("did not run on %(n)s day"), later("did not run on %(n)s days")),
        ("none", later("%(n)s day with nothing due"), later("%(n)s days with nothing due")),
    )
    parts = [many(one, several, n) for day, one, several in counts if (n := days.count(day))]
    return _(", last %(days)d days: %(parts)s") % {"days": len(days), "parts": ", ".join(parts)}


@lru_cache(maxsize=4096)
def _paths(of_days: tuple[Day, ...]) -> tuple[tuple[Day, str], ...]:
    data: dict[Day, list[str]] = {}
    for n, day in enumerate(of_days):
        data.setdefault(day, []).append(_STROKES[day].format(x=n * _STEP + 2, l=n * _STEP))
    return tuple((kind, "".join(data[kind])) for kind in get_args(Day) if kind in data)


def in_words(name: str, of: Past) -> str:
    """`home, last 30 days: 718 good, 12 failed, 2 days without a run that was due`: runs are counted, and days
    without one.
    """
    return _("%(name)s, last %(days)d days: %(parts)s") % {
        "name": name, "days": len(of.days), "parts": _counted(of),
    }  # fmt: skip


@lru_cache(maxsize=4096)
def _counted(of: Past) -> str:
    words = {"good": _("good"), "partial": _("partial"), "failed": _("failed"), "running": _("running")}
    parts = [f"{n} {words[kind]}" for kind, n in zip(_RUNS, of.runs, strict=True) if n]
    if n := of.days.count("recovered"):
        parts.append(many("%(n)s day recovered by a later run", "%(n)s days recovered by a later run", n))
    if n := of.days.count("missed"):
        parts.append(many("did not run on %(n)s day", "did not run on %(n)s days", n))
    if n := of.days.count("none"):
        parts.append(many("%(n)s day with nothing due", "%(n)s days with nothing due", n))
    return ", ".join(parts)


def legend() -> tuple[tuple[Day, str, str], ...]:
    """(class, path, word) for each kind of day."""
    names: tuple[tuple[Day, str], ...] = (
        ("good", _("good")), ("recovered", _("failed, then good")), ("partial", _("partial")),
        ("failed", _("failed")), ("missed", _("did not run")), ("running", _("running")), ("none", _("nothing due")),
    )  # fmt: skip
    return tuple((day, _STROKES[day].format(x=2, l=0), word) for day, word in names)
