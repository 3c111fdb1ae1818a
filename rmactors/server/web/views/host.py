"""One host: what it is, what it runs and when, what an operator should look at. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from rmactors.common.bounds import NAME, cut
from rmactors.common.vocabulary import HostStatus, JobStatus
from rmactors.server.store.queries.hosts import HostNote, HostRow, HostView, status_of
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.pages import SubjectRuns
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web import rows as guard
from rmactors.server.web.views import fleet, host_health, jobs, schedules, words
from rmactors.server.web.views.restore_tests import RestoreTests, restore_tests
from rmactors.server.web.views.strips import Strip, Window
from rmactors.server.web.views.texts import _, many
from rmactors.server.web.views.times import Moment, Time
from rmactors.server.web.views.words import State
from rmactors.server.web.what_was_sent import json_list


@dataclass(frozen=True, slots=True)
class ScheduleLine:
    """One schedule of a host. `outcome` is how its newest ended run went."""

    id: str
    name: str
    kind_name: str
    enabled: bool
    in_words: str
    written: str
    limit: str
    mode: str
    by_agent: bool
    next_due: Time | None
    outcome: State | None
    strip: Strip
    policy_id: str | None = None


@dataclass(frozen=True, slots=True)
class Note:
    at: Time
    sentence: str
    detail: str


@dataclass(frozen=True, slots=True)
class PlanLine:
    name: str
    repository: str
    sources: str


@dataclass(frozen=True, slots=True)
class HostPage:
    """`facts` are (name, value), `warnings` sentences about the host itself; `paused` one, empty where it is not."""

    id: str
    name: str
    tags: str
    state: State
    lede: str
    alerts: str
    facts: tuple[tuple[str, Time | str], ...]
    plans: tuple[PlanLine, ...]
    schedules: tuple[ScheduleLine, ...]
    loose_strips: tuple[Strip, ...]
    notes: tuple[Note, ...]
    warnings: tuple[str, ...]
    kinds: tuple[tuple[str, str], ...]
    restore_tests: RestoreTests
    paused: str


_MOST_PLANS, _LONGEST_SOURCES = 200, 500
_NOTES = {
    "cloned_agent": _("Two agents use this host's credential. It was probably copied with a machine image."),
    "foreign_job": _("A report about another host's job was refused."),
    "bad_message": _("A report with an invalid id was refused."),
    "bad_report": _("An invalid report was refused."),
    "unknown_schedule": _("A run named a schedule that this host does not have."),
    "unknown_kind": _("A report about an unknown kind of job was refused."),
}


def host_page(
    view: HostView,
    runs: Sequence[SubjectRuns],
    notes: Sequence[HostNote],
    running: JobRow | None,
    open_alerts: int,
    last_good: int | None,
    shown: Window,
    moment: Moment,
    offline_after_seconds: float,
    tzdata: str,
) -> HostPage:
    """`last_good` is when a backup of it last ended well, or in part; `tzdata` the version of the server's data."""
    row = view.host
    plans = _plans(row)
    known = {schedule.name for schedule in view.schedules}
    return HostPage(
        id=row.id,
        name=row.name,
        tags=", ".join(fleet.tags(view)),
        state=fleet.state(view, running, moment, offline_after_seconds),
        lede=_lede(view, last_good, status_of(row, moment.now, offline_after_seconds), moment),
        alerts=many("%(n)s open alert", "%(n)s open alerts", open_alerts) if open_alerts else "",
        facts=tuple((name, value) for name, value in _facts(row, moment, tzdata) if value),
        plans=plans,
        schedules=tuple(
            guard.each(view.schedules, lambda each: schedule_line(each, runs, shown, moment), guard.line(ScheduleLine))
        ),
        loose_strips=tuple(
            strip
            for strip in fleet.strips_of(view, runs, shown, moment)[len(view.schedules) :]
            if strip.name not in known
        ),
        notes=tuple(
            Note(moment.ago(note.at), _NOTES.get(note.code, note.code.replace("_", " ").capitalize()), note.detail)
            for note in notes
        ),
        warnings=(
            *host_health.warnings(view, tzdata),
            *host_health.unreadable(view.schedules),
            *host_health.spool(row, moment),
        ),
        kinds=tuple((kind, words.kind_name(kind)) for kind in jobs.REPEATABLE),
        restore_tests=restore_tests(view, [plan.name for plan in plans], moment),
        paused=_("Paused %s: none of its schedules is on.") % moment.ago(row.paused_at).words if row.paused_at else "",
    )


def schedule_line(schedule: ScheduleRow, runs: Sequence[SubjectRuns], shown: Window, moment: Moment) -> ScheduleLine:
    theirs = next((run.runs for run in runs if run.subject == schedule.id), "")
    at = schedules.next_run(schedule.when, moment.now, schedule.counted_from) if schedule.enabled else None
    outcome = cast("JobStatus | None", schedule.last_outcome)
    return ScheduleLine(
        id=schedule.id,
        name=schedule.name,
        kind_name=words.kind_name(schedule.kind),
        enabled=bool(schedule.enabled),
        in_words=schedules.in_few_words(schedule.when),
        written=schedules.written(schedule.when),
        limit=schedules.limit(schedule.max_age_hours),
        by_agent=schedule.mode == "agent",
        mode=_("run by the agent") if schedule.mode == "agent" else _("started outside, the server only watches"),
        next_due=moment.until(at) if at is not None else None,
        outcome=words.job_status(outcome) if outcome is not None else None,
        strip=fleet.strip_of(schedule, theirs, shown, moment),
        policy_id=schedule.policy_id,
    )


def plotted_subject(view: HostView) -> str | None:
    """Whose sizes to plot: the first backup schedule's, else those of the plan that was backed up last."""
    for schedule in view.schedules:
        if schedule.kind == "backup":
            return schedule.id
    last = view.last_jobs.get("backup")
    if last is None:
        return None
    return f"plan:{last.plan}" if last.plan else ""


def _lede(view: HostView, last_good: int | None, status: HostStatus, moment: Moment) -> str:
    last = view.last_jobs.get("backup")
    if last is None or last.finished_at is None:
        text = _("No backup reported yet.")
    else:
        text = _("Last backup %(when)s: %(how)s.") % {
            "when": moment.ago(last.finished_at).words,
            "how": words.reason(last.reason) or words.job_status(last.status).word.lower(),
        }
        if last.status not in {"succeeded", "partial"} and last_good is not None:
            text += " " + _("Last good one %s.") % moment.ago(last_good).words
    due = fleet.next_due(view.schedules, moment, backups_only=False)
    if due is not None and status != "offline":  # nobody knows whether it will run
        text += " " + _("Next: %(name)s, %(when)s.") % {"name": due[1].name, "when": moment.until(due[0]).words}
    return text


def _facts(row: HostRow, moment: Moment, tzdata: str) -> list[tuple[str, Time | str]]:
    return [
        (_("Host name"), row.hostname),
        (_("System"), " · ".join(filter(None, (row.os, row.arch)))),
        (_("Agent"), row.agent_version),
        (_("restic"), host_health.restic_fact(row)),
        (_("Time zone"), row.timezone or ""),
        (_("Time zone data"), host_health.data_fact(row, tzdata)),
        (_("Clock"), host_health.clock_fact(row)),
        (_("Last seen"), moment.ago(row.last_seen_at) if row.last_seen_at is not None else ""),
        (_("Enrolled"), moment.ago(row.enrolled_at)),
        (_("Id"), row.id),
    ]


def _plans(row: HostRow) -> tuple[PlanLine, ...]:
    """At most 200, each cut to what a page can hold; the API has all of it."""
    return tuple(
        PlanLine(
            cut(str(plan.get("name", "")), NAME),
            cut(str(plan.get("repository", "")), NAME),
            cut(", ".join(str(source) for source in plan.get("sources") or []), _LONGEST_SOURCES),
        )
        for plan in json_list(row.plans)[:_MOST_PLANS]
        if isinstance(plan, dict)
    )
