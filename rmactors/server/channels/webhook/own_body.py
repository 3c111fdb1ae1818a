"""A notification as a template makes its body, and what a template must be good for before it is saved. Pure."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, Final

from rmactors.common.text import lines
from rmactors.server.channels.telling import shortened, title
from rmactors.server.channels.webhook.template import BodyTemplate, TemplateFault
from rmactors.server.channels.webhook.usual_body import said
from rmactors.server.messages.notifications import GroupMember, Notification

VARIABLES: Final = frozenset({
    "event", "alert_id", "severity", "kind", "host_id", "host_name", "message", "raised_at", "link", "subject",
    "occurred_at", "delivery_id", "actor", "note", "group", "group_count", "repository", "still_open", "act_link",
    "title",
})  # fmt: skip

_SIZES: Final = ((65_536, 500, 2_000), (2_000, 20, 200))
"""Characters of the message, members of a group, characters of each one's: as it is, and where that is too much."""


def own_body(source: str, notification: Notification) -> bytes:
    """The body. Where all that there is to say makes too much of it, with less. Raises TemplateFault."""
    template = compiled(source)
    *larger, least = _SIZES
    for size in larger:
        try:
            return template.render(values(notification, *size)).encode(errors="replace")
        except TemplateFault:
            continue
    return template.render(values(notification, *least)).encode(errors="replace")


@lru_cache(maxsize=64)
def compiled(source: str) -> BodyTemplate:
    """Raises TemplateFault."""
    return BodyTemplate(source, VARIABLES)


def values(notification: Notification, message: int, members: int, each: int) -> dict[str, Any]:
    """What a template may name: the keys of the usual body, each always there, and a title. Texts of these lengths."""
    shorter = replace(
        notification,
        message=shortened(notification.message, message),
        actor=notification.actor or "",
        note=shortened(notification.note or "", message),
        group=notification.group[:members],
    )
    return {
        "actor": "", "note": "", "group_count": 0, "repository": None, "still_open": 0, "act_link": "",
        **said(shorter),
        "group": [_member(member, notification, each) for member in shorter.group],
        "title": title(notification),
    }  # fmt: skip


def _member(member: GroupMember, notification: Notification, most: int) -> dict[str, Any]:
    """Its host is that of the group, unless the group is of several."""
    found = asdict(replace(member, message=shortened(lines(member.message), most)))
    if notification.group_count:
        return found | {"host_id": member.host_id or None}
    return found | {"host_id": notification.host_id, "host_name": notification.host_name}


def fault(source: str, config: Mapping[str, Any]) -> str | None:
    """What is wrong with a template, as a sentence: it is tried with each event, and with words that need escaping."""
    for what, sample in _SAMPLES.items():
        try:
            made = own_body(source, sample)
        except TemplateFault as error:
            return str(error)
        if not made.strip():
            return f"Of {what}, this makes nothing."
        if "json" not in config.get("content_type", "json"):
            continue
        try:
            json.loads(made)
        except ValueError as error:
            return f"Of {what}, this makes no JSON ({error}): write each text with the filter tojson."
    return None


_NASTY: Final = 'Backup of "home" failed:\n\tno space left on D:\\backup'
_SAMPLE: Final = Notification(
    "01K9XZ3V8T5WQ1R7M2N4P6S8DD", "alert.raised", "01K9XZ3V8T5WQ1R7M2N4P6S8AA", "warning", "backup_failed", "plan:home",
    "01K9XZ3V8T5WQ1R7M2N4P6S8HH", 'the "nas"', _NASTY, 0, 0, "https://rm.example.org/alerts/01K9XZ3V8T5WQ1R7M2N4P6S8AA",
)  # fmt: skip
_SAMPLES: Final = {
    "an alert": _SAMPLE,
    "an acknowledgement": replace(_SAMPLE, event="alert.acknowledged", actor="dana", note='on "it"\n'),
    "a resolution": replace(_SAMPLE, event="alert.resolved", actor="rule"),
    "a reminder": replace(_SAMPLE, event="alert.reminder", severity="critical"),
    "a test": replace(_SAMPLE, event="alert.test", severity="info", kind="test", subject="", host_id=""),
    "a group": replace(
        _SAMPLE, kind="multiple", subject="",
        group=(GroupMember("01K9XZ3V8T5WQ1R7M2N4P6S8AA", "warning", "backup_failed", "plan:home", _NASTY),) * 2,
    ),
    "a digest": replace(_SAMPLE, event="alert.digest", severity="info", kind="digest", subject="", host_id=""),
    "an alert about a channel": replace(_SAMPLE, kind="channel_failing", subject="channel:x", host_id=""),
}  # fmt: skip
