"""What is said of a group over hosts: the first few by name, the others as a number. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import msgspec

from rmactors.common.text import excerpt, one_line
from rmactors.common.vocabulary import SEVERITIES, Event
from rmactors.server.actors.delivery.batch import Batch
from rmactors.server.messages.notifications import GroupMember, Notification, NotificationBody
from rmactors.server.state.delivery import OpenAlerts

NAMED: Final = 10
"""So many of a group over hosts are named in its message, the others counted."""
LISTED: Final = 200
"""So many of them are in `group`, for receivers that read it."""
_SAID: Final = 120
"""So much of what each says: ten of them fit into most receivers' limits."""
_MANY: Final = 200
_BODY = msgspec.json.Decoder(NotificationBody)
_OVER: Final[dict[Event, str]] = {
    "alert.acknowledged": " are acknowledged", "alert.resolved": " are resolved", "alert.reminder": " are still open",
}  # fmt: skip


def of_hosts(alone: Notification, batch: Batch, still_open: OpenAlerts) -> Notification:
    """The notification of a group over hosts. `alone` is that of its first alert, `still_open` what of a group whose
    end is told is not resolved."""
    members = batch.members
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
        alone,
        severity=max((body.severity for body in bodies), key=SEVERITIES.index),
        kind="multiple",
        host_name=f"{len(hosts)} hosts" if len(hosts) > 1 else alone.host_name,
        message=_counted(alone.event, group, len(members), len(hosts), bodies[0].repository, still_open),
        occurred_at=max(body.occurred_at for body in bodies),
        actor=excerpt(", ".join(actors), _MANY) if actors else None,
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
        f"- [{each.severity}] {one_line(each.host_name)}: {each.kind}: {excerpt(each.message, _SAID)}"
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
