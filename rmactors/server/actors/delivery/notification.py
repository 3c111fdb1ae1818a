"""From what the outbox holds to what a channel is given. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from rmactors.common.text import excerpt, one_line
from rmactors.common.vocabulary import SEVERITIES, Event
from rmactors.common.zones import day_and_time
from rmactors.server.actors.delivery.batch import Batch
from rmactors.server.messages.notifications import GroupMember, Notification, NotificationBody
from rmactors.server.state.delivery import NONE_OPEN, Delivery, OpenAlerts

NAMED: Final = 10
"""So many of a group over hosts are named in its message, the others counted."""
LISTED: Final = 200
"""So many of them are in `group`, for receivers that read it."""
_LINE: Final = 200
_BODY = msgspec.json.Decoder(NotificationBody)
_OVER: Final[dict[Event, str]] = {
    "alert.acknowledged": " are acknowledged", "alert.resolved": " are resolved", "alert.reminder": " are still open",
}  # fmt: skip


def of_batch(batch: Batch, base_url: str, still_open: OpenAlerts = NONE_OPEN) -> Notification:
    """The notification of one batch. `base_url` has no slash at the end. `still_open`: of a group over hosts, whose
    end it tells."""
    main = batch.main
    if batch.group and main.group_key:
        return _of_hosts(batch, base_url, still_open)
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
    event: Event = main.event  # type: ignore[assignment]  # the outbox writes nothing else
    return Notification(
        main.id, event, main.alert_id, severity, kind, body.subject, main.host_id, body.host_name, message,
        body.raised_at, body.occurred_at, f"{base_url}/alerts/{main.alert_id}", body.actor, body.note, group,
        body.again,
    )  # fmt: skip


def _of_hosts(batch: Batch, base_url: str, still_open: OpenAlerts) -> Notification:
    """The notification of a group over hosts: it names the first few and counts the others."""
    main, members = of_batch(Batch(batch.main), base_url), batch.members
    bodies = [_BODY.decode(delivery.body) for delivery in members]
    hosts = {delivery.host_id or body.host_name for delivery, body in zip(members, bodies, strict=True)}
    group = tuple(
        GroupMember(
            delivery.alert_id, body.severity, body.kind, body.subject, body.message, delivery.host_id, body.host_name
        )
        for delivery, body in zip(members[:LISTED], bodies, strict=False)
    )
    actors = list(dict.fromkeys(body.actor for body in bodies if body.actor))
    notes = {body.note for body in bodies}
    return replace(
        main,
        severity=max((body.severity for body in bodies), key=SEVERITIES.index),
        kind="multiple",
        host_name=f"{len(hosts)} hosts" if len(hosts) > 1 else main.host_name,
        message=_counted(main.event, group, len(members), len(hosts), bodies[0].repository, still_open),
        occurred_at=max(body.occurred_at for body in bodies),
        actor=excerpt(", ".join(actors), _LINE) if actors else None,
        note=notes.pop() if len(notes) == 1 else None,
        group=group,
        again=all(body.again for body in bodies),
        group_count=len(members),
        repository=bodies[0].repository,
        still_open=still_open.number,
    )


def _counted(
    event: Event, group: Sequence[GroupMember], number: int, hosts: int, repository: str | None, still_open: OpenAlerts
) -> str:
    where = f" of {hosts} hosts" if hosts > 1 else ""
    about = f" (repository {repository})" if repository else ""
    listed = [f"{number} alerts{where}{about}{_OVER.get(event, '')}:"]
    listed += [
        f"- [{each.severity}] {one_line(each.host_name)}: {each.kind}: {excerpt(each.message, _LINE)}"
        for each in group[:NAMED]
    ]
    listed += _more(number)
    if still_open.number:
        listed.append("1 is still open" if still_open.number == 1 else f"{still_open.number} are still open")
        listed += [f"- [{severity}] {one_line(host)}: {kind}" for severity, host, kind in still_open.first[:NAMED]]
        listed += _more(still_open.number)
    return "\n".join(listed)


def _more(number: int) -> list[str]:
    return [f"and {number - NAMED} more"] if number > NAMED else []


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
