"""A notification as ntfy's request: the message as body, the rest in headers. Pure."""

import base64
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx

from rmactors.common.text import lines
from rmactors.common.vocabulary import Priority
from rmactors.server.channels.request import USER_AGENT, make_request, one_line
from rmactors.server.channels.telling import ELLIPSIS, ENDINGS
from rmactors.server.messages.notifications import Notification

DEFAULT_SERVER: Final = "https://ntfy.sh"
MAX_BODY_BYTES: Final = 4096
"""Above this, ntfy makes a file of the message."""
MAX_TITLE_CHARACTERS: Final = 200

_NUMBERS: Final[dict[Priority, int]] = {"min": 1, "low": 2, "default": 3, "high": 4, "urgent": 5}


def render(
    notification: Notification, url: httpx.URL, config: Mapping[str, Any], default_priority: Priority | None
) -> httpx.Request:
    """The request as it goes out."""
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", "text/plain"),
        ("Title", encoded(title(notification))),
        ("Tags", encoded(one_line(f"{notification.severity},{notification.kind}"))),
        ("Click", encoded(one_line(notification.link))),
        ("Priority", str(priority(notification, default_priority))),
    ]
    if token := config.get("access_token"):
        headers.append(("Authorization", f"Bearer {token.strip()}"))
    return make_request(url, headers, shortened(lines(notification.message), MAX_BODY_BYTES))


def topic_url(config: Mapping[str, Any]) -> str:
    """Where messages to the topic are posted."""
    server = (config.get("server_url") or DEFAULT_SERVER).rstrip("/")
    return f"{server}/{quote(config['topic'], safe='')}"


def title(notification: Notification) -> str:
    """`[warning] nas1 backup_failed`, and at its end what became of it."""
    ending = ENDINGS.get(notification.event, "")
    text = one_line(f"[{notification.severity}] {notification.host_name} {notification.kind}")
    most = MAX_TITLE_CHARACTERS - len(ending)
    return (text if len(text) <= most else text[: most - 1] + ELLIPSIS) + ending


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


def shortened(text: str, most: int) -> bytes:
    """The text as UTF-8, of at most that many bytes: cut between characters, with `…` for what is gone."""
    whole = text.encode(errors="replace")
    if len(whole) <= most:
        return whole
    room = most - len(ELLIPSIS.encode())
    return whole[:room].decode(errors="ignore").encode() + ELLIPSIS.encode()


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
