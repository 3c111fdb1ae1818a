"""The usual body of a webhook. Pure.

The order of the keys is part of the contract; new keys go to the end.
"""

from typing import Any, Final

import msgspec

from rmactors.common import clock
from rmactors.common.text import lines
from rmactors.server.messages.notifications import GroupMember, Notification

_TELLS_WHO: Final = ("alert.acknowledged", "alert.resolved")


def body(notification: Notification) -> bytes:
    """The JSON body, UTF-8, without line breaks."""
    return msgspec.json.encode(said(notification))


def said(notification: Notification) -> dict[str, Any]:
    """What is in the body. Sentences are printable: most receivers hand them on to people. Names and ids are as the API
    has them."""
    of_host = notification.about == "Host"
    found: dict[str, Any] = {
        "event": notification.event,
        "alert_id": notification.alert_id,
        "severity": notification.severity,
        "kind": notification.kind,
        "host_id": notification.host_id if of_host else None,
        "host_name": notification.host_name if of_host else None,
        "message": lines(notification.message),
        "raised_at": clock.to_rfc3339(notification.raised_at),
        "link": notification.link,
        "subject": notification.subject,
        "occurred_at": clock.to_rfc3339(notification.occurred_at),
        "delivery_id": notification.delivery_id,
    }
    if notification.event in _TELLS_WHO:
        found["actor"] = notification.actor
        found["note"] = notification.note and lines(notification.note)
    if notification.group:
        found["group"] = [_member(member, notification.group_count > 0) for member in notification.group]
    if notification.group_count:
        found["group_count"] = notification.group_count
        found["repository"] = notification.repository
        found["still_open"] = notification.still_open
    if notification.act_link:
        found["act_link"] = notification.act_link
    return found


def _member(member: GroupMember, of_several: bool) -> dict[str, str | None]:
    """In the order of its fields; its host where the group is one of several hosts."""
    found: dict[str, str | None] = {
        "alert_id": member.alert_id, "severity": member.severity, "kind": member.kind, "subject": member.subject,
        "message": lines(member.message),
    }  # fmt: skip
    if of_several:
        found |= {"host_id": member.host_id or None, "host_name": member.host_name}
    return found | {"state": member.state} if member.state is not None else found
