"""Backups that succeeded and look wrong: `backup_suspicious`.

An unmounted disk makes a good backup of nothing. So what a backup holds is held against what it usually holds: the
median of the last good ones. A backup that looks wrong does not enter that measure, unless an operator says that it is
meant. Anyone who runs a plan, its backups have one measure. Resolved without saying so, the alert is over and the
measure is as before: the next backup like it raises again.
"""

from collections.abc import Callable
from statistics import median

from msgspec.structs import replace

from rmactors.server.actors.rules import operators, plans, wording
from rmactors.server.actors.rules.outcomes import Outcome
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Resolve
from rmactors.server.state.alert_state import AlertDecision, AlertKey, Doubt, Size, Usual, remember
from rmactors.server.state.host_state import Decision, HostState, apply

KEPT = 7
"""The measure is made of so many backups."""
LEAST = 3
"""Of fewer, only whether there is anything at all is judged."""
SHARE = 10
"""What holds less than one part of so many of the usual looks wrong."""
NOTHING_USUAL = Usual()


def doubt(usual: Usual, size: Size) -> Doubt | None:
    """What looks wrong about a backup of that size; None if nothing does."""
    files, data = _usually(usual, lambda known: known.files), _usually(usual, lambda known: known.bytes)
    if size.files == 0 and files != 0:
        return Doubt(size, "files", Size(files, data))
    if size.files is not None and files is not None and size.files * SHARE < files:
        return Doubt(size, "files", Size(files, data))
    if size.bytes is not None and data is not None and size.bytes * SHARE < data:
        return Doubt(size, "bytes", Size(files, data))
    return None


def judge(host: HostState, own: AlertKey, outcome: Outcome, size: Size, fresh_id: str) -> Decision:
    """What a backup that succeeded with that size does to the alerts about the sizes of its plan's backups."""
    key = AlertKey(own.host_id, "backup_suspicious", own.subject)
    of_measure = _measure_of(key, outcome.plan)
    owner = host.schedules.get(of_measure.subject)
    if owner is not None and owner.deleted:
        return Decision((), False, (Reason.SCHEDULE_GONE,))
    measure = host.state_of(of_measure)
    usual = measure.usual or NOTHING_USUAL
    found = doubt(usual, size)
    if found is None:
        # It is written down with what is decided about it. An older one, which decides nothing, does not enter.
        host.put(of_measure, replace(measure, usual=Usual((*usual.sizes, size)[-KEPT:])))
    decision = plans.judge(host, key, replace(outcome, doubt=found), fresh_id)
    after = host.state_of(of_measure)
    if found is None:
        if after.version == measure.version:
            host.put(of_measure, measure)
        return decision
    state, saved = remember(of_measure, after, usual=replace(usual, doubted=size))
    kept = apply(host, of_measure, AlertDecision(state, (saved,), Reason.LEFT_OUT))
    return Decision((*decision.writes, *kept.writes), True, decision.reasons + kept.reasons)


def meant(host: HostState, key: AlertKey, request: Resolve) -> Decision:
    """An operator says that it is meant: the alert is over, and what the backup holds now is the measure."""
    last = host.state_of(key).last
    of_measure = _measure_of(key, last.plan if last is not None else None)
    usual = host.state_of(of_measure).usual
    size = usual.doubted if usual is not None else None
    text = wording.meant(size) if size is not None else None
    resolved = apply(host, key, operators.resolve(key, host.state_of(key), request, Reason.MEANT, text))
    if size is None:
        return resolved
    state, saved = remember(of_measure, host.state_of(of_measure), usual=Usual((size,) * LEAST))
    kept = apply(host, of_measure, AlertDecision(state, (saved,), Reason.NEW_MEASURE))
    return Decision((*resolved.writes, *kept.writes), True, resolved.reasons + kept.reasons)


def _usually(usual: Usual, of: Callable[[Size], int | None]) -> int | None:
    """The median, where enough is known."""
    known = [number for size in usual.sizes if (number := of(size)) is not None]
    return round(median(known)) if len(known) >= LEAST else None


def _measure_of(key: AlertKey, plan: str | None) -> AlertKey:
    return key if plan is None else replace(key, subject=f"plan:{plan}")
