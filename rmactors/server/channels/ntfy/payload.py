"""A notification as ntfy's request: the message as body, the rest in headers. Pure."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from rmactors.common.text import lines
from rmactors.common.vocabulary import Event, Priority, Severity
from rmactors.server.channels.request import USER_AGENT, make_request, one_line
from rmactors.server.channels.telling import ENDINGS, OPENS, digest_title, shortened, utf8
from rmactors.server.messages.notifications import Notification

DEFAULT_SERVER: Final = "https://ntfy.sh"
MAX_BODY_BYTES: Final = 4095
"""Of what is longer, ntfy makes a file, with its usual limit of 4,096: a message of exactly that is over it."""
SHORTER_LIMITS: Final = (1023, 255)
"""What is tried where a server's own limit is lower: a round number, or lower than anybody sets."""
MAX_TITLE_CHARACTERS: Final = 200

_NUMBERS: Final[dict[Priority, int]] = {"min": 1, "low": 2, "default": 3, "high": 4, "urgent": 5}


_EMOJIS: Final[dict[Severity, str]] = {"info": "information_source", "warning": "", "critical": "rotating_light"}
"""Short codes that ntfy shows as an emoji before the title. `warning` is one itself."""
_EMOJIS_OF_ENDS: Final[dict[Event, str]] = {"alert.acknowledged": "eyes", "alert.resolved": "white_check_mark"}
_QUIET: Final = frozenset({"alert.acknowledged", "alert.resolved"})


def render(
    notification: Notification,
    url: httpx.URL,
    config: Mapping[str, Any],
    default_priority: Priority | None,
    body: bytes,
) -> httpx.Request:
    """The request as it goes out."""
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", "text/plain"),
        ("Title", encoded(title(notification))),
        ("Tags", encoded(one_line(",".join(tags(notification))))),
        ("Click", encoded(one_line(notification.link))),
        ("Priority", str(priority(notification, default_priority))),
        ("Sequence-ID", sequence_id(notification)),
        ("Actions", encoded(actions(notification))),
    ]
    if token := config.get("access_token"):
        headers.append(("Authorization", f"Bearer {token.strip()}"))
    return make_request(url, headers, body)


def body(notification: Notification, longest: int = MAX_BODY_BYTES) -> bytes:
    """The text, of at most that many bytes of UTF-8."""
    return shortened(lines(notification.message), longest, utf8).encode(errors="replace")


def next_limit(refused: int) -> int | None:
    """What to try after a text of that many bytes was too long; None if it was short already."""
    return next((limit for limit in SHORTER_LIMITS if limit < refused), None)


def topic_url(config: Mapping[str, Any]) -> str:
    """Where messages to the topic are posted."""
    server = (config.get("server_url") or DEFAULT_SERVER).rstrip("/")
    return f"{server}/{quote(config['topic'], safe='')}"


def title(notification: Notification) -> str:
    """`[warning] nas1 backup_failed`, and at its end what became of it."""
    if notification.event == "alert.digest":
        return shortened(digest_title(notification), MAX_TITLE_CHARACTERS)
    ending = ENDINGS.get(notification.event, "")
    text = one_line(f"[{notification.severity}] {notification.host_name} {notification.kind}")
    most = MAX_TITLE_CHARACTERS - len(ending)
    return shortened(text, most) + ending


def priority(notification: Notification, default_priority: Priority | None) -> int:
    """1 to 5. An end is never more urgent than 3."""
    chosen = _NUMBERS[default_priority] if default_priority is not None else None
    match notification.severity:
        case "critical":
            number = 5
        case "warning":
            number = chosen or 4
        case "info":
            number = chosen or 3
    return min(number, 3) if notification.event in ENDINGS else number


def sequence_id(notification: Notification) -> str:
    """Messages with one id are one notification, which the last of them changes (ntfy 2.16 and later).

    An acknowledgement and a resolution change that of the raise, without a sound while it is still shown. What must be
    heard has an id of its own, for phones stay silent about a change: a raise that got worse and a reminder. So has a
    group, which stands for several alerts. A delivery that is tried again never shows twice.
    """
    quiet = notification.event in _QUIET
    first = notification.event == "alert.raised" and not notification.again
    return notification.alert_id if (quiet or first) and not notification.group else notification.delivery_id


def tags(notification: Notification) -> list[str]:
    """Severity and kind, and what is shown as an emoji."""
    emoji = _EMOJIS_OF_ENDS.get(notification.event) or _EMOJIS[notification.severity]
    return [notification.severity, notification.kind, *([emoji] if emoji else [])]


def actions(notification: Notification) -> str:
    """The buttons, as JSON in ASCII: ntfy's short form has quotes and commas of its own to escape."""
    first = f"View {OPENS.get(notification.event, 'the alert')}"
    buttons = [{"action": "view", "label": first, "url": notification.link}]
    if notification.act_link:
        buttons.append({"action": "view", "label": "Acknowledge or silence", "url": notification.act_link})
    return json.dumps(buttons, separators=(",", ":"))


def encoded(value: str) -> str:
    """The header value itself if it is ASCII, else RFC 2047 encoded words of at most 75 characters."""
    if value.isascii() and "=?" not in value:
        return value
    words, piece = [], b""
    for character in value:
        raw = character.encode(errors="replace")
        if len(piece) + len(raw) > 45:
            words.append(piece)
            piece = b""
        piece += raw
    words.append(piece)
    return " ".join(f"=?UTF-8?B?{base64.b64encode(word).decode()}?=" for word in words)
