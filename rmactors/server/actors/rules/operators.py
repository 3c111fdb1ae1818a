"""What an operator's acknowledgement or resolution does."""

from msgspec.structs import replace

from rmactors.common.vocabulary import ALERTS
from rmactors.server.messages.alerts import AcknowledgeAlert, ResolveAlert
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Acknowledge, Resolve
from rmactors.server.state.alert_state import AlertDecision, AlertKey, AlertState, expect, remember


def acknowledge(key: AlertKey, state: AlertState, by: str, note: str | None, now: int, audit: Audit) -> AlertDecision:
    """Keeps the open alert open and says who looks after it. Once acknowledged, it stays so until it gets worse than
    it is now."""
    assert state.alert is not None
    partial = state.last is not None and state.last.partial
    write = AcknowledgeAlert(state.alert.id, now, by, note, audit, partial)
    if state.alert.acknowledged:  # perhaps not on disk yet: the store says
        return AlertDecision(state, (expect(key, state), write), Reason.ACKNOWLEDGED_ALREADY)
    alert = replace(state.alert, acknowledged=True, known_partial=partial)
    return AlertDecision(replace(state, alert=alert), (expect(key, state), write), Reason.ACKNOWLEDGED)


def resolve(
    key: AlertKey,
    state: AlertState,
    request: Resolve,
    reason: Reason = Reason.RESOLVED_BY_HAND,
    message: str | None = None,
) -> AlertDecision:
    """Ends the open alert. A condition that still holds is suppressed until it has cleared once. `message` is what its
    end tells of it."""
    assert state.alert is not None
    lasts = ALERTS[key.kind].lasts
    if lasts:
        reason = Reason.RESOLVED_UNTIL_CLEAR
    write = ResolveAlert(state.alert.id, request.at, request.by, request.note, message, request.audit, reason)
    if lasts:
        after, saved = remember(key, state, alert=None, suppressed_until_clear=True)
        return AlertDecision(after, (saved, write), reason)
    # Saved although nothing of it is kept: what is decided next on an alert that is gone must fail if this does.
    after, saved = remember(key, state, alert=None)
    return AlertDecision(after, (saved, write), reason)


def plain(request: Acknowledge | Resolve) -> AcknowledgeAlert | ResolveAlert:
    """The write of a request about an alert that is not open here: the store refuses it or finds it done."""
    if isinstance(request, Acknowledge):
        return AcknowledgeAlert(request.alert_id, request.at, request.by, request.note, request.audit)
    return ResolveAlert(request.alert_id, request.at, request.by, request.note, None, request.audit)
