"""When schedules run, in plain words, and when they do next. Pure."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from rmactors.common import cron
from rmactors.server.calendars import on_calendar
from rmactors.server.calendars.when import When
from rmactors.server.web.views import words
from rmactors.server.web.views.texts import _, later
from rmactors.server.web.views.times import Moment, Time, duration

_MOST_KEPT: Final = 4096
_fires: Final[dict[When, tuple[int, int]]] = {}
"""→ (asked for, found): the answer holds until it has come. Fleets share few expressions."""
_DAYS: Final = (
    later("Sunday"), later("Monday"), later("Tuesday"), later("Wednesday"), later("Thursday"), later("Friday"),
    later("Saturday"), later("Sunday"),
)  # fmt: skip
_SHORT_DAYS: Final = {"SUN": 0, "MON": 1, "TUE": 2, "WED": 3, "THU": 4, "FRI": 5, "SAT": 6}
_MONTHS: Final = (
    "", later("January"), later("February"), later("March"), later("April"), later("May"), later("June"),
    later("July"), later("August"), later("September"), later("October"), later("November"), later("December"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Explained:
    """What was typed, for who types it: `error` is a sentence, else empty. Without slots there are no fires."""

    words: str
    fires: tuple[Time, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ExecLines:
    """What reports the runs of an external schedule: a line of a crontab, and what belongs into a systemd service."""

    crontab: str
    service: str


def exec_lines(name: str, kind: str, plan: str, when: When) -> ExecLines:
    """`COMMAND` in them is the operator's. Where no cron expression says when, the line begins with the command."""
    words = ["agent", "exec", "--kind", kind, "--schedule", name, *(["--plan", plan] if plan else []), "--"]
    given = shlex.join(words)
    at = f"{when.cron} " if when.cron is not None else ""
    escaped = given.replace("%", "\\%")
    in_unit = given.replace("%", "%%").replace("$", "$$")
    return ExecLines(f"{at}rmactors {escaped} COMMAND", f"[Service]\nExecStart=\nExecStart=rmactors {in_unit} COMMAND")


def explained(expression: str, zone: str, moment: Moment) -> Explained:
    """A cron expression in words, with its next five fires."""
    return explained_when("cron", {"cron": expression, "timezone": zone}, moment)


def explained_when(way: str, typed: Mapping[str, str], moment: Moment) -> Explained:
    """Whichever way was chosen, in words, with the next five fires. `typed` is what stands in each field."""
    zone = typed.get("timezone", "").strip() or "UTC"
    try:
        cron.check_zone(zone)
        when = _when(way, {name: text.strip() for name, text in typed.items()}, zone, moment)
    except ValueError as error:
        return Explained("", (), words.sentence(str(error)) + ".")
    return Explained(in_few_words(when), tuple(next_fires(when, moment)))


def _when(way: str, typed: Mapping[str, str], zone: str, moment: Moment) -> When:
    """Raises ValueError."""
    if way == "every_hours":
        hours = number(typed.get("every_hours", ""))
        if hours is None or not hours > 0:
            raise ValueError(_("how many hours? For example 24"))
        return When(None, None, hours, zone)
    if way == "on_calendar":
        on_calendar.check(typed.get("on_calendar", ""), zone, moment.now)
        return When(None, typed.get("on_calendar", ""), None, zone)
    cron.check(typed.get("cron", ""), zone)
    return When(typed.get("cron", ""), None, None, zone)


def number(text: str) -> float | None:
    """What was typed as a number, with a comma or a point; None where it is none."""
    try:
        found = float(text.strip().replace(",", "."))
    except ValueError:
        return None
    return found if isfinite(found) else None


def in_words(expression: str) -> str:
    """`Every day at 02:30`, `Monday to Friday at 01:00`. What has no short wording comes back as it is written."""
    fields = cron.ALIASES.get(expression.strip().lower(), expression).split()
    if len(fields) != 5:
        return expression
    minute, hour, day, month, weekday = fields
    when = _time_of_day(minute, hour)
    which = _which_days(day, month, weekday)
    if when is None or which is None:
        return expression
    if which == _("every day") and when.startswith(_("every")):
        return when[:1].upper() + when[1:]
    text = f"{which} {when}" if when.startswith(_("at")) else f"{when}, {which}"
    return text[:1].upper() + text[1:]


def in_few_words(when: When) -> str:
    """`Every day at 02:30, Europe/Berlin`, `OnCalendar=Mon..Fri 02:30, UTC`, `Every 24 hours`."""
    if when.every_hours is not None:
        if when.every_hours == 1:
            return _("Every hour")
        return _("Every %s hours") % f"{when.every_hours:g}"
    if when.on_calendar is not None:
        return f"OnCalendar={when.on_calendar}, {when.timezone}"
    return f"{in_words(when.cron or '')}, {when.timezone}"


def written(when: When) -> str:
    """As it was given, to hover over."""
    return " · ".join(filter(None, (when.cron or when.on_calendar, when.timezone if when.has_slots else "")))


def limit(max_age_hours: float | None) -> str:
    """`No older than 26 h`; empty where that is not judged."""
    return _("no older than %s") % duration(max_age_hours * 3600) if max_age_hours is not None else ""


def next_fires(when: When, moment: Moment, count: int = 5) -> list[Time]:
    """The next fires in the viewer's zone. Empty where the expression cannot be read here."""
    found: list[Time] = []
    after: int | None = moment.now
    try:
        while len(found) < count and after is not None:
            after = when.next_fire(after)
            if after is not None:
                found.append(moment.slot(after))
    except ValueError:
        return found
    return found


def next_run(when: When, now: int, counted_from: int) -> int | None:
    """None where there is none, or the expression cannot be read here (a zone that this machine does not know)."""
    if not when.has_slots:
        return when.next_run(now, counted_from)
    known = _fires.get(when)
    if known is not None and known[0] <= now < known[1]:
        return known[1]
    try:
        fire = when.next_fire(now)
    except ValueError:
        return None
    if fire is not None:
        if len(_fires) >= _MOST_KEPT:
            _fires.clear()
        _fires[when] = (now, fire)
    return fire


def _time_of_day(minute: str, hour: str) -> str | None:
    if minute == "*" and hour == "*":
        return _("every minute")
    if minute.startswith("*/") and minute[2:].isdecimal() and hour == "*":
        return _("every %s minutes") % minute[2:]
    if not minute.isdecimal():
        return None
    if hour == "*":
        return _("every hour, on the hour") if int(minute) == 0 else _("every hour at minute %s") % int(minute)
    if hour.startswith("*/") and hour[2:].isdecimal():
        start = "" if int(minute) == 0 else _(" at minute %s") % int(minute)
        return _("every %s hours") % hour[2:] + start
    hours = hour.split(",")
    if not all(part.isdecimal() for part in hours):
        return None
    times = [f"{int(part):02d}:{int(minute):02d}" for part in hours]
    return _("at %s") % _listed(times)


def _which_days(day: str, month: str, weekday: str) -> str | None:
    if month != "*" and not month.isdecimal():
        return None
    in_month = "" if month == "*" else _(" of %s") % _(_MONTHS[int(month)])
    if day == "*" and weekday == "*":
        return _("every day") if month == "*" else _("every day in %s") % _(_MONTHS[int(month)])
    if day != "*" and weekday == "*" and all(part.isdecimal() for part in day.split(",")):
        days = _listed([_ordinal(int(part)) for part in day.split(",")])
        return _("on the %s") % days + (in_month or _(" of each month"))
    if day == "*" and month == "*":
        return _weekdays(weekday)
    return None


def _weekdays(weekday: str) -> str | None:
    first, dash, last = weekday.partition("-")
    if dash:
        a, b = _weekday(first), _weekday(last)
        return None if a is None or b is None else _("%(a)s to %(b)s") % {"a": _(_DAYS[a]), "b": _(_DAYS[b])}
    named = [_weekday(part) for part in weekday.split(",")]
    found = [_(_DAYS[n]) for n in named if n is not None]
    return _("on %s") % _listed(found) if len(found) == len(named) else None


def _weekday(text: str) -> int | None:
    if text.isdecimal() and int(text) <= 7:
        return int(text)
    return _SHORT_DAYS.get(text.upper())


def _ordinal(n: int) -> str:
    ending = "th" if 10 <= n % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(n % 10, "th")
    return f"{n}{ending}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else _("%(first)s and %(last)s") % {
        "first": ", ".join(parts[:-1]), "last": parts[-1],
    }  # fmt: skip
