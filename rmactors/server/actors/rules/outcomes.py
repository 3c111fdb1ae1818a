"""What the end of a backup, forget, prune or check does: the four `…_failed` rules.

Outcomes count in the order in which they happened, not in which they arrive: one that is older than what counted
already changes nothing but its job. A loss is the server's guess; when the real end comes, it takes the loss's place.
"""

from dataclasses import dataclass, replace
from typing import assert_never

from rmactors.common.vocabulary import SEVERITY_OF, JobEnd, JobKind, OnPartial, Reason
from rmactors.server.actors.rules import wording
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert, WorsenAlert
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import Decision, Doubt, Head, Key, OpenAlert, Track, Verdict, expect, remember

CAUSE_KEPT = 300
"""Characters of why a run failed that are remembered for later messages."""
LOSSES_KEPT = 8
"""Losses of one subject in a row whose real ends may still come: a host seldom runs more of the same at once."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of one job, as far as its rule cares. `at` is when it ended, `now` when it is judged.

    `doubt`: it succeeded, and looks wrong; that is for the rule about sizes alone.
    `label` is the name people know it by: its schedule's or its plan's, empty for neither. `zone` is its schedule's,
    for the times in messages.
    """

    job_id: str
    kind: JobKind
    label: str
    status: JobEnd
    reason: Reason
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


def judge(key: Key, track: Track, outcome: Outcome, fresh_id: str | None, held_back_by: str | None = None) -> Decision:
    """What `outcome` does to the alert of `key`. `fresh_id` is used where an alert is raised; None: another alert
    tells of it already, so none is. `held_back_by` is that one, where there are too many."""
    before = track
    track = _with_good(track, outcome)
    head = track.head
    if head is not None and is_end_of_loss(head, outcome):
        replaces = _replace_loss if head.job_id == outcome.job_id else _replace_earlier_loss
        return replaces(key, track, head, outcome)
    verdict = verdict_of(outcome)
    if verdict is None:
        return Decision(track, (expect(key, track),), f"{outcome.status} neither raises nor resolves")
    if head is not None and not is_newer(outcome, head):
        beneath = _beneath(head, _head_of(outcome, verdict), outcome)
        if beneath == head and track is before:
            return Decision(track, (expect(key, track),), "older than the outcome that counts")
        after, saved = remember(key, track, head=beneath)
        why = "older than a loss: counts should that be none" if beneath != head else "older, and a good one to know of"
        return Decision(after, (saved,), why)
    return _good(key, track, outcome) if verdict == "good" else _bad(key, track, outcome, fresh_id, held_back_by)


def is_end_of_loss(head: Head | None, outcome: Outcome) -> bool:
    """Whether `outcome` is the real end of a job that was given up, and whose loss still matters here."""
    return not outcome.lost and outcome.job_id in _losses(head)


def verdict_of(outcome: Outcome) -> Verdict | None:
    """Good, bad, or None where it says nothing about the backup."""
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


def good_enough(status: JobEnd, reason: Reason, on_partial: OnPartial) -> bool:
    """Whether an end is a good one. Files that could not be read may be left to the schedule to say; a source that
    was not there may not."""
    return status == "succeeded" or (status == "partial" and on_partial == "ok" and reason != "no_source")


def is_newer(outcome: Outcome, head: Head) -> bool:
    """Whether `outcome` happened after `head`: by place in the spool they share, else by time (a tie counts)."""
    if outcome.spool_id is not None and outcome.spool_id == head.spool_id and None not in (outcome.seq, head.seq):
        assert outcome.seq is not None
        assert head.seq is not None
        return outcome.seq > head.seq
    return outcome.at >= head.at


def _with_good(track: Track, outcome: Outcome) -> Track:
    """The track, and the newest good end that it knows from now on."""
    if verdict_of(outcome) != "good" or (track.good is not None and not is_newer(outcome, track.good)):
        return track
    return replace(track, good=_head_of(outcome, "good"), last_good_at=outcome.at)


def _good(key: Key, track: Track, outcome: Outcome) -> Decision:
    after, saved = remember(key, track, alert=None, head=_head_of(outcome, "good"))
    if track.alert is None:
        return Decision(after, (saved,), "good, and nothing was open")
    text = _recovered(key, outcome)
    resolved = ResolveAlert(track.alert.id, outcome.now, "rule", None, text)
    return Decision(after, (saved, resolved), "good: resolves")


def _bad(key: Key, track: Track, outcome: Outcome, fresh_id: str | None, held_back_by: str | None) -> Decision:
    message = _message(track, outcome)
    if track.alert is not None:
        head = replace(_head_of(outcome, "bad"), before=track.head if outcome.lost else None)
        if track.head is not None and _hides_cause(outcome):
            head = replace(head, cause=track.head.cause, cause_at=track.head.cause_at)
        if track.alert.known_partial and outcome.status != "partial":
            known = replace(track.alert, known_partial=False, acknowledged=False)
            after, saved = remember(key, track, head=_flat(head), alert=known)
            notice = wording.worse(message)
            worsened = WorsenAlert(track.alert.id, message, notice, outcome.now, outcome.job_id)
            return Decision(after, (saved, worsened), "worse than people know: told again")
        after, saved = remember(key, track, head=_flat(head))
        touched = TouchAlert(track.alert.id, message, outcome.now, True, outcome.job_id)
        return Decision(after, (saved, touched), "bad again: touches")
    if fresh_id is None:
        before = track.head if outcome.lost else None
        head = replace(_head_of(outcome, "bad"), before=before, told_by=held_back_by)
        after, saved = remember(key, track, head=_flat(head))
        return Decision(after, (saved,), "bad: another alert tells of it")
    head = replace(_head_of(outcome, "bad"), raised=outcome.lost, before=track.head if outcome.lost else None)
    raised = RaiseAlert(
        fresh_id, key.host_id, key.kind, key.subject, SEVERITY_OF[key.kind], message, outcome.now, outcome.job_id,
        head.partial,
    )  # fmt: skip
    alert = OpenAlert(fresh_id, raised.severity, outcome.now, known_partial=head.partial)
    after, saved = remember(key, track, alert=alert, head=_flat(head))
    return Decision(after, (saved, raised), "bad: raises")


def _replace_loss(key: Key, track: Track, loss: Head, outcome: Outcome) -> Decision:
    """The real end of a job that was given up: as if the loss had never been, except for what people were told."""
    head, counts = _in_place_of(loss, outcome)
    alert = track.alert
    writes: tuple[Write, ...] = ()
    why = "the real end takes the place of the loss"
    if alert is not None and head is not None and head.verdict == "bad" and (counts or not loss.raised):
        if counts:
            writes = (TouchAlert(alert.id, _message(track, outcome), outcome.now, False, outcome.job_id),)
            why += ", a failure: no new occurrence"
    elif alert is not None:
        text = _recovered(key, outcome)
        writes = (ResolveAlert(alert.id, outcome.now, "rule", None, text),)
        alert = None
        why += ": resolves"
    after, saved = remember(key, track, alert=alert, head=head)
    return Decision(after, (saved, *writes), why)


def _replace_earlier_loss(key: Key, track: Track, head: Head, outcome: Outcome) -> Decision:
    """The real end of a job that was given up before the one that counts now was: that one counts unless the end is
    newer."""
    verdict = verdict_of(outcome)
    if verdict == "good" and is_newer(outcome, head):
        return _good(key, track, outcome)
    if verdict == "bad" and is_newer(outcome, head):
        after, saved = remember(key, track, head=replace(_head_of(outcome, "bad"), told_by=head.told_by))
        why = "the real end of an earlier loss is the newest: no new occurrence"
        if track.alert is None:
            return Decision(after, (saved,), why)
        touched = TouchAlert(track.alert.id, _message(track, outcome), outcome.now, False, outcome.job_id)
        return Decision(after, (saved, touched), why)
    after, saved = remember(key, track, head=_without_loss(head, outcome))
    return Decision(after, (saved,), "the real end takes the place of an earlier loss")


def _without_loss(head: Head, outcome: Outcome) -> Head:
    assert head.before is not None
    if head.before.job_id != outcome.job_id:
        return replace(head, before=_without_loss(head.before, outcome))
    before, counts = _in_place_of(head.before, outcome)
    # Where nothing is left of the loss that raised the alert, the next one is what keeps it open.
    return replace(head, before=before, raised=head.raised or (head.before.raised and not counts))


def _in_place_of(loss: Head, outcome: Outcome) -> tuple[Head | None, bool]:
    """What counts instead of a loss, and whether that is its real end."""
    verdict = verdict_of(outcome)
    if verdict is None:
        return loss.before, False
    end = replace(_head_of(outcome, verdict), told_by=loss.told_by if verdict == "bad" else None)
    if loss.before is None or is_newer(outcome, loss.before):
        return end, True
    return _beneath(loss.before, end, outcome), False


def _beneath(head: Head, end: Head, outcome: Outcome) -> Head:
    """An outcome older than what counts is remembered where only losses are newer: those may turn out to be none."""
    if not head.lost:
        return head
    if head.before is None or is_newer(outcome, head.before):
        return replace(head, before=end, raised=head.raised and end.verdict == "good")
    return replace(head, before=_beneath(head.before, end, outcome), raised=head.raised and end.verdict == "good")


def _losses(head: Head | None) -> set[str]:
    """Jobs given up that may still end otherwise: the head, and what counted before it, as far as those are losses."""
    found: set[str] = set()
    while head is not None and head.lost:
        found.add(head.job_id)
        head = head.before
    return found


def _head_of(outcome: Outcome, verdict: Verdict) -> Head:
    cause = None
    if verdict == "bad" and outcome.doubt is None and not _hides_cause(outcome):
        cause = wording.why(outcome.reason, outcome.error, outcome.exit_code)[:CAUSE_KEPT]
    return Head(
        outcome.job_id, verdict, outcome.at, outcome.spool_id, outcome.seq, lost=outcome.lost, plan=outcome.plan,
        partial=outcome.status == "partial", cause=cause, cause_at=outcome.at if cause else None,
    )  # fmt: skip


def _flat(head: Head, most: int = LOSSES_KEPT) -> Head:
    """Remembers only so many outcomes before a loss."""
    if head.before is None:
        return head
    return replace(head, before=_flat(head.before, most - 1) if most else None)


def _hides_cause(outcome: Outcome) -> bool:
    """A lock is often only what a run that broke down left behind: why that one did is worth more."""
    return outcome.reason == "locked"


def _recovered(key: Key, outcome: Outcome) -> str:
    if key.kind == "backup_suspicious":
        return wording.as_usual(outcome.label)
    return wording.recovered(outcome.kind, outcome.label, outcome.status)


def _few(doubt: Doubt) -> int:
    number = doubt.size.files if doubt.what == "files" else doubt.size.bytes
    assert number is not None
    return number


def _message(track: Track, outcome: Outcome) -> str:
    if outcome.doubt is not None:
        return wording.suspicious(outcome.label, outcome.doubt.what, _few(outcome.doubt), outcome.doubt.usual)
    began, head = None, track.head
    if head is not None and head.job_id != outcome.job_id and track.alert is not None and _hides_cause(outcome):
        began = (head.cause_at, head.cause) if head.cause_at and head.cause else None
    return wording.failed(
        outcome.kind, outcome.label, outcome.status, outcome.reason, outcome.error, outcome.exit_code,
        track.last_good_at, outcome.zone, began,
    )  # fmt: skip
