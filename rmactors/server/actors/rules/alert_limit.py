"""A host with too many open alerts: `too_many_alerts`.

A host may name as many plans as it likes, and each that fails would be an alert of its own: thousands of rows on a page
and of messages to people. So beyond a number of open alerts, a failure whose subject is only what the host says, a plan
or nothing, raises none. It counts like any other, and one alert tells how many such there are. What is about a schedule
or about the host itself is the server's own to know, and always has its alert: no invented plan can hide it.

A failure that was held back is over when a good end comes, and gets its own alert when it comes again and there is
room. When none is left, `too_many_alerts` is resolved.
"""

from collections.abc import Iterable
from itertools import islice

from rmactors.common.vocabulary import ALERTS
from rmactors.server.actors.rules import wording
from rmactors.server.messages.alerts import ExpectOpen, ForgetAlertState, RaiseAlert, ResolveAlert, TouchAlert
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.writes import Write
from rmactors.server.state.alert_state import EMPTY, AlertKey, OpenAlert, remember
from rmactors.server.state.host_state import Decision, HostState

NAMED = 3
"""Of what was held back last, so many are named in the message."""
IN_FLIGHT = 256
"""So near to the bound, a decision says how many it counts on: others may not be on disk yet, or fail to get there."""
REMEMBERED = 10_000
"""Of one host, so many (kind of alert, subject) are remembered: more plans than anybody has."""
FORGOTTEN_AT_ONCE = 8


def covering_alert(host: HostState, own: AlertKey, fresh_id: str) -> str | None:
    """The alert that tells of a failure of `own`, because its host has no room for another; None: it has."""
    if own.subject in host.schedules or not _is_full(host):
        return None
    update = host.state_of(_key(own.host_id)).alert
    return update.id if update is not None else fresh_id


def counted_on(host: HostState, writes: Iterable[Write], held_back: bool) -> tuple[Write, ...]:
    """What a decision that is remembered already, and that leads to `writes`, expects of the number of open alerts
    on disk before it."""
    raises = any(isinstance(write, RaiseAlert) for write in writes)
    if held_back or (raises and host.most_open and host.open_alerts() - 1 + IN_FLIGHT >= host.most_open):
        return (ExpectOpen(host.host_id, host.most_open, reached=held_back),)
    return ()


def update(host: HostState, held_back: bool, changed: bool, now: int, fresh_id: str) -> Decision:
    """Bring `too_many_alerts` up to date: a failure was `held_back`, for the first time or again, or what is held back
    `changed`."""
    key = _key(host.host_id)
    state = host.state_of(key)
    if not held_back and (not changed or state.alert is None):
        return Decision((), False, ())
    if state.alert is None:
        severity = ALERTS[key.kind].severity
        after, saved = remember(key, state, alert=OpenAlert(fresh_id, severity, now))
        host.put(key, after)
        raised = RaiseAlert(
            fresh_id, key.host_id, key.kind, key.subject, severity, _message(host), now, reason=Reason.TOO_MANY
        )
        return Decision((saved, raised), True, (Reason.TOO_MANY,))
    if not host.held_back():
        after, saved = remember(key, state, alert=None)
        host.put(key, after)
        over = ResolveAlert(
            state.alert.id, now, "rule", None, wording.no_more_held_back(), reason=Reason.NO_LONGER_TOO_MANY
        )
        return Decision((saved, over), True, (Reason.NO_LONGER_TOO_MANY,))
    # Saved although nothing of it changes: the number is right only if what led to it is on disk.
    after, saved = remember(key, state)
    host.put(key, after)
    touched = TouchAlert(state.alert.id, _message(host), now, again=held_back)
    return Decision((saved, touched), True, (Reason.STILL_TOO_MANY,))


def forget(host: HostState) -> tuple[Write, ...]:
    """Where a host has named more plans than anybody has, those that were not heard of for longest are remembered no
    more, unless they have an open alert: the memory of the server is everybody's."""
    if len(host.alert_states) <= REMEMBERED:
        return ()
    made_up = (
        key for key, state in host.alert_states.items() if key.subject.startswith("plan:") and state.alert is None
    )
    oldest = list(islice(made_up, FORGOTTEN_AT_ONCE))
    writes = tuple(ForgetAlertState(key.host_id, key.kind, key.subject, host.state_of(key).version) for key in oldest)
    for key in oldest:
        host.put(key, EMPTY)
    return writes


def _is_full(host: HostState) -> bool:
    return 0 < host.most_open <= host.open_alerts()


def _key(host_id: str) -> AlertKey:
    return AlertKey(host_id, "too_many_alerts", "")


def _message(host: HostState) -> str:
    held = host.held_back()
    newest = [(key.kind, key.subject.removeprefix("plan:")) for key in islice(reversed(held), NAMED)]
    return wording.held_back(len(held), host.most_open, newest)
