"""Conditions that last: a silent host (`agent_offline`), a missed schedule (`stale_schedule`)."""

from rmactors.common.vocabulary import ALERTS
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.reasons import Reason
from rmactors.server.state.alert_state import AlertDecision, AlertKey, AlertState, OpenAlert, remember


def fire(key: AlertKey, state: AlertState, message: str, now: int, fresh_id: str) -> AlertDecision:
    """The condition holds: raise, unless it is raised already, or an operator resolved it by hand and it has not
    cleared since.

    What is raised already is touched: so the asker hears that it is on disk, or that it is not.
    """
    if state.alert is not None:
        return AlertDecision(state, (TouchAlert(state.alert.id, message, now, again=False),), Reason.LASTS)
    if state.suppressed_until_clear:
        return AlertDecision(state, (), Reason.SUPPRESSED)
    severity = ALERTS[key.kind].severity
    raised = RaiseAlert(fresh_id, key.host_id, key.kind, key.subject, severity, message, now, reason=Reason.BEGAN)
    after, saved = remember(key, state, alert=OpenAlert(fresh_id, severity, now))
    return AlertDecision(after, (saved, raised), Reason.BEGAN)


def resolve(key: AlertKey, state: AlertState, message: str, now: int) -> AlertDecision:
    """The condition is over: resolve what is open, and be ready to raise again."""
    if state.alert is None and not state.suppressed_until_clear:
        return AlertDecision(state, (), Reason.NOTHING_OPEN)
    alert = state.alert
    after, saved = remember(key, state, alert=None, suppressed_until_clear=False)
    if alert is None:
        return AlertDecision(after, (saved,), Reason.SUPPRESSION_ENDED)
    resolved = ResolveAlert(alert.id, now, "rule", None, message, reason=Reason.CLEARED)
    return AlertDecision(after, (saved, resolved), Reason.CLEARED)
