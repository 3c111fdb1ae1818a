"""What a notification says, for kinds of channels that have a title, a text and facts. Pure.

Words of hosts are in all of it: each kind escapes them as its receiver asks, after they were shortened.
"""

from collections.abc import Callable
from typing import Final

from rmactors.common import clock
from rmactors.common.vocabulary import Event
from rmactors.server.channels.request import one_line
from rmactors.server.messages.notifications import Notification

ELLIPSIS: Final = "…"
ENDINGS: Final[dict[Event, str]] = {"alert.acknowledged": " (acknowledged)", "alert.resolved": " (resolved)"}
"""What became of the alert, behind a title."""


OPENS: Final[dict[Event, str]] = {"alert.test": "the channel", "alert.digest": "the dashboard"}
"""What the link leads to, where that is not the alert."""


def title(notification: Notification, most: int = 200) -> str:
    """`[warning] nas1: backup_failed (resolved)`, at most so many characters; the end of it is never cut."""
    if notification.event == "alert.digest":
        return shortened(digest_title(notification), most)
    ending = ENDINGS.get(notification.event, "")
    text = one_line(f"[{notification.severity}] {notification.host_name}: {notification.kind}")
    return shortened(text, most - len(ending)) + ending


def digest_title(notification: Notification) -> str:
    """`Digest: 3 of 12 hosts need a look`: how its first sentence begins."""
    return f"Digest: {one_line(notification.message.partition(chr(10))[0].partition(':')[0])}"


def facts(notification: Notification) -> list[tuple[str, str]]:
    """(name, value), each on one line: what stands below the message. Without the link."""
    if notification.event == "alert.digest":  # it is about no alert
        return [("Made at", clock.to_rfc3339(notification.occurred_at))]
    found = [
        ("Raised at", clock.to_rfc3339(notification.raised_at)),
        ("Severity", notification.severity),
        (notification.about, one_line(notification.host_name)),
        ("Kind", notification.kind),
    ]
    if notification.event in ENDINGS:
        found += [("By", one_line(notification.actor or "")), ("Note", one_line(notification.note or ""))]
    return [(name, value) for name, value in found if value]


def utf8(text: str) -> int:
    """Bytes of UTF-8."""
    return len(text.encode(errors="replace"))


def utf16(text: str) -> int:
    """UTF-16 code units."""
    return len(text.encode("utf-16-le", errors="replace")) // 2


def shortened(text: str, most: int, size: Callable[[str], int] = len) -> str:
    """The text, of at most that size: cut between characters, with `…` for what is gone."""
    if size(text) <= most:
        return text
    room = most - size(ELLIPSIS)
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if size(text[:middle]) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low] + ELLIPSIS
