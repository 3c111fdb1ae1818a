"""Conditions that last: a silent host (`agent_offline`), a missed schedule (`stale_schedule`)."""

from rmactors.common.vocabulary import SEVERITY_OF
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.state.alert_state import AlertDecision, AlertKey, AlertState, OpenAlert, remember


def fire(key: AlertKey, state: AlertState, message: str, now: int, fresh_id: str) -> AlertDecision:
    """The condition holds: raise, unless it is raised already, or an operator resolved it by hand and it has not
    cleared since.

    What is raised already is touched: so whoever asks hears that it is on disk, or that it is not.
    """
    if state.alert is not None:
        return AlertDecision(state, (TouchAlert(state.alert.id, message, now, again=False),), "raised already: touches")
    if state.suppressed_until_clear:
        return AlertDecision(state, (), "resolved by an operator, suppressed until it has cleared once")
    severity = SEVERITY_OF[key.kind]
    raised = RaiseAlert(fresh_id, key.host_id, key.kind, key.subject, severity, message, now)
    after, saved = remember(key, state, alert=OpenAlert(fresh_id, severity, now))
    return AlertDecision(after, (saved, raised), "it began: raises")


def resolve(key: AlertKey, state: AlertState, message: str, now: int) -> AlertDecision:
    """The condition is over: resolve what is open, and be ready to raise again."""
    if state.alert is None and not state.suppressed_until_clear:
        return AlertDecision(state, (), "nothing was open")
    alert = state.alert
    after, saved = remember(key, state, alert=None, suppressed_until_clear=False)
    if alert is None:
        return AlertDecision(after, (saved,), "cleared: may raise again")
    return AlertDecision(after, (saved, ResolveAlert(alert.id, now, "rule", None, message)), "cleared: resolves")
