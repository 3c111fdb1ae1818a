"""One host as the rules see it: its tracks, its schedules, and what each request about it leads to.

Every function takes the host's book and a message, remembers in the book what is so from now on, and returns the
writes that put it on disk. Where one of those fails, the book is wrong from there on and is read again.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import assert_never

from rmactors.server.actors.rules import host_conditions, operators, overdue, runs, suspicious, wording
from rmactors.server.actors.rules.missed_runs import grace, look_again, missed
from rmactors.server.messages.alerts import ResolveAlert
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.requests import (
    Acknowledge,
    Change,
    HostReturned,
    HostWentSilent,
    JudgeEnd,
    JudgeLoss,
    JudgeStart,
    Resolve,
)
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.messages.silences import CreateSilence, DeleteSilence
from rmactors.server.messages.writes import Write
from rmactors.server.state import clocks
from rmactors.server.state.alert_state import EMPTY, Key
from rmactors.server.state.host_state import Book, Schedule, Verdict, keep, limit_hours, plan_named
from rmactors.server.state.slots import Slots

Decidable = JudgeStart | JudgeEnd | JudgeLoss | HostWentSilent | HostReturned | Acknowledge | Resolve | Change


def decide(book: Book, request: Decidable, fresh_id: str, least_grace: float) -> Verdict:
    """What `request` leads to. `fresh_id` names an alert that is raised; `least_grace` in seconds."""
    match request:
        case JudgeStart(report=report):
            return runs.start(book, report, least_grace)
        case JudgeEnd(report=report):
            return runs.end(book, report, fresh_id, least_grace)
        case JudgeLoss(loss=loss):
            return runs.loss(book, loss, fresh_id)
        case HostWentSilent():
            key = Key(request.host_id, "agent_offline", "")
            text = wording.silent(request.since)
            return keep(book, key, host_conditions.hold(key, book.track(key), text, request.at, fresh_id))
        case HostReturned():
            if request.plans is not None:
                book.plans = request.plans
            key = Key(request.host_id, "agent_offline", "")
            return keep(book, key, host_conditions.clear(key, book.track(key), wording.heard_again(), request.at))
        case Acknowledge():
            about = book.key_of(request.alert_id)
            if about is None:
                return Verdict((operators.plain(request),), False, "not open: the store knows what became of it")
            decided = operators.acknowledge(
                about, book.track(about), request.by, request.note, request.at, request.audit
            )
            return keep(book, about, decided)
        case Resolve():
            about = book.key_of(request.alert_id)
            if about is None:
                return Verdict((operators.plain(request),), False, "not open: the store knows what became of it")
            if about.kind == "backup_suspicious":
                return suspicious.meant(book, about, request)
            decided = operators.resolve(about, book.track(about), request.by, request.note, request.at, request.audit)
            return keep(book, about, decided)
        case Change():
            return _change(book, request.write)
        case _:
            assert_never(request)


def look(
    book: Book, schedule: Schedule, now: int, fresh_id: str, least_grace: float, not_before: int
) -> tuple[Verdict, int | None]:
    """Whether a slot of the schedule was missed, and when to look again (None: never by itself). Not judged within a
    grace of `not_before`."""
    patient = clocks.earlier(now, book.clock_offset)
    again = look_again(schedule.slots, patient, least_grace)
    if again is not None:
        again += now - patient
    slot = missed(schedule.slots, patient, least_grace)
    if slot is None:
        return Verdict((), False, "no slot was missed"), again
    patience = grace(schedule.slots, slot, least_grace)
    if now < not_before + patience:
        return Verdict((), False, "its host has only just come back"), not_before + patience
    key = Key(schedule.host_id, "stale_schedule", schedule.id)
    last = max(schedule.slots.last_slot_at or 0, schedule.slots.last_run_at or 0) or None
    text = wording.stale(schedule.name, slot, last, schedule.slots.timezone)
    verdict = keep(book, key, host_conditions.hold(key, book.track(key), text, now, fresh_id))
    return verdict, again


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
        ended = keep(book, key, host_conditions.clear(key, book.track(key), text, write.at)).writes
    fresh = Slots(
        write.cron, write.timezone, write.anchor_at, write.grace_seconds, on_calendar=write.on_calendar,
        every_hours=write.every_hours, external=write.mode == "external",
    )  # fmt: skip
    last_good_at, created_at = None, write.at
    if known is not None:
        fresh = replace(fresh, last_slot_at=known.slots.last_slot_at, last_run_at=known.slots.last_run_at)
        last_good_at, created_at = known.last_good_at if write.kind == known.kind else None, known.created_at
    saved = book.schedules[write.schedule_id] = Schedule(
        write.schedule_id, write.host_id, write.name, write.enabled, write.on_partial, write.max_runtime_seconds, fresh,
        write.kind, write.mode == "agent", plan_named(write.params), last_good_at, created_at=created_at,
        limit_hours=limit_hours(write.kind, write.max_age_hours, write.every_hours),
    )  # fmt: skip
    if known is not None:
        ended += overdue.after_change(book, known, saved, write.at)
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
        alert = book.track(key).alert
        book.put(key, EMPTY)
        if alert is not None:
            writes.append(ResolveAlert(alert.id, at, "rule", note))
    return writes
