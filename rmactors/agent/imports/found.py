"""Something that runs restic on this host: the schedule that would watch it, the line that would report it. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from rmactors.common import cron
from rmactors.common.vocabulary import JobKind

LONGEST_NAME: Final = 100
AS_IT_IS: Final = "as it is: its runs are reported already"
MOST_GRACE_SECONDS: Final = 30 * 86_400


@dataclass(frozen=True, slots=True)
class When:
    """When it runs: one of the three, or none where no time can be told. `grace_seconds` 0: the server chooses."""

    cron: str | None = None
    on_calendar: str | None = None
    every_hours: float | None = None
    timezone: str = "UTC"
    grace_seconds: int = 0

    @property
    def known(self) -> bool:
        return (self.cron, self.on_calendar, self.every_hours) != (None, None, None)

    @property
    def text(self) -> str:
        if self.every_hours is not None:
            return f"every {self.every_hours:g} hours"
        if not self.known:
            return "at no time that can be watched"
        expression = self.cron if self.cron is not None else f"OnCalendar={self.on_calendar}"
        grace = f", grace {self.grace_seconds} s" if self.grace_seconds else ""
        return f"{expression}, {self.timezone}{grace}"

    @property
    def problem(self) -> str:
        """Why the server would not take it; empty where it is not known to be so."""
        if self.cron is not None:
            try:
                cron.check(self.cron, self.timezone)
            except ValueError as error:
                return str(error)
        return ""


@dataclass(frozen=True, slots=True)
class Found:
    """`place` is where it stands, `line` what to write there instead, `how` how one does that."""

    source: str
    name: str
    kind: JobKind
    when: When
    place: str
    line: str
    how: str = ""
    notes: tuple[str, ...] = ()
    job: str = ""
    """What it is to the tool that runs it, by which two finds of the same are known: `backup@default`."""

    @property
    def schedule(self) -> dict[str, Any] | None:
        """The body of the schedule that watches it; None where none can."""
        if not self.when.known or self.when.problem:
            return None
        ways = {"cron": self.when.cron, "on_calendar": self.when.on_calendar, "every_hours": self.when.every_hours}
        return {
            "name": self.name, "kind": self.kind, "mode": "external", "timezone": self.when.timezone,
            "grace_seconds": self.when.grace_seconds,
            **{name: value for name, value in ways.items() if value is not None},
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wrapper:
    """How this installation is called: `/usr/local/bin/rmactors`, with options of `exec` where they are needed."""

    program: Sequence[str] = ("rmactors",)
    options: Sequence[str] = ()

    def before(self, kind: JobKind, name: str, when: When) -> str:
        """What stands before a command that is to be reported, for a shell or a unit. Without a time, no schedule."""
        of = ["--schedule", name] if when.known else []
        return shlex.join([*self.program, "agent", "exec", "--kind", kind, *of, *self.options, "--"])


def name_of(*parts: str) -> str:
    """A schedule's name: one line, not too long."""
    text = " ".join(" ".join(part.split()) for part in parts if part)
    text = re.sub(r"[^\w .:/@+~,=()#-]", "_", text).strip()
    return text[:LONGEST_NAME].strip() or "restic"


def each_once(found: Iterable[Found]) -> list[Found]:
    """What several sources tell of the same job, once: what really starts it comes first. Names are unique after."""
    jobs: set[str] = set()
    names: set[str] = set()
    kept = []
    for each in found:
        if each.job and each.job in jobs:
            continue
        jobs |= {each.job} - {""}
        name, number = each.name, 1
        while name.casefold() in names:
            number += 1
            name = f"{each.name[: LONGEST_NAME - 5]} {number}"
        names.add(name.casefold())
        line = each.line.replace(_named(each.name), _named(name), 1) if name != each.name else each.line
        kept.append(replace(each, name=name, line=line))
    return kept


def _named(name: str) -> str:
    return f"--schedule {shlex.quote(name)} "
