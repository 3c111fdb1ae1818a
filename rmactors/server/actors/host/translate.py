"""What an agent says of itself and of its jobs, in the server's terms, and the welcome that it gets. Pure."""

import json
import re
from datetime import datetime
from typing import Any, Final

from msgspec import UNSET

from rmactors.common import clock, job_stats, wire
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.reports import EndReport, StartReport
from rmactors.server.state.host import PendingWork

EARLIEST: Final = 0
LATEST: Final = clock.from_rfc3339("2100-01-01T00:00:00Z")
"""Times before and after these are these: what is outside of them is no time of a job, and no page could show it in
every zone."""
_LEFT_OUT: Final = re.compile(r"\d{1,9}", re.ASCII)


Line = tuple[int, str, str]
"""A line of a log: number, stream, text."""


class BadStats(ValueError):
    """`stats` is not a JSON object. The report is refused; nothing else is wrong with it."""


def clock_offset(utc_now: datetime | None, at: int) -> float | None:
    """The host's clock minus the server's in seconds, to a tenth; None if the host did not say the time."""
    return None if utc_now is None else round((clock.from_datetime(utc_now) - at) / clock.SECOND, 1)


def _spool_trouble(frame: wire.Hello, at: int) -> tuple[str | None, int | None]:
    """Why the host cannot keep its reports on disk, and since when by our clock: it says so by its own."""
    if not frame.spool_problem:
        return None, None
    if frame.spool_problem_since is None or frame.utc_now is None:
        return frame.spool_problem, at
    lasted = clock.from_datetime(frame.utc_now) - clock.from_datetime(frame.spool_problem_since)
    return frame.spool_problem, max(EARLIEST, at - max(0, lasted))


def hello(host_id: str, frame: wire.Hello, at: int) -> RecordHello:
    """Of a plan, what is shown."""
    plans = [
        {"name": plan.name, "kind_hint": plan.kind_hint, "repository": plan.repository, "sources": plan.sources}
        for plan in frame.plans
    ]
    return RecordHello(
        host_id, at, frame.purpose == "report", frame.agent_version, frame.hostname, frame.os, frame.arch,
        frame.timezone, frame.restic.version if frame.restic else None, json.dumps(plans),
        clock_offset(frame.utc_now, at), frame.tzdata_version, frame.restic_problem, frame.restic is not UNSET,
        *_spool_trouble(frame, at), _list(frame.allow), _list(frame.restore_targets),
    )  # fmt: skip


def _list(said: list[str] | None) -> str | None:
    return None if said is None else json.dumps(said)


def welcome(host_id: str, heartbeat_seconds: float, work: PendingWork, at: int) -> wire.Welcome:
    return wire.Welcome(
        wire.PROTOCOL, host_id, clock.to_datetime(at), heartbeat_seconds, work.schedules_rev, work.schedules
    )


def _time(said: datetime) -> int:
    return min(max(clock.from_datetime(said), EARLIEST), LATEST)


def start(host_id: str, frame: wire.JobStarted, received_at: int) -> StartReport:
    """Times from the future are clamped to `received_at`."""
    said = _time(frame.started_at)
    return StartReport(
        host_id,
        frame.job_id,
        frame.kind,
        frame.plan,
        frame.schedule_id,
        _time(frame.scheduled_for) if frame.scheduled_for else None,
        min(said, received_at),
        received_at,
        said if said > received_at else None,
    )


def end(host_id: str, frame: wire.JobFinished, spool_id: str | None, received_at: int) -> EndReport:
    """Times from the future are clamped to `received_at`; a start after the end is the end. Raises BadStats."""
    raw = bytes(frame.stats)
    if not raw.lstrip().startswith(b"{"):
        raise BadStats("`stats` must be an object")
    stats = job_stats.fit(raw, frame.kind)
    warning, unknown_schedule = _remarks(stats.values)
    warning = "; ".join(each for each in (warning, stats.warning) if each) or None
    finished_at = min(_time(frame.finished_at), received_at)
    said = _time(frame.started_at)
    return EndReport(
        host_id,
        frame.job_id,
        frame.kind,
        frame.plan,
        frame.schedule_id,
        _time(frame.scheduled_for) if frame.scheduled_for else None,
        frame.status,
        frame.reason,
        frame.error,
        frame.exit_code,
        min(said, finished_at),
        finished_at,
        stats.text,
        spool_id,
        frame.seq if spool_id is not None else None,
        received_at,
        warning,
        unknown_schedule,
        *sizes(stats.values),
        said if said > received_at else None,
    )


def _remarks(stats: dict[str, Any]) -> tuple[str | None, str | None]:
    """`warning` and `unknown_schedule` of a job's stats."""
    warning, name = _text(stats.get("warning")), _text(stats.get("unknown_schedule"))
    if name is not None and warning is None:
        warning = f"there is no schedule {name!r} on this host; counted without one"
    return warning, name


def _text(value: object) -> str | None:
    return (value.strip() or None) if isinstance(value, str) else None


def log_lines(frame: wire.JobLog) -> list[Line]:
    """A gap passes over the numbers of the lines that it says are missing, over one if it does not say how many."""
    lines: list[Line] = []
    number = frame.first_line
    for line in frame.lines:
        if line.stream == "gap":
            missing = _LEFT_OUT.match(line.text)
            number += int(missing[0]) if missing else 1
        else:
            lines.append((number, line.stream, line.text))
            number += 1
    return lines


def sizes(stats: dict[str, Any]) -> tuple[int | None, int | None]:
    """(files, bytes) that a backup holds, if its stats say so in whole numbers that can be kept.

    Our agent's names go before restic's own: a program that speaks the protocol may send what restic prints.
    """
    files, data = stats.get("files_total"), stats.get("bytes_total")
    return (
        _count(files if files is not None else stats.get("total_files_processed")),
        _count(data if data is not None else stats.get("total_bytes_processed")),
    )


def _count(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 63 else None
