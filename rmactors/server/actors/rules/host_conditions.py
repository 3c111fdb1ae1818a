"""Conditions that last: a silent host (`agent_offline`), a missed schedule (`stale_schedule`)."""

from rmactors.common.vocabulary import SEVERITY_OF
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.state.alert_state import Decision, Key, OpenAlert, Track, remember


def hold(key: Key, track: Track, message: str, now: int, fresh_id: str) -> Decision:
    """The condition holds: raise, unless it is raised already or an operator wants it quiet.

    What is raised already is touched: so whoever asks hears that it is on disk, or that it is not.
    """
    if track.alert is not None:
        return Decision(track, (TouchAlert(track.alert.id, message, now, again=False),), "raised already: touches")
    if track.quiet:
        return Decision(track, (), "resolved by an operator, quiet until it has cleared once")
    severity = SEVERITY_OF[key.kind]
    raised = RaiseAlert(fresh_id, key.host_id, key.kind, key.subject, severity, message, now)
    after, saved = remember(key, track, alert=OpenAlert(fresh_id, severity, now))
    return Decision(after, (saved, raised), "it began: raises")


def clear(key: Key, track: Track, message: str, now: int) -> Decision:
    """The condition is over: resolve what is open, and be ready to raise again."""
    if track.alert is None and not track.quiet:
        return Decision(track, (), "nothing was open")
    alert = track.alert
    after, saved = remember(key, track, alert=None, quiet=False)
    if alert is None:
        return Decision(after, (saved,), "cleared: may raise again")
    return Decision(after, (saved, ResolveAlert(alert.id, now, "rule", None, message)), "cleared: resolves")
