"""What messages to chats have in common: a sign and a colour for what happened, the text, the links. Pure.

Nothing here is escaped. A limit is given with the size that the receiver counts, of the text as the kind escapes it.
"""

from collections.abc import Callable
from typing import Final

from rmactors.common.text import excerpt, lines
from rmactors.common.vocabulary import Event, Severity
from rmactors.server.channels.telling import OPENS, shortened, title, utf16
from rmactors.server.messages.notifications import Notification

Size = Callable[[str], int]

_SIGNS: Final[dict[Severity, str]] = {"critical": "🔴", "warning": "🟠", "info": "🔵"}
_SIGNS_OF_ENDS: Final[dict[Event, str]] = {"alert.acknowledged": "👀", "alert.resolved": "✅"}
_COLOURS: Final[dict[Severity, int]] = {"critical": 0xD32F2F, "warning": 0xF57C00, "info": 0x1976D2}
_COLOURS_OF_ENDS: Final[dict[Event, int]] = {"alert.acknowledged": 0x757575, "alert.resolved": 0x388E3C}

_LONGEST_TITLE: Final = 200
_MOST_MEMBERS: Final = 20
_LONGEST_LINES: Final = (200, 120, 60)
"""Characters of each line of a group: as many of these as let it fit."""


def colour(notification: Notification) -> int:
    """Red, green and blue, a byte each."""
    return _COLOURS_OF_ENDS.get(notification.event, _COLOURS[notification.severity])


def headline(notification: Notification, most: int, size: Size = utf16) -> str:
    """`🟠 [warning] nas1: backup_failed`, of at most that size (of at least 100). What became of it is never cut."""
    sign = _SIGNS_OF_ENDS.get(notification.event, _SIGNS[notification.severity])
    lead = f"{sign} Reminder:" if notification.event == "alert.reminder" else sign
    longest = _LONGEST_TITLE
    while size(found := f"{lead} {title(notification, longest)}") > most:
        longest -= 10
    return found


def text(notification: Notification, most: int, size: Size) -> str:
    """The message, never empty, of at most that size. Of a group its first line, the members, and how many more; one
    over hosts is such a list already."""
    message = lines(notification.message).strip() or "–"
    if not notification.group:
        return shortened(message, most, size)
    for longest in _LONGEST_LINES:
        listed = message.split("\n") if notification.group_count else _members(notification, message)
        if size(found := "\n".join(excerpt(line, longest) for line in listed)) <= most:
            break
    return shortened(found, most, size)


def links(notification: Notification) -> list[tuple[str, str]]:
    """(words, URL): the alert, or the channel's settings; then the page to acknowledge it, if there is one."""
    found = [
        (f"Open {OPENS.get(notification.event, 'the alert')}", notification.link),
        ("Acknowledge or silence", notification.act_link),
    ]
    return [(words, url) for words, url in found if url]


def _members(notification: Notification, message: str) -> list[str]:
    named = notification.group[:_MOST_MEMBERS]
    listed = [f"• [{each.severity}] {each.kind}: {each.message}" for each in named]
    more = len(notification.group) - len(named)
    first, _, _ = message.partition("\n")
    return [first, *listed, *([f"… and {more} more"] if more else [])]
