"""What an agent says of itself and of its jobs, in the server's terms. Pure."""

import json
import re
from datetime import datetime
from typing import Final

import msgspec
from msgspec import UNSET, Struct

from rmactors import clock, wire
from rmactors.messages.reports import EndReport, StartReport
from rmactors.messages.writes import RecordHello

NAME: Final = 200
TEXT: Final = 2_000
"""Longest name and longest text that is kept of what an agent says."""
LONGEST_REMARK = 200
"""Characters of a text in stats."""
_LEFT_OUT: Final = re.compile(r"\d{1,9}", re.ASCII)


class BadStats(ValueError):
    """`stats` is not a JSON object. The report is refused; nothing else is wrong with it."""


def clock_offset(utc_now: datetime | None, at: int) -> float | None:
    """The host's clock minus the server's in seconds, to a tenth; None where the host did not say the time."""
    return None if utc_now is None else round((clock.from_datetime(utc_now) - at) / clock.SECOND, 1)


def hello(host_id: str, frame: wire.Hello, at: int) -> RecordHello:
    """Of a plan, what is shown."""
    plans = [
        {"name": plan.name, "kind_hint": plan.kind_hint, "repository": plan.repository, "sources": plan.sources}
        for plan in frame.plans
    ]
    return RecordHello(
        host_id, at, frame.purpose == "report", frame.agent_version, frame.hostname, frame.os, frame.arch,
        frame.timezone, frame.restic.version[:NAME] if frame.restic else None, json.dumps(plans),
        clock_offset(frame.utc_now, at), frame.tzdata_version, _cut(frame.restic_problem), frame.restic is not UNSET,
    )  # fmt: skip


def _cut(text: str | None) -> str | None:
    return text if text is None or len(text) <= TEXT else text[: TEXT - 1] + "…"


def start(host_id: str, frame: wire.JobStarted, received_at: int) -> StartReport:
    """Times from the future are clamped to `received_at`."""
    said = clock.from_datetime(frame.started_at)
    return StartReport(
        host_id,
        frame.job_id,
        frame.kind,
        frame.plan,
        frame.schedule_id,
        clock.from_datetime(frame.scheduled_for) if frame.scheduled_for else None,
        min(said, received_at),
        received_at,
        said if said > received_at else None,
    )


def end(host_id: str, frame: wire.JobFinished, spool_id: str | None, received_at: int) -> EndReport:
    """Times from the future are clamped to `received_at`; a start after the end is the end. Raises BadStats."""
    stats = bytes(frame.stats).decode()
    if not stats.lstrip().startswith("{"):
        raise BadStats("`stats` must be an object")
    warning, unknown_schedule = _remarks(stats)
    finished_at = min(clock.from_datetime(frame.finished_at), received_at)
    said = clock.from_datetime(frame.started_at)
    return EndReport(
        host_id,
        frame.job_id,
        frame.kind,
        frame.plan,
        frame.schedule_id,
        clock.from_datetime(frame.scheduled_for) if frame.scheduled_for else None,
        frame.status,
        frame.reason,
        _cut(frame.error),
        frame.exit_code,
        min(said, finished_at),
        finished_at,
        stats,
        spool_id,
        frame.seq if spool_id is not None else None,
        received_at,
        warning,
        unknown_schedule,
        *sizes(stats),
        said if said > received_at else None,
    )


def _remarks(stats: str) -> tuple[str | None, str | None]:
    """`warning` and `unknown_schedule` of a job's stats. Read only where they may be there: most have neither."""
    if '"warning"' not in stats and '"unknown_schedule"' not in stats:
        return None, None
    try:
        found = json.loads(stats)
    except (ValueError, RecursionError):
        return None, None
    warning, name = _text(found.get("warning")), _text(found.get("unknown_schedule"))
    if name is not None and warning is None:
        warning = f"there is no schedule {name!r} on this host; counted without one"
    return warning, name


def _text(value: object) -> str | None:
    if not isinstance(value, str) or not value.strip():
        return None
    return "".join(c if c.isprintable() else "\ufffd" for c in value.strip()[:LONGEST_REMARK])


def log_lines(frame: wire.JobLog) -> list[tuple[int, str, str]]:
    """(number, stream, text) of each line. A gap passes over the numbers of the lines that it says are missing, one
    where it does not say how many."""
    found: list[tuple[int, str, str]] = []
    number = frame.first_line
    for line in frame.lines:
        if line.stream == "gap":
            missing = _LEFT_OUT.match(line.text)
            number += int(missing[0]) if missing else 1
        else:
            found.append((number, line.stream, line.text))
            number += 1
    return found


class _Sizes(Struct):
    """As they come: a number may be too large for us, or none. Our agent's names go before restic's own."""

    files_total: object = None
    bytes_total: object = None
    total_files_processed: object = None
    total_bytes_processed: object = None


def sizes(stats: str) -> tuple[int | None, int | None]:
    """(files, bytes) that a backup holds, where its stats say so in whole numbers that can be kept.

    A program that speaks the protocol may send what restic prints: those names are read as well.
    """
    try:
        found = msgspec.json.decode(stats, type=_Sizes)
    except (msgspec.DecodeError, RecursionError):
        return None, None
    files = found.files_total if found.files_total is not None else found.total_files_processed
    data = found.bytes_total if found.bytes_total is not None else found.total_bytes_processed
    return _count(files), _count(data)


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None
