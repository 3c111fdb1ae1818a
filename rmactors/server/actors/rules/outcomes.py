"""What the end of a backup, forget, prune, check or restore test does: the five `…_failed` rules.

Outcomes count in the order in which they happened, not in which they arrive: one that is older than what counted
already changes nothing but its job. A loss is the server's guess; when the real end comes, it takes the loss's place.
"""

from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from rmactors.common.vocabulary import ALERTS, JobEnd, JobKind, JobReason, OnPartial
from rmactors.server.actors.rules import wording
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert, WorsenAlert
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import (
    AlertDecision,
    AlertKey,
    AlertState,
    Doubt,
    LastOutcome,
    OpenAlert,
    Verdict,
    expect,
    remember,
)

CAUSE_KEPT = 300
"""Characters of why a run failed that are remembered for later messages."""
LOSSES_KEPT = 8
"""Losses of one subject in a row whose real ends may still come: a host seldom runs more of the same at once."""


class Outcome(Struct, frozen=True):
    """The end of one job, as far as its rule cares. `at` is when it ended, `now` when it is judged.

    `doubt`: it succeeded, and looks wrong; that is for the rule about sizes alone.
    `label` is the name people know it by: its schedule's or its plan's, empty for neither. `zone` is its schedule's,
    for the times in messages.
    """

    job_id: str
    kind: JobKind
    label: str
    status: JobEnd
    reason: JobReason
    error: str | None
    exit_code: int | None
    on_partial: OnPartial
    at: int
    now: int
    spool_id: str | None = None
    seq: int | None = None
    lost: bool = False
    plan: str | None = None
    zone: str = "UTC"
    doubt: Doubt | None = None


def judge(
    key: AlertKey, state: AlertState, outcome: Outcome, fresh_id: str | None, held_back_by: str | None = None
) -> AlertDecision:
    """What `outcome` does to the alert of `key`. `fresh_id` is used if an alert is raised; None: another alert
    tells of it already, so none is. `held_back_by` is that one, if there are too many."""
    before = state
    state = _with_good(state, outcome)
    last = state.last
    if last is not None and is_end_of_loss(last, outcome):
        replaces = _replace_loss if last.job_id == outcome.job_id else _replace_earlier_loss
        return replaces(key, state, last, outcome)
    verdict = verdict_of(outcome)
    if verdict is None:
        return AlertDecision(state, (expect(key, state),), Reason.SAYS_NOTHING)
    if last is not None and not is_newer(outcome, last):
        beneath = _beneath(last, _as_last(outcome, verdict), outcome)
        if beneath == last and state is before:
            return AlertDecision(state, (expect(key, state),), Reason.OUT_OF_DATE)
        after, saved = remember(key, state, last=beneath)
        return AlertDecision(after, (saved,), Reason.OLDER_THAN_LOSS if beneath != last else Reason.OLDER_GOOD)
    return _good(key, state, outcome) if verdict == "good" else _bad(key, state, outcome, fresh_id, held_back_by)


def is_end_of_loss(last: LastOutcome | None, outcome: Outcome) -> bool:
    """Whether `outcome` is the real end of a job that was given up, and whose loss still matters here."""
    return not outcome.lost and outcome.job_id in _losses(last)


def verdict_of(outcome: Outcome) -> Verdict | None:
    """Good, bad, or None if it says nothing about the backup."""
    if outcome.doubt is not None:
        return "bad"
    match outcome.status:
        case "succeeded" | "partial":
            return "good" if good_enough(outcome.status, outcome.reason, outcome.on_partial) else "bad"
        case "failed":
            return "bad"
        case "cancelled" | "skipped":
            return None
        case _:
            assert_never(outcome.status)


def good_enough(status: JobEnd, reason: JobReason, on_partial: OnPartial) -> bool:
    """Whether an end is a good one. Files that could not be read may be left to the schedule to say; a source that
    was not there may not."""
    return status == "succeeded" or (status == "partial" and on_partial == "ok" and reason != "no_source")


def is_newer(outcome: Outcome, last: LastOutcome) -> bool:
    """Whether `outcome` happened after `last`: by place in the spool they share, else by time (a tie counts)."""
    if outcome.spool_id is not None and outcome.spool_id == last.spool_id and None not in (outcome.seq, last.seq):
        assert outcome.seq is not None
        assert last.seq is not None
        return outcome.seq > last.seq
    return outcome.at >= last.at


def _with_good(state: AlertState, outcome: Outcome) -> AlertState:
    """The state with the newest good end that is known from now on."""
    if verdict_of(outcome) != "good" or (state.good is not None and not is_newer(outcome, state.good)):
        return state
    return replace(state, good=_as_last(outcome, "good"), last_good_at=outcome.at)


def _good(key: AlertKey, state: AlertState, outcome: Outcome) -> AlertDecision:
    after, saved = remember(key, state, alert=None, last=_as_last(outcome, "good"))
    if state.alert is None:
        return AlertDecision(after, (saved,), Reason.SUCCEEDED)
    text = _recovered(key, outcome)
    resolved = ResolveAlert(state.alert.id, outcome.now, "rule", None, text, reason=Reason.RECOVERED)
    return AlertDecision(after, (saved, resolved), Reason.RECOVERED)


def _bad(
    key: AlertKey, state: AlertState, outcome: Outcome, fresh_id: str | None, held_back_by: str | None
) -> AlertDecision:
    message = _message(state, outcome)
    if state.alert is not None:
        last = _as_last(outcome, "bad", before=state.last if outcome.lost else None)
        if state.last is not None and _hides_cause(outcome):
            last = replace(last, cause=state.last.cause, cause_at=state.last.cause_at)
        if state.alert.known_partial and outcome.status != "partial":
            known = replace(state.alert, known_partial=False, acknowledged=False)
            after, saved = remember(key, state, last=_flat(last), alert=known)
            notice = wording.worse(message)
            worsened = WorsenAlert(state.alert.id, message, notice, outcome.now, outcome.job_id, Reason.GOT_WORSE)
            return AlertDecision(after, (saved, worsened), Reason.GOT_WORSE)
        after, saved = remember(key, state, last=_flat(last))
        touched = TouchAlert(state.alert.id, message, outcome.now, True, outcome.job_id)
        return AlertDecision(after, (saved, touched), Reason.FAILED_AGAIN)
    if fresh_id is None:
        before = state.last if outcome.lost else None
        last = _as_last(outcome, "bad", before=before, told_by=held_back_by)
        after, saved = remember(key, state, last=_flat(last))
        return AlertDecision(after, (saved,), Reason.TOLD_ELSEWHERE)
    last = _as_last(outcome, "bad", raised=outcome.lost, before=state.last if outcome.lost else None)
    reason = Reason.LOOKS_WRONG if outcome.doubt is not None else Reason.LOST if outcome.lost else Reason.FAILED
    raised = RaiseAlert(
        fresh_id, key.host_id, key.kind, key.subject, ALERTS[key.kind].severity, message, outcome.now, outcome.job_id,
        last.partial, reason,
    )  # fmt: skip
    alert = OpenAlert(fresh_id, raised.severity, outcome.now, known_partial=last.partial)
    after, saved = remember(key, state, alert=alert, last=_flat(last))
    return AlertDecision(after, (saved, raised), reason)


def _replace_loss(key: AlertKey, state: AlertState, loss: LastOutcome, outcome: Outcome) -> AlertDecision:
    """The real end of a job that was given up: as if the loss had never been, except for what people were told."""
    last, counts = _in_place_of(loss, outcome)
    alert = state.alert
    writes: tuple[Write, ...] = ()
    reason = Reason.LOSS_ENDED
    if alert is not None and last is not None and last.verdict == "bad" and (counts or not loss.raised):
        if counts:
            writes = (TouchAlert(alert.id, _message(state, outcome), outcome.now, False, outcome.job_id),)
            reason = Reason.LOSS_FAILED
    elif alert is not None:
        text = _recovered(key, outcome)
        reason = Reason.LOSS_RECOVERED
        writes = (ResolveAlert(alert.id, outcome.now, "rule", None, text, reason=reason),)
        alert = None
    after, saved = remember(key, state, alert=alert, last=last)
    return AlertDecision(after, (saved, *writes), reason)


def _replace_earlier_loss(key: AlertKey, state: AlertState, last: LastOutcome, outcome: Outcome) -> AlertDecision:
    """The real end of a job that was given up before the one that counts now was: that one counts unless the end is
    newer."""
    verdict = verdict_of(outcome)
    if verdict == "good" and is_newer(outcome, last):
        return _good(key, state, outcome)
    if verdict == "bad" and is_newer(outcome, last):
        after, saved = remember(key, state, last=_as_last(outcome, "bad", told_by=last.told_by))
        if state.alert is None:
            return AlertDecision(after, (saved,), Reason.EARLIER_LOSS_FAILED)
        touched = TouchAlert(state.alert.id, _message(state, outcome), outcome.now, False, outcome.job_id)
        return AlertDecision(after, (saved, touched), Reason.EARLIER_LOSS_FAILED)
    after, saved = remember(key, state, last=_without_loss(last, outcome))
    return AlertDecision(after, (saved,), Reason.EARLIER_LOSS_ENDED)


def _without_loss(last: LastOutcome, outcome: Outcome) -> LastOutcome:
    assert last.before is not None
    if last.before.job_id != outcome.job_id:
        return replace(last, before=_without_loss(last.before, outcome))
    before, counts = _in_place_of(last.before, outcome)
    # If nothing is left of the loss that raised the alert, the next one is what keeps it open.
    return replace(last, before=before, raised=last.raised or (last.before.raised and not counts))


def _in_place_of(loss: LastOutcome, outcome: Outcome) -> tuple[LastOutcome | None, bool]:
    """What counts instead of a loss, and whether that is its real end."""
    verdict = verdict_of(outcome)
    if verdict is None:
        return loss.before, False
    end = _as_last(outcome, verdict, told_by=loss.told_by if verdict == "bad" else None)
    if loss.before is None or is_newer(outcome, loss.before):
        return end, True
    return _beneath(loss.before, end, outcome), False


def _beneath(last: LastOutcome, end: LastOutcome, outcome: Outcome) -> LastOutcome:
    """An outcome older than what counts is remembered where only losses are newer: those may turn out to be none."""
    if not last.lost:
        return last
    if last.before is None or is_newer(outcome, last.before):
        return replace(last, before=end, raised=last.raised and end.verdict == "good")
    return replace(last, before=_beneath(last.before, end, outcome), raised=last.raised and end.verdict == "good")


def _losses(last: LastOutcome | None) -> set[str]:
    """Jobs given up that may still end otherwise: the last outcome and what
    counted before it, as far as those are losses."""
    found: set[str] = set()
    while last is not None and last.lost:
        found.add(last.job_id)
        last = last.before
    return found


def _as_last(
    outcome: Outcome,
    verdict: Verdict,
    *,
    before: LastOutcome | None = None,
    raised: bool = False,
    told_by: str | None = None,
) -> LastOutcome:
    cause = None
    if verdict == "bad" and outcome.doubt is None and not _hides_cause(outcome):
        cause = wording.why(outcome.reason, outcome.error, outcome.exit_code)[:CAUSE_KEPT]
    return LastOutcome(
        outcome.job_id, verdict, outcome.at, outcome.spool_id, outcome.seq, lost=outcome.lost, raised=raised,
        before=before, plan=outcome.plan, partial=outcome.status == "partial", cause=cause,
        cause_at=outcome.at if cause else None, told_by=told_by,
    )  # fmt: skip


def _flat(last: LastOutcome, most: int = LOSSES_KEPT) -> LastOutcome:
    """Remembers only so many outcomes before a loss."""
    if last.before is None:
        return last
    return replace(last, before=_flat(last.before, most - 1) if most else None)


def _hides_cause(outcome: Outcome) -> bool:
    """A lock is often only what a run that broke down left behind: why that one did is worth more."""
    return outcome.reason == "locked"


def _recovered(key: AlertKey, outcome: Outcome) -> str:
    if key.kind == "backup_suspicious":
        return wording.as_usual(outcome.label)
    return wording.recovered(outcome.kind, outcome.label, outcome.status)


def _message(state: AlertState, outcome: Outcome) -> str:
    if outcome.doubt is not None:
        return wording.suspicious(outcome.label, outcome.doubt)
    began, last = None, state.last
    if last is not None and last.job_id != outcome.job_id and state.alert is not None and _hides_cause(outcome):
        began = (last.cause_at, last.cause) if last.cause_at and last.cause else None
    return wording.failed(
        outcome.kind, outcome.label, outcome.status, outcome.reason, outcome.error, outcome.exit_code,
        state.last_good_at, outcome.zone, began,
    )  # fmt: skip
