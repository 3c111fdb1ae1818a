"""What is said of all that quiet hours held back: what is open, then what came and went. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Final

import msgspec

from rmactors.common.text import excerpt, one_line
from rmactors.common.vocabulary import SEVERITIES, Event
from rmactors.common.zones import day_and_time
from rmactors.server.actors.delivery.batch import Batch
from rmactors.server.messages.notifications import AlertState, GroupMember, Notification, NotificationBody
from rmactors.server.state.delivery import Delivery

NAMED: Final = 20
"""So many alerts are named in the message, the others counted."""
LISTED: Final = 200
"""So many of them are in `group`, for receivers that read it."""
_LINE: Final = 200
_BODY = msgspec.json.Decoder(NotificationBody)
_STATES: Final[dict[str, AlertState]] = {"alert.resolved": "resolved", "alert.acknowledged": "acknowledged"}
_EVENTS: Final[dict[AlertState, Event]] = {
    "open": "alert.raised", "acknowledged": "alert.acknowledged", "resolved": "alert.resolved",
}  # fmt: skip
"""What is told of all of them: the first of these that any of them is."""


def of_night(alone: Notification, batch: Batch) -> Notification:
    """The notification of a night's batch. `alone` is that of its first alert."""
    lanes = [list(lane) for _, lane in groupby(batch.in_order, key=lambda delivery: delivery.alert_id)]
    group = [_member(lane) for lane in lanes]
    newest = [_BODY.decode(lane[-1].body) for lane in lanes]
    still_open = [member for member in group if member.state != "resolved"]
    hosts = {member.host_id or member.host_name for member in group}
    state = next(state for state in _EVENTS if any(member.state == state for member in group))
    actors = list(dict.fromkeys(body.actor for body in newest if body.actor))
    return replace(
        alone,
        event=_EVENTS[state],
        severity=max((member.severity for member in still_open or group), key=SEVERITIES.index),
        kind="multiple",
        host_name=f"{len(hosts)} hosts" if len(hosts) > 1 else alone.host_name,
        message=_told(group, len(still_open)),
        occurred_at=max(body.occurred_at for body in newest),
        actor=excerpt(", ".join(actors), _LINE) if actors else None,
        note=None,
        group=tuple(group[:LISTED]),
        again=False,
        group_count=len(group),
        still_open=len(still_open),
    )


def _member(lane: Sequence[Delivery]) -> GroupMember:
    """One alert, as its newest delivery has it; of one that is over, what was wrong, if that is said here first."""
    newest, body = lane[-1], _BODY.decode(lane[-1].body)
    state = _STATES.get(newest.event, "open")
    message = body.message if state == "open" else f"({state}) {body.message}"
    if state == "resolved":
        began, ended = (day_and_time(at, body.zone or "UTC") for at in (body.raised_at, body.occurred_at))
        message = f"(raised {began}, resolved {ended}) {_last_raise(lane).message}"
    return GroupMember(
        newest.alert_id, body.severity, body.kind, body.subject, message, newest.host_id, body.host_name, state
    )


def _last_raise(lane: Sequence[Delivery]) -> NotificationBody:
    found = [delivery for delivery in lane if delivery.event == "alert.raised"] or lane
    return _BODY.decode(found[-1].body)


def _told(group: Sequence[GroupMember], still_open: int) -> str:
    over = len(group) - still_open
    if not over:
        said = f"After the quiet hours {_are(still_open)} open:"
    elif not still_open:
        said = f"Nothing of the quiet hours is open, {_are(over)} over:"
    else:
        said = f"After the quiet hours {_are(still_open)} open, {over} over:"
    lines = [
        f"- [{each.severity}] {one_line(each.host_name)}: {each.kind}: {excerpt(each.message, _LINE)}"
        for each in group[:NAMED]
    ]
    more = [f"and {len(group) - NAMED} more"] if len(group) > NAMED else []
    return "\n".join([said, *lines, *more])


def _are(number: int) -> str:
    return "1 alert is" if number == 1 else f"{number} alerts are"
