"""From what the outbox holds to what a channel is given. Pure."""

from collections.abc import Callable
from typing import Final

import msgspec

from rmactors.common.vocabulary import SEVERITIES, Event
from rmactors.common.zones import day_and_time
from rmactors.server.actors.delivery import after_quiet, over_hosts
from rmactors.server.actors.delivery.batch import Batch
from rmactors.server.messages.notifications import GroupMember, Notification, NotificationBody
from rmactors.server.state.delivery import NONE_OPEN, Delivery, OpenAlerts

_BODY = msgspec.json.Decoder(NotificationBody)
_ACTED_ON: Final = ("alert.raised", "alert.reminder")
"""Events after which there is something left to do."""

ActLink = Callable[[str, int], str]
"""An alert's id and when the event was (microseconds), to the page on which the alert is acknowledged or silenced."""


def no_link(alert_id: str, at: int) -> str:
    """For a server that gives out none."""
    return ""


def of_batch(
    batch: Batch, base_url: str, act_link: ActLink = no_link, still_open: OpenAlerts = NONE_OPEN
) -> Notification:
    """The notification of one batch. `base_url` has no slash at the end. A group has no `act_link`: that is about one
    alert. `still_open`: of a group over hosts whose end it tells."""
    main = batch.main
    if batch.night:
        return after_quiet.of_night(of_batch(Batch(main), base_url), batch)
    if batch.group and main.group_key:
        return over_hosts.of_hosts(of_batch(Batch(main), base_url), batch, still_open)
    body = _BODY.decode(main.body)
    severity, kind, message = body.severity, body.kind, body.message
    group: tuple[GroupMember, ...] = ()
    if batch.group:
        group = tuple(_member(delivery) for delivery in batch.deliveries)
        severity = max((member.severity for member in group), key=SEVERITIES.index)
        kind = "multiple"
        message = _together(group)
    elif batch.carried and batch.carried[0][0].event == "alert.raised":
        raises = [_BODY.decode(delivery.body) for delivery, _ in batch.carried if delivery.event == "alert.raised"]
        message = _both(raises, body)
    elif body.open_since is not None:
        message += f"\n{_nobody_since(body.open_since, body)}"
    event: Event = main.event  # type: ignore[assignment]  # the outbox writes nothing else
    to_act = act_link(main.alert_id, body.occurred_at) if event in _ACTED_ON and not batch.group else ""
    return Notification(
        main.id, event, main.alert_id, severity, kind, body.subject, main.host_id, body.host_name, message,
        body.raised_at, body.occurred_at, _link(main, base_url), body.actor, body.note, group,
        body.again, to_act,
    )  # fmt: skip


def _link(main: Delivery, base_url: str) -> str:
    return f"{base_url}/" if main.event == "alert.digest" else f"{base_url}/alerts/{main.alert_id}"


def _nobody_since(since: int, body: NotificationBody) -> str:
    return f"Nobody has acknowledged it since {day_and_time(since, body.zone or 'UTC')}."


def _member(delivery: Delivery) -> GroupMember:
    body = _BODY.decode(delivery.body)
    return GroupMember(delivery.alert_id, body.severity, body.kind, body.subject, body.message)


def _together(group: tuple[GroupMember, ...]) -> str:
    listed = "\n".join(f"- [{member.severity}] {member.kind}: {_indented(member.message)}" for member in group)
    return f"{len(group)} alerts:\n{listed}"


def _indented(message: str) -> str:
    """A message with several lines, of which none but the first stands where one of a group does."""
    return "\n  ".join(message.splitlines())


def _both(raises: list[NotificationBody], end: NotificationBody) -> str:
    """A raise that was not sent in time, and its end, in one message. If it got worse meanwhile, as it was then."""
    raised = raises[-1].message
    resolved = "" if end.message == raised else f" {end.message}"
    began, ended = (day_and_time(body.occurred_at, end.zone or "UTC") for body in (raises[0], end))
    return f"Raised {began}, resolved {ended}: {raised}{resolved}"
