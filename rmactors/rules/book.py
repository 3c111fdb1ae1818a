"""One host as the rules see it: its tracks, its schedules, and what each request about it leads to.

Every function takes the host's book and a message, remembers in the book what is so from now on, and returns the
writes that put it on disk. Where one of those fails, the book is wrong from there on and is read again.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

from rmactors.clock import seconds
from rmactors.messages.reports import EndReport, LostJob, StartReport
from rmactors.messages.requests import (
    Acknowledge,
    Change,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Resolve,
)
from rmactors.messages.writes import (
    CreateSilence,
    DeleteHost,
    DeleteSchedule,
    DeleteSilence,
    MarkRun,
    ResolveAlert,
    SaveEnd,
    SaveLoss,
    SaveSchedule,
    SaveStart,
    Write,
)
from rmactors.rules import clocks, conditions, operators, slots, wording
from rmactors.rules.outcomes import Outcome, judge
from rmactors.rules.slots import Slots
from rmactors.rules.track import EMPTY, Decision, Key, Track
from rmactors.vocabulary import FAILURE_ALERT, OnPartial

DEFAULT_MAX_RUNTIME = 86_400.0
"""Seconds after which a job without a schedule is given up."""


@dataclass(slots=True)
class Schedule:
    """A schedule as the rules use it. A deleted one is kept by name: late reports of it raise nothing."""

    id: str
    host_id: str
    name: str
    enabled: bool
    on_partial: OnPartial
    max_runtime_seconds: float
    slots: Slots
    deleted: bool = False


@dataclass(slots=True)
class Book:
    """All that the rules remember of one host."""

    host_id: str
    has_said_hello: bool
    has_reported: bool
    clock_offset: int = 0
    """The host's clock minus the server's in microseconds, as far as slots follow it."""
    tracks: dict[Key, Track] = field(default_factory=dict)
    schedules: dict[str, Schedule] = field(default_factory=dict)

    def track(self, key: Key) -> Track:
        return self.tracks.get(key, EMPTY)

    def key_of(self, alert_id: str) -> Key | None:
        """The key of an open alert of this host; None where it has no such alert."""
        about = (key for key, track in self.tracks.items() if track.alert is not None and track.alert.id == alert_id)
        return next(about, None)


Decidable = JudgeStart | JudgeEnd | JudgeLoss | HostWentSilent | HostReturned | Acknowledge | Resolve | Change


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a request leads to: the writes, whether the book changed, and why (for the log)."""

    writes: tuple[Write, ...]
    changed: bool
    why: str


def decide(book: Book, request: Decidable, fresh_id: str, least_grace: float) -> Verdict:
    """What `request` leads to. `fresh_id` names an alert that is raised; `least_grace` in seconds."""
    match request:
        case JudgeStart(report=report):
            return _start(book, report, least_grace)
        case JudgeEnd(report=report):
            return _end(book, report, fresh_id, least_grace)
        case JudgeLoss(loss=loss):
            return _loss(book, loss, fresh_id)
        case HostWentSilent():
            key = Key(request.host_id, "agent_offline", "")
            text = wording.silent(request.since)
            return keep(book, key, conditions.hold(key, book.track(key), text, request.at, fresh_id))
        case HostReturned():
            key = Key(request.host_id, "agent_offline", "")
            return keep(book, key, conditions.clear(key, book.track(key), wording.heard_again(), request.at))
        case Acknowledge():
            about = book.key_of(request.alert_id)
            if about is None:
                return Verdict((operators.plain(request),), False, "not open: the store knows what became of it")
            decided = operators.acknowledge(book.track(about), request.by, request.note, request.at, request.audit)
            return keep(book, about, decided)
        case Resolve():
            about = book.key_of(request.alert_id)
            if about is None:
                return Verdict((operators.plain(request),), False, "not open: the store knows what became of it")
            decided = operators.resolve(about, book.track(about), request.by, request.note, request.at, request.audit)
            return keep(book, about, decided)
        case Change():
            return _change(book, request.write)
        case _:
            assert_never(request)


def look(
    book: Book, schedule: Schedule, now: int, fresh_id: str, least_grace: float, not_before: int
) -> tuple[Verdict, int]:
    """Whether a slot of the schedule was missed, and when to look again. Not judged within a grace of `not_before`."""
    patient = clocks.earlier(now, book.clock_offset)
    again = slots.look_again(schedule.slots, patient, least_grace) + now - patient
    slot = slots.missed(schedule.slots, patient, least_grace)
    if slot is None:
        return Verdict((), False, "no slot was missed"), again
    patience = slots.grace(schedule.slots, slot, least_grace)
    if now < not_before + patience:
        return Verdict((), False, "its host has only just come back"), not_before + patience
    key = Key(schedule.host_id, "stale_schedule", schedule.id)
    last = max(schedule.slots.last_slot_at or 0, schedule.slots.last_run_at or 0) or None
    text = wording.stale(schedule.name, slot, last)
    verdict = keep(book, key, conditions.hold(key, book.track(key), text, now, fresh_id))
    return verdict, again


def keep(book: Book, key: Key, decision: Decision) -> Verdict:
    """Remember what was decided about one key."""
    before = book.track(key)
    if decision.track == EMPTY:
        book.tracks.pop(key, None)
    else:
        book.tracks[key] = decision.track
    return Verdict(decision.writes, decision.track is not before, f"{key.kind} {key.subject}: {decision.why}")


# ---- reports


def _start(book: Book, report: StartReport, least_grace: float) -> Verdict:
    subject, schedule, warning = _subject(book, report.plan, report.schedule_id)
    longest = schedule.max_runtime_seconds if schedule is not None else DEFAULT_MAX_RUNTIME
    patience = (
        slots.grace(schedule.slots, report.received_at, least_grace) if schedule is not None else seconds(least_grace)
    )
    began = clocks.start_here(report.started_at, report.received_at, book.clock_offset)
    deadline = began + seconds(longest) + patience
    ran = _ran(book, schedule, report, least_grace)
    return Verdict(
        (SaveStart(report, _accepted(book, report.schedule_id), subject, deadline, warning), *ran.writes),
        ran.changed,
        f"a run began; {ran.why}",
    )


def _end(book: Book, report: EndReport, fresh_id: str, least_grace: float) -> Verdict:
    subject, schedule, warning = _subject(book, report.plan, report.schedule_id)
    ran = _ran(book, schedule, report, least_grace)
    writes = (SaveEnd(report, _accepted(book, report.schedule_id), subject, warning), *ran.writes)
    kind = FAILURE_ALERT.get(report.kind)
    if kind is None or _is_deleted(book, report.schedule_id):
        return Verdict(writes, ran.changed, f"{report.kind} ended, and no rule is about it")
    outcome = Outcome(
        report.job_id, report.kind, _label(schedule, report.plan), report.status, report.reason, report.error,
        report.exit_code, _on_partial(schedule), report.finished_at, report.received_at, report.spool_id, report.seq,
    )  # fmt: skip
    key = Key(report.host_id, kind, subject)
    judged = keep(book, key, judge(key, book.track(key), outcome, fresh_id))
    return Verdict((*writes, *judged.writes), ran.changed or judged.changed, judged.why)


def _loss(book: Book, loss: LostJob, fresh_id: str) -> Verdict:
    subject, schedule, _ = _subject(book, loss.plan, loss.schedule_id)
    kind = FAILURE_ALERT.get(loss.kind)
    if kind is None or _is_deleted(book, loss.schedule_id):
        return Verdict((SaveLoss(loss),), False, f"{loss.kind} was lost, and no rule is about it")
    outcome = Outcome(
        loss.job_id, loss.kind, _label(schedule, loss.plan), "failed", "lost", loss.detail, None, _on_partial(schedule),
        clocks.earlier(loss.at, book.clock_offset), loss.at, lost=True,  # its later ends carry the host's times
    )  # fmt: skip
    key = Key(loss.host_id, kind, subject)
    judged = keep(book, key, judge(key, book.track(key), outcome, fresh_id))
    return Verdict((SaveLoss(loss), *judged.writes), judged.changed, judged.why)


def _ran(book: Book, schedule: Schedule | None, report: StartReport | EndReport, least_grace: float) -> Verdict:
    """A run of a schedule: which slot it counts for, and whether that ends a `stale_schedule`."""
    if schedule is None:
        return Verdict((), False, "of no schedule")
    now, offset = report.received_at, book.clock_offset
    said = report.started_at if report.said_start is None else report.said_start
    began = clocks.latest_start(said, now, offset)
    slot, free = slots.mark(schedule.slots, report.scheduled_for, began, clocks.later(now, offset))
    known = schedule.slots
    if (slot or 0) <= (known.last_slot_at or 0) and (free or 0) <= (known.last_run_at or 0):
        return Verdict((MarkRun(schedule.id, slot, free, known=True),), False, "the run is known")
    schedule.slots = replace(
        known,
        last_slot_at=max(known.last_slot_at or 0, slot or 0) or None,
        last_run_at=max(known.last_run_at or 0, free or 0) or None,
    )
    marked = MarkRun(schedule.id, slot, free)
    key = Key(schedule.host_id, "stale_schedule", schedule.id)
    if key not in book.tracks or slots.missed(schedule.slots, clocks.earlier(now, offset), least_grace) is not None:
        return Verdict((marked,), True, "the run is noted")
    cleared = keep(book, key, conditions.clear(key, book.track(key), wording.running_again(schedule.name), now))
    return Verdict((marked, *cleared.writes), True, cleared.why)


# ---- operators' changes


def _change(book: Book, write: SaveSchedule | DeleteSchedule | DeleteHost | CreateSilence | DeleteSilence) -> Verdict:
    match write:
        case SaveSchedule():
            return _save_schedule(book, write)
        case DeleteSchedule():
            return _delete_schedule(book, write)
        case DeleteHost():
            ended = _end_all(book, list(book.tracks), "the host was deleted", write.at)
            return Verdict((*ended, write), True, "the host is deleted")
        case CreateSilence() | DeleteSilence():
            return Verdict((write,), False, "no alert begins or ends by a silence")
        case _:
            assert_never(write)


def _save_schedule(book: Book, write: SaveSchedule) -> Verdict:
    known = book.schedules.get(write.schedule_id)
    ended: tuple[Write, ...] = ()
    # A new name alone leaves the slot missed.
    if known is not None and (write.anchor_at != known.slots.anchor_at or not write.enabled):
        key = Key(write.host_id, "stale_schedule", write.schedule_id)
        text = wording.not_expected(known.name, "changed" if write.enabled else "disabled")
        ended = keep(book, key, conditions.clear(key, book.track(key), text, write.at)).writes
    fresh = Slots(write.cron, write.timezone, write.anchor_at, write.grace_seconds)
    if known is not None:
        fresh = replace(fresh, last_slot_at=known.slots.last_slot_at, last_run_at=known.slots.last_run_at)
    book.schedules[write.schedule_id] = Schedule(
        write.schedule_id, write.host_id, write.name, write.enabled, write.on_partial, write.max_runtime_seconds, fresh
    )
    return Verdict((write, *ended), True, "the schedule is saved")


def _delete_schedule(book: Book, write: DeleteSchedule) -> Verdict:
    known = book.schedules.get(write.schedule_id)
    if known is None or known.deleted:
        return Verdict((write,), False, "not there: the store knows what became of it")
    known.deleted = True
    about = [key for key in book.tracks if key.subject == write.schedule_id]
    ended = _end_all(book, about, "the schedule was deleted", write.at)
    return Verdict((*ended, write), True, "the schedule is deleted")


def _end_all(book: Book, keys: Iterable[Key], note: str, at: int) -> list[Write]:
    writes: list[Write] = []
    for key in keys:
        alert = book.tracks.pop(key).alert
        if alert is not None:
            writes.append(ResolveAlert(alert.id, at, "rule", note))
    return writes


# ---- small questions


def _subject(book: Book, plan: str | None, schedule_id: str | None) -> tuple[str, Schedule | None, str | None]:
    """(subject, schedule, warning) of a job: its schedule, else its plan, else nothing."""
    warning = None
    if schedule_id is not None:
        schedule = book.schedules.get(schedule_id)
        if schedule is not None and schedule.deleted:
            return schedule_id, None, "its schedule was deleted"
        if schedule is not None:
            return schedule_id, schedule, None
        warning = f"schedule {schedule_id} is not one of this host's; counted as none"
    return (f"plan:{plan}" if plan else ""), None, warning


def _accepted(book: Book, schedule_id: str | None) -> str | None:
    return schedule_id if schedule_id in book.schedules else None


def _is_deleted(book: Book, schedule_id: str | None) -> bool:
    schedule = book.schedules.get(schedule_id) if schedule_id is not None else None
    return schedule is not None and schedule.deleted


def _label(schedule: Schedule | None, plan: str | None) -> str:
    return schedule.name if schedule is not None else plan or ""


def _on_partial(schedule: Schedule | None) -> OnPartial:
    return schedule.on_partial if schedule is not None else "alert"
