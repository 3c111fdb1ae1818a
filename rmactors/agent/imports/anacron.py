"""`/etc/anacrontab`: what is to run every so many days, whenever the machine is on. Pure.

Debian's anacron (2.3) knows `@monthly` and `@yearly`, cronie's `@daily` and `@weekly` too. Of another name both say
that they skip the line, and run it each time that they are started themselves, as with a period of 0. systemd starts
Debian's once an hour from 7:30 to 23:30.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rmactors.agent.imports import commands, crontab
from rmactors.agent.imports.commands import Scripts
from rmactors.agent.imports.crontab import Folder
from rmactors.agent.imports.found import AS_IT_IS, Found, When, Wrapper

_ASSIGNED: Final = re.compile(r"[ \t]*[^ \t=]+[ \t]*=.*")
_JOB: Final = re.compile(r"[ \t]*(?P<period>[0-9]+|@[^ \t]+)[ \t]+[0-9]+[ \t]+[^ \t/]+[ \t]+(?P<command>[^ \t].*)")
_DAYS: Final = {"@daily": 1, "@weekly": 7, "@monthly": 31, "@yearly": 366}
"""At most, for the names that are a month or a year of the calendar."""
_OF_CRONIE_ALONE: Final = ("@daily", "@weekly")
_NOT_BY_SYSTEMD: Final = "it never runs: systemd-cron made no timer of this line; see `systemctl list-timers 'cron-*'`"


@dataclass(frozen=True, slots=True)
class Line:
    """A line that starts something, `text` as it is when its continuations are joined. `number` is that of the first.
    `notes` are what is to be said of its period."""

    number: int
    text: str
    when: When
    command: str
    notes: tuple[str, ...] = ()


def lines(text: str, *, debian: bool) -> Iterator[Line]:
    """The lines that start something. `debian`: it is Debian's anacron that reads them."""
    for number, line in _joined(text):
        if not line.strip() or line.lstrip().startswith("#") or _ASSIGNED.fullmatch(line):
            continue
        if job := _JOB.fullmatch(line):
            period = job["period"]
            days = int(period) if period.isdecimal() else _DAYS.get(period, 0)
            when = When(every_hours=days * 24.0) if days else When()
            yield Line(number, line, when, job["command"], tuple(_notes(period, days, debian=debian)))


def _notes(period: str, days: int, *, debian: bool) -> Iterator[str]:
    if debian and period in _OF_CRONIE_ALONE:
        yield f"Debian's anacron does not know {period}: it runs this whenever it is started; write {days} instead"
    elif not days:
        yield "anacron runs this whenever it is started: no schedule can watch that; give it a number of days"


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with those that continue them, and the number of the first."""
    begun, held = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        begun = begun or number
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        yield begun, held + line
        begun, held = 0, ""
    if held:
        yield begun, held


def folders(text: str, place: str, *, debian: bool) -> Iterator[Folder]:
    """The folders whose scripts it starts with `run-parts`."""
    for line in lines(text, debian=debian):
        for path in crontab.run_parts(line.command):
            yield Folder(path, line.when, f"{place}, line {line.number}", line.notes)


def found_in(
    text: str, place: str, wrapper: Wrapper, scripts: Scripts, *, debian: bool,
    by_systemd: Mapping[str, When] | None = None,
) -> Iterator[Found]:  # fmt: skip
    """What runs restic in its own lines. `by_systemd`: where systemd-cron runs them, what it made of them, by line."""
    for line in lines(text, debian=debian):
        uses = commands.uses_of_shell(line.command, scripts)
        use = commands.main_use(uses)
        if use is None:
            continue
        when, notes = line.when, line.notes
        if by_systemd is not None:
            made = by_systemd.get(crontab.words(line.text))
            when, notes = made or when, (crontab.BY_SYSTEMD if made is not None else _NOT_BY_SYSTEMD,)
        head = line.text[: len(line.text) - len(line.command)]
        new, how = head + commands.wrapped(line.command, wrapper.before(use.kind, use.name, when)), "in its place"
        if use.reported:
            new, how = line.text, AS_IT_IS
        yield Found(
            crontab.SOURCE, use.name, use.kind, when, f"{place}, line {line.number}", new.strip(), how,
            (*notes, *commands.said_of(use, uses)), use.job,
        )  # fmt: skip
