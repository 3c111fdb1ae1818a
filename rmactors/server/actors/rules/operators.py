"""What an operator's acknowledgement or resolution does."""

from dataclasses import replace

from rmactors.server.messages.alerts import AcknowledgeAlert, ResolveAlert
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.requests import Acknowledge, Resolve
from rmactors.server.state.alert_state import Decision, Key, Track, expect, remember

LASTING = frozenset({"agent_offline", "stale_schedule", "backup_overdue"})
"""Kinds whose condition still holds while their alert is open."""


def acknowledge(key: Key, track: Track, by: str, note: str | None, now: int, audit: Audit) -> Decision:
    """Keeps the open alert open and says who looks after it. Once acknowledged, it stays so until it gets worse than
    it is now."""
    assert track.alert is not None
    partial = track.head is not None and track.head.partial
    write = AcknowledgeAlert(track.alert.id, now, by, note, audit, partial)
    if track.alert.acknowledged:  # perhaps not on disk yet: the store says
        return Decision(track, (expect(key, track), write), "acknowledged already")
    alert = replace(track.alert, acknowledged=True, known_partial=partial)
    return Decision(replace(track, alert=alert), (expect(key, track), write), "acknowledged")


def resolve(key: Key, track: Track, by: str, note: str | None, now: int, audit: Audit) -> Decision:
    """Ends the open alert. A condition that still holds stays quiet until it has cleared once."""
    assert track.alert is not None
    write = ResolveAlert(track.alert.id, now, by, note, None, audit)
    if key.kind in LASTING:
        after, saved = remember(key, track, alert=None, quiet=True)
        return Decision(after, (saved, write), "resolved, quiet until it has cleared once")
    # Saved although nothing of it is kept: what is decided next on an alert that is gone must fail if this does.
    after, saved = remember(key, track, alert=None)
    return Decision(after, (saved, write), "resolved")


def plain(request: Acknowledge | Resolve) -> AcknowledgeAlert | ResolveAlert:
    """The write of a request about an alert that is not open here: the store refuses it or finds it done."""
    if isinstance(request, Acknowledge):
        return AcknowledgeAlert(request.alert_id, request.at, request.by, request.note, request.audit)
    return ResolveAlert(request.alert_id, request.at, request.by, request.note, None, request.audit)
