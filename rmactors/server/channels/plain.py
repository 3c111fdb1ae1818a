"""A notification as plain text, for kinds that push a title and a text to a phone or a room. Pure."""

from collections.abc import Callable
from typing import Final

from rmactors.common.text import lines
from rmactors.common.vocabulary import Priority
from rmactors.server.channels import chat
from rmactors.server.channels.request import one_line
from rmactors.server.channels.telling import ENDINGS, shortened, title
from rmactors.server.messages.notifications import GroupMember, Notification

MAX_MEMBERS: Final = 10
MAX_NOTE: Final = 300
_MAX_MEMBER: Final = 200

_BY_SEVERITY: Final[dict[str, Priority]] = {"critical": "urgent", "warning": "high", "info": "default"}
_LOUD: Final[frozenset[Priority]] = frozenset({"high", "urgent"})


def priority(notification: Notification, default_priority: Priority | None) -> Priority:
    """How much of a stir a message makes: critical is always urgent, an end never more than ordinary."""
    found = _BY_SEVERITY[notification.severity]
    if default_priority is not None and notification.severity != "critical":
        found = default_priority
    return "default" if notification.event in ENDINGS and found in _LOUD else found


def message(notification: Notification) -> str:
    """The message, its lines kept; of a group the first members and how many more there are. Never empty.

    Of a group over hosts the message names the first alone, and counts all.
    """
    if notification.group and not notification.group_count:
        return listed(notification.group)
    return lines(notification.message).strip() or title(notification)


def listed(group: tuple[GroupMember, ...]) -> str:
    """Each member on a line, the first ten of them."""
    shown = [
        shortened(one_line(f"- [{member.severity}] {member.kind}: {member.message}"), _MAX_MEMBER)
        for member in group[:MAX_MEMBERS]
    ]
    if more := len(group) - len(shown):
        shown.append(f"and {more} more")
    return "\n".join([f"{len(group)} alerts:", *shown])


def who(notification: Notification) -> list[str]:
    """Lines that say who acknowledged or resolved, and why."""
    if notification.event not in ENDINGS:
        return []
    found = [("By", one_line(notification.actor or "")), ("Note", one_line(notification.note or ""))]
    return [shortened(f"{name}: {value}", MAX_NOTE) for name, value in found if value]


def links(notification: Notification) -> list[str]:
    """Lines that lead to the alert, and to where it can be acknowledged."""
    return [f"{words}: {one_line(url)}" for words, url in chat.links(notification)]


def text(notification: Notification, most: int, size: Callable[[str], int] = len, *more: str) -> str:
    """The message, then who ended it, then lines such as links, of at most that size together.

    What does not fit is taken from the message. A line of `more` that would take half of the room is left out, for a
    link that was cut leads nowhere.
    """
    behind = [*who(notification), *(line for line in more if line and size(line) <= most // 2)]
    end = "".join(f"\n{line}" for line in behind)
    while behind and size(end) > most * 3 // 4:
        behind.pop()
        end = "".join(f"\n{line}" for line in behind)
    return shortened(message(notification), most - size(end), size) + end
