"""Crontabs: of users, `/etc/crontab` and `/etc/cron.d`, and the scripts that `run-parts` starts. Pure.

Times are those of the machine, or of `CRON_TZ`. What Debian's cron and cronie do is `docs/import.md`. Where
systemd-cron runs crontabs, its timers say when: it does not read every line as cron does.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from rmactors.agent.imports import commands, systemd
from rmactors.agent.imports.commands import Scripts
from rmactors.agent.imports.found import AS_IT_IS, Found, When, Wrapper, name_of

SOURCE: Final = "crontab"
_ALIASES: Final = {"@midnight": "@daily", "@annually": "@yearly"}
_CUT: Final = "; cron ends a command at its first %, write \\% instead"
BY_SYSTEMD: Final = "systemd-cron runs it, at the times of the timer that it made of this line"
_NOT_BY_SYSTEMD: Final = (
    "it never runs: systemd-cron made no timer of this line. Write numbers for the names of months, and see"
    " `systemctl list-timers 'cron-*'`"
)
_AT_START: Final = "@reboot"
_VARIABLE: Final = re.compile(r"""(?:"[^"]*"|'[^']*'|[A-Za-z_]\w*)\s*=\s*(.*)""", re.ASCII)
_RUN_PARTS: Final = re.compile(r"\brun-parts\b[^;&|)]*?\s(/\S+?)(?=[\s;)]|\Z)")


Timers = dict[str, dict[str, When]]
"""Of systemd-cron: by file and line, in words, when that runs. A script of a folder like `/etc/cron.daily` has one line
without words."""
_MADE_OF: Final = re.compile(r'\[\w+\] "(.*)"')


@dataclass(frozen=True, slots=True)
class Line:
    """A line that starts something. `when` as cron's expression, empty for `@reboot`; `command` as it stands there."""

    number: int
    text: str
    when: str
    user: str
    command: str
    zone: str | None


def lines(text: str, *, with_user: bool) -> Iterator[Line]:
    """The lines of a crontab that start something. `with_user`: a user stands before the command."""
    zone = None
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        if not words or words.startswith("#"):
            continue
        if assigned := _VARIABLE.fullmatch(words):
            name = re.split(r"\s*=", words, maxsplit=1)[0].strip("\"'")
            zone = (assigned.group(1).strip().strip("\"'") or None) if name == "CRON_TZ" else zone
            continue
        fields = 1 if words.startswith("@") else 5
        parts = words.split(None, fields + (1 if with_user else 0))
        if len(parts) < fields + (2 if with_user else 1):
            continue
        when = " ".join(parts[:fields])
        when = "" if when.lower() == _AT_START else _ALIASES.get(when.lower(), when)
        yield Line(number, line, when, parts[fields] if with_user else "", parts[-1], zone)


def timers(texts: Iterable[str], zone: str) -> Timers:
    """From the timers that systemd-cron generated. `zone` is the machine's."""
    found: Timers = {}
    for text in texts:
        unit = systemd.parse([text])
        about, timer = unit.get("Unit", {}), unit.get("Timer", {})
        if (source := about.get("SourcePath")) and timer.get("OnCalendar"):
            made_of = _MADE_OF.fullmatch((about.get("Description") or [""])[-1])
            line = words(made_of.group(1).replace("%%", "%")) if made_of else ""
            found.setdefault(source[-1], {})[line] = systemd.when_of(timer, zone)[0]
    return found


def words(line: str) -> str:
    """A line as it is a key of `Timers`."""
    return " ".join(line.split())


def found_in(
    text: str, place: str, zone: str, wrapper: Wrapper, scripts: Scripts, *, with_user: bool,
    by_systemd: Mapping[str, When] | None = None,
) -> Iterator[Found]:  # fmt: skip
    """What runs restic in a crontab. `zone` is the machine's. `by_systemd`: where systemd-cron runs crontabs, what it
    made of this one, by line."""
    for line in lines(text, with_user=with_user):
        command, cut = _at_percent(line.command)
        broken = commands.is_open(command)
        uses = commands.uses(command.split(), scripts) if broken else commands.uses_of_shell(
            command.replace("\\%", "%"), scripts
        )  # fmt: skip
        use = commands.main_use(uses)
        if use is None:
            continue
        notes = commands.said_of(use, uses)
        if broken:
            notes.append("it cannot run: a quotation has no end" + (_CUT if cut else ""))
        if line.zone and by_systemd is None:
            notes.append("CRON_TZ counts with cronie; Debian's cron ignores it")
        if not line.when:
            notes.append("it runs when the machine starts: no schedule can watch that")
        when = When(cron=line.when or None, timezone=line.zone or zone)
        if by_systemd is not None and line.when:
            made = by_systemd.get(words(line.text))
            notes.append(BY_SYSTEMD if made is not None else _NOT_BY_SYSTEMD)
            when = made or when
        head = line.text[: len(line.text) - len(line.command)] if line.text.endswith(line.command) else ""
        new, how = head.lstrip() + wrapped(line.command, wrapper.before(use.kind, use.name, when)), "in its place"
        if use.reported:
            new, how = line.text.strip(), AS_IT_IS
        yield Found(SOURCE, use.name, use.kind, when, f"{place}, line {line.number}", new, how, tuple(notes), use.job)


def wrapped(command: str, before: str) -> str:
    """A crontab's command with `exec` before it. A percent sign in what is put before it is escaped."""
    before = before.replace("%", "\\%")
    shell, rest = _at_percent(command)
    return commands.wrapped(shell, before) + rest


def _at_percent(command: str) -> tuple[str, str]:
    """What cron gives to the shell, and what stands behind the first `%`: that is its input."""
    match = re.search(r"(?<!\\)%", command)
    return (command[: match.start()], command[match.start() :]) if match else (command, "")


# ---- run-parts


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder whose scripts are started together, like `/etc/cron.daily`, and when. `notes`: what is said of that."""

    path: str
    when: When
    by: str
    notes: tuple[str, ...] = ()


def run_parts(command: str) -> list[str]:
    """The folders that a command starts with `run-parts`."""
    found: list[str] = _RUN_PARTS.findall(command)
    return found


def folders(text: str, place: str, zone: str, *, anacron: bool) -> Iterator[Folder]:
    """The folders that `/etc/crontab` starts with `run-parts`. Where there is anacron, it leaves some to that."""
    for line in lines(text, with_user=True):
        if line.when and not (anacron and "anacron" in line.command):
            for path in run_parts(line.command):
                yield Folder(path, When(cron=line.when, timezone=line.zone or zone), f"{place}, line {line.number}")


def found_in_folder(folder: Folder, script: str, text: str, wrapper: Wrapper, scripts: Scripts) -> Iterator[Found]:
    """What a script of such a folder does, if it runs restic."""
    uses = commands.uses_of_shell(text, scripts)
    use = commands.main_use(uses)
    if use is None:
        return
    place, notes = f"{folder.path}/{script}", (f"started by {folder.by}", *folder.notes, *commands.beside(use, uses))
    if use.reported:
        yield Found(SOURCE, use.name, use.kind, folder.when, place, f"{script}", AS_IT_IS, notes, use.job)
        return
    name = name_of(f"{folder.path.rpartition('/')[2]}/{script}")
    for line in text.replace("\\\n", " ").splitlines():
        if use in commands.uses_of_shell(line, scripts) and commands.is_plain(line.strip()):
            given, plain = commands.assignments_before(line.strip())
            new, how = f"{given}{wrapper.before(use.kind, name, folder.when)} {plain}", "in its place in the script"
            break
    else:
        new, how = f"{wrapper.before(use.kind, name, folder.when)} restic …", "before restic in the script"
    yield Found(SOURCE, name, use.kind, folder.when, place, new, how, notes, use.job)
