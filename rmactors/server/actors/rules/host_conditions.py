"""Conditions that last until they clear: how each is raised, touched and resolved; and those of a host itself
(`agent_offline`), with what they say."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from rmactors.common.vocabulary import ALERTS, AlertKind
from rmactors.common.zones import day_and_time
from rmactors.server.messages.alerts import RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import HostReturned, HostWentSilent
from rmactors.server.state.alert_state import AlertDecision, AlertKey, AlertState, OpenAlert, remember
from rmactors.server.state.host_state import Decision, HostState, apply


@dataclass(frozen=True, slots=True)
class Condition:
    """Of a host itself: whether it holds, and how that is told."""

    kind: AlertKind
    holds: bool
    message: str


def conditions(request: HostWentSilent | HostReturned) -> Iterator[Condition]:
    """Which conditions of a host hold, and which are over, by what is heard of it."""
    match request:
        case HostWentSilent():
            yield Condition("agent_offline", True, f"Nothing heard from this host since {day_and_time(request.since)}.")
        case HostReturned():
            yield Condition("agent_offline", False, "The host is back.")
        case _:
            assert_never(request)


def judge(host: HostState, request: HostWentSilent | HostReturned, fresh_id: str) -> Decision:
    """What is heard of a host, and what that does to the alerts about the host itself. There is one `fresh_id`, so
    nothing that is heard may raise two."""
    decided = []
    for condition in conditions(request):
        key = AlertKey(host.host_id, condition.kind, "")
        state = host.state_of(key)
        if condition.holds:
            decision = fire(key, state, condition.message, request.at, fresh_id)
        else:
            decision = resolve(key, state, condition.message, request.at)
        decided.append(apply(host, key, decision))
    return Decision(
        tuple(write for each in decided for write in each.writes),
        any(each.changed for each in decided),
        tuple(reason for each in decided for reason in each.reasons),
    )


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
