"""systemd's timers and the services that they start. Pure.

Unit files are read as systemd does: drop-ins behind the file, an empty value forgets what came before, a backslash at
the end of a line joins it with the next.
"""

import math
import re
import shlex
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from rmactors.agent.imports import commands
from rmactors.agent.imports.commands import Scripts, Use
from rmactors.agent.imports.found import AS_IT_IS, MOST_GRACE_SECONDS, Found, When, Wrapper, name_of

SOURCE: Final = "systemd"
Unit = dict[str, dict[str, list[str]]]
"""Section → key → values, as they stand there."""
Load = Callable[[str], Sequence[str]]
"""The texts of a unit by its name, the file first, then its drop-ins; nothing where there is none."""
_EXEC_MARKS: Final = re.compile(r"[-@:+!|]*")
_SPAN: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Zµμ]*)")
_ACCURACY: Final = 60.0
_UNITS: Final = {
    name: seconds
    for names, seconds in (
        ("usec us µs μs", 1e-6), ("msec ms", 1e-3), ("seconds second sec s", 1.0), ("minutes minute min m", 60.0),
        ("hours hour hr h", 3600.0), ("days day d", 86_400.0), ("weeks week w", 604_800.0),
        ("months month M", 2_629_800.0), ("years year y", 31_557_600.0),
    )
    for name in names.split()
} | {"": 1.0}  # fmt: skip


def parse(texts: Iterable[str]) -> Unit:
    """A unit from its file and drop-ins, in order."""
    unit: Unit = {}
    for text in texts:
        section: dict[str, list[str]] = {}
        for line in _logical_lines(text):
            if line.startswith("[") and line.endswith("]"):
                section = unit.setdefault(line[1:-1], {})
                continue
            key, equals, value = line.partition("=")
            if equals:
                values = section.setdefault(key.strip(), [])
                if value.strip():
                    values.append(value.strip())
                else:
                    values.clear()
    return unit


def _logical_lines(text: str) -> Iterator[str]:
    held = ""
    for line in text.splitlines():
        if line.lstrip().startswith(("#", ";")):
            continue
        if line.endswith("\\"):
            held += line[:-1] + " "
            continue
        whole = (held + line).strip()
        held = ""
        if whole:
            yield whole
    if held.strip():
        yield held.strip()


def span(text: str) -> float | None:
    """A time span like `1h 30min` in seconds; None for what is none."""
    total, at = 0.0, 0
    text = text.strip()
    while at < len(text):
        match = _SPAN.match(text, at)
        if match is None or match.end() == at or match.group(2) not in _UNITS:
            return None
        total += float(match.group(1)) * _UNITS[match.group(2)]
        at = match.end()
    return total if text else None


def found_by(timer: str, zone: str, wrapper: Wrapper, load: Load, scripts: Scripts, *, user: str = "") -> list[Found]:
    """What a timer starts that runs restic. `user`: whose timer it is, empty for the system's."""
    parsed = parse(load(timer)).get("Timer")
    if parsed is None:
        return []  # there is no such timer, or it is masked
    service = (parsed.get("Unit") or [f"{timer.removesuffix('.timer')}.service"])[-1]
    commands_of = parse(load(service)).get("Service", {}).get("ExecStart", [])
    when, notes = when_of(parsed, zone)
    stem, instance = timer.removesuffix(".timer"), _instance(service)
    uses = [(value, use) for value in commands_of if (use := _use(value.replace("%i", instance), scripts)) is not None]
    main = commands.main_use([use for _, use in uses])
    edit = f"systemctl --user edit {service}" if user else f"systemctl edit {service}"
    how = f"by `{edit}`, below [Service] and a line `ExecStart=`"
    if len(commands_of) > 1:
        how += f", with the other {len(commands_of) - 1} of its ExecStart= lines in their order"
    found = []
    for value, use in uses:
        name = use.job.removeprefix("resticprofile ") if use.job else stem if use is main else f"{stem} {use.kind}"
        name = use.name if use.reported else name_of(name)
        said = [
            *notes,
            *([f"by its script {use.script}"] if use.script else []),
            *([f"of user {user}"] if user else []),
        ]
        line = f"ExecStart={value}" if use.reported else _line(value, wrapper.before(use.kind, name, when))
        place = timer if service == f"{stem}.service" else f"{timer} for {service}"
        found.append(
            Found(SOURCE, name, use.kind, when, place, line, AS_IT_IS if use.reported else how, tuple(said), use.job)
        )
    return found


def _instance(service: str) -> str:
    return service.removesuffix(".service").partition("@")[2]


def _use(value: str, scripts: Scripts) -> Use | None:
    text = _EXEC_MARKS.sub("", value, count=1)
    try:
        words = shlex.split(text)
    except ValueError:
        return None
    return commands.main_use(commands.uses(words, scripts))


def _line(value: str, before: str) -> str:
    marks = _EXEC_MARKS.match(value)
    kept = marks.group() if marks else ""
    return f"ExecStart={kept.replace('@', '')}{before.replace('%', '%%')} {value[len(kept) :].lstrip()}"


def when_of(timer: dict[str, list[str]], zone: str) -> tuple[When, list[str]]:
    """By the keys of its section [Timer], with what is to be said of that."""
    notes: list[str] = []
    calendars = timer.get("OnCalendar", [])
    interval = next((timer[key][-1] for key in ("OnUnitActiveSec", "OnUnitInactiveSec") if timer.get(key)), None)
    grace = grace_seconds(timer)
    if calendars:
        one, rest = one_calendar(calendars)
        if rest:
            notes.append(f"one schedule has one expression; not watched by it: {', '.join(rest)}")
        return When(on_calendar=one, timezone=zone, grace_seconds=grace), notes
    seconds = span(interval) if interval is not None else None
    if seconds:
        return When(every_hours=round(seconds / 3600, 4)), notes
    notes.append("no OnCalendar= and no OnUnitActiveSec=: no schedule can watch it; report it without --schedule")
    return When(timezone=zone), notes


def grace_seconds(timer: dict[str, list[str]]) -> int:
    """How much later than its time a timer may elapse; 0 where that is what the server expects anyhow."""

    def of(key: str, default: float) -> float:
        found = span(timer[key][-1]) if timer.get(key) else None
        return default if found is None else found

    delay, accuracy = of("RandomizedDelaySec", 0) + of("RandomizedOffsetSec", 0), of("AccuracySec", _ACCURACY)
    if not delay and accuracy <= _ACCURACY:
        return 0
    return min(math.ceil(delay + accuracy), MOST_GRACE_SECONDS)


_CLOCK: Final = re.compile(r"(?P<before>.*?)(?P<hours>\d{1,2}):(?P<rest>\d{2}(?::\d{2})?)(?P<zone>\s.*)?")


def one_calendar(expressions: Sequence[str]) -> tuple[str, list[str]]:
    """Several OnCalendar= in one, where they differ in the hour alone; else the first, and those that it leaves out."""
    parts = [_CLOCK.fullmatch(each.strip()) for each in expressions]
    first = parts[0]
    if len(parts) > 1 and first is not None:
        same = {(p["before"], p["rest"], p["zone"]) if p is not None else None for p in parts}
        if len(same) == 1:
            hours = ",".join(sorted({p["hours"].zfill(2) for p in parts if p is not None}))
            return f"{first['before']}{hours}:{first['rest']}{first['zone'] or ''}", []
    rest = [each for each in dict.fromkeys(expressions) if each != expressions[0]]
    return expressions[0], rest
