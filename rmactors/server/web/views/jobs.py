"""Jobs as a list and one by one: what ran, how it ended and why, how it grew. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from rmactors.common import clock
from rmactors.common.vocabulary import JobKind, ScheduleMode
from rmactors.common.wire import JobProgress
from rmactors.server.store.queries.jobs import JobRow, LogLine
from rmactors.server.store.queries.pages import SizePoint
from rmactors.server.web.views import file_names, plots, snapshots, stats, times, words
from rmactors.server.web.views.measures import size, within
from rmactors.server.web.views.plots import Plot
from rmactors.server.web.views.snapshots import Snapshots
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State

REPEATABLE: Final[tuple[JobKind, ...]] = ("backup", "check", "restore_test", "forget", "prune", "unlock")
"""Kinds that a page starts with no more than a plan to say."""
_SNAPSHOT: Final = re.compile("[0-9a-f]{8,64}")
_LONGEST_FOLDER: Final = 1000


@dataclass(frozen=True, slots=True)
class JobLine:
    """One job. `when` is when it was asked for, began or ended, whichever came last; `why` a sentence or empty."""

    id: str
    host_id: str
    host_name: str
    kind: str
    kind_name: str
    what: str
    state: State
    when: Time
    took: str
    why: str
    summary: str
    unfinished: bool


@dataclass(frozen=True, slots=True)
class JobPage:
    """One job and all that is known of it. `facts` are (name, value), `again` what the form that repeats it sends,
    `contents` the address of the snapshot that it made, empty where it made none."""

    line: JobLine
    title: str
    lede: str
    warning: str
    error: str
    facts: tuple[tuple[str, Time | str], ...]
    statistics: tuple[tuple[str, str], ...]
    may_cancel: bool
    cancel_asked: bool
    running: bool
    again: tuple[tuple[str, str], ...]
    snapshots: Snapshots | None
    contents: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running job is: `percent` for the bar, the rest in words."""

    percent: int
    words: str


def line(row: JobRow, hosts: Mapping[str, str], schedules: Mapping[str, str], moment: Moment) -> JobLine:
    """`hosts` and `schedules` are names by id."""
    began = row.started_at
    end = row.finished_at
    took = ""
    if began is not None and end is not None:
        took = times.duration((end - began) / clock.SECOND)
    elif began is not None and row.status == "running":
        took = times.duration((moment.now - began) / clock.SECOND)
    return JobLine(
        id=row.id,
        host_id=row.host_id,
        host_name=hosts.get(row.host_id, _("a deleted host")),
        kind=row.kind,
        kind_name=words.kind_name(row.kind),
        what=what(row, schedules),
        state=_state(row),
        when=moment.ago(end or began or row.queued_at or row.sort_at),
        took=took,
        why=words.sentence(words.reason(row.reason)) if row.status in {"failed", "partial", "skipped"} else "",
        summary=stats.amounts(row) if row.status in {"succeeded", "partial"} else "",
        unfinished=row.status in {"queued", "running"},
    )


def what(row: JobRow, schedules: Mapping[str, str]) -> str:
    """The schedule's name, or the plan's, or nothing."""
    if row.schedule_id is not None and row.schedule_id in schedules:
        return schedules[row.schedule_id]
    return row.plan or ""


def job_page(
    row: JobRow, hosts: Mapping[str, str], schedules: Mapping[str, str], moment: Moment, mode: ScheduleMode | None
) -> JobPage:
    """`mode` is that of the job's schedule; None where it has none, or none any more."""
    found = line(row, hosts, schedules, moment)
    facts: list[tuple[str, Time | str]] = []
    for name, at in (
        (_("Scheduled for"), row.scheduled_for),
        (_("Requested"), row.queued_at),
        (_("Started"), row.started_at),
        (_("Finished"), row.finished_at),
    ):
        if at is not None:
            facts.append((name, Time(moment.exact(at), moment.ago(at).words, clock.to_rfc3339(at))))
    for label, text in ((_("Duration"), found.took), (_("Plan"), row.plan), *_restored(row), (_("Job"), row.id)):
        if text:
            facts.append((label, text))
    if row.exit_code is not None:
        facts.insert(-1, (_("Exit code"), str(row.exit_code)))
    return JobPage(
        line=found,
        title=found.what or words.kind_name(row.kind),
        lede=_lede(row, found),
        warning=row.warning or "",
        error=row.error or "",
        facts=tuple(facts),
        statistics=tuple(stats.facts(row.stats)),
        may_cancel=found.unfinished and row.cancel_requested_at is None,
        cancel_asked=found.unfinished and row.cancel_requested_at is not None,
        running=row.status == "running",
        again=_again(row, mode) if not found.unfinished else (),
        snapshots=snapshots.snapshots(row.stats, moment) if row.kind == "snapshots" else None,
        contents=_contents(row),
    )


def progress(frame: JobProgress | None) -> Progress | None:
    """What an agent last said of a running job."""
    if frame is None:
        return None
    percent = int(max(within(frame.percent, 100) or 0, 0))
    parts = [f"{percent} %"]
    if (within(frame.bytes_total) or 0) > 0:
        parts.append(_("%(done)s of %(all)s") % {"done": size(frame.bytes_done), "all": size(frame.bytes_total)})
    if (within(frame.files_total) or 0) > 0:
        parts.append(many("%(n)s file", "%(n)s files", int(within(frame.files_done) or 0)))
    if (within(frame.eta_seconds) or 0) > 0:
        parts.append(_("%s left") % times.rough(frame.eta_seconds))
    return Progress(percent, " · ".join(parts))


def plot(points: Sequence[SizePoint], moment: Moment) -> Plot | None:
    """None where there are fewer than two sizes to show."""
    sizes = [(point.at, held) for point in points if (held := stats.held(point.stats)) is not None]
    if len(sizes) < 2:
        return None
    low, high = min(held for _at, held in sizes), max(held for _at, held in sizes)
    words = _("Size of %(n)d backups: from %(low)s to %(high)s, the newest %(last)s") % {
        "n": len(sizes), "low": size(low), "high": size(high), "last": size(sizes[-1][1]),
    }  # fmt: skip
    return plots.plot(sizes, words, moment)


def log_text(lines: Sequence[LogLine]) -> tuple[tuple[str, str], ...]:
    """(stream, text) of neighbouring lines of one stream together, so that the page holds few elements."""
    found: list[tuple[str, list[str]]] = []
    for entry in lines:
        if not found or found[-1][0] != entry.stream:
            found.append((entry.stream, []))
        found[-1][1].append(entry.text)
    return tuple((stream, "\n".join(texts)) for stream, texts in found)


def _again(row: JobRow, mode: ScheduleMode | None) -> tuple[tuple[str, str], ...]:
    """By its schedule, while there is one, else by kind and plan. Nothing for what needs more, such as a restore.

    Nor for what something else started and `exec` reported: the agent does not know that command, and its refusal
    would take the place of what went wrong.
    """
    if row.kind not in REPEATABLE or (row.queued_at is None and mode != "agent"):
        return ()
    return (
        ("schedule", row.schedule_id or "" if mode == "agent" else ""),
        ("kind", row.kind),
        ("plan", row.plan or ""),
    )


def _restored(row: JobRow) -> tuple[tuple[str, str], ...]:
    """What a restore is of and where it goes. How many were chosen, not which: not everybody may look into backups."""
    if row.kind != "restore":
        return ()
    try:
        params = msgspec.json.decode(row.params, type=dict[str, Any])
    except msgspec.DecodeError:
        return ()
    include, target, snapshot = params.get("include"), params.get("target"), params.get("snapshot")
    return (
        (_("Snapshot"), file_names.said(snapshot[:8]) if isinstance(snapshot, str) else ""),
        (_("What"), many("%(n)s file or folder", "%(n)s files and folders", len(include)) if isinstance(include, list)
         and include else _("Everything in the snapshot")),
        (_("Into"), file_names.said(target[:_LONGEST_FOLDER]) if isinstance(target, str) else ""),
    )  # fmt: skip


def _contents(row: JobRow) -> str:
    snapshot = stats.read(row.stats).get("snapshot_id")
    if row.kind != "backup" or not row.plan or not isinstance(snapshot, str) or not _SNAPSHOT.fullmatch(snapshot):
        return ""
    return f"/hosts/{row.host_id}/snapshots/{snapshot}?{urlencode({'plan': row.plan})}"


def _state(row: JobRow) -> State:
    if row.cancel_requested_at is not None and row.status in {"queued", "running"}:
        return State("off", _("Cancelling"), pulse=True)
    return words.job_status(row.status)


def _lede(row: JobRow, found: JobLine) -> str:
    match row.status:
        case "queued":
            return _("Waiting for the host.")
        case "running":
            return _("Running for %s.") % found.took
        case "succeeded":
            return stats.summary(row)
        case _:
            return found.why + "." if found.why else ""
