"""A notification as a message of Pushover. Pure.

Parameters and limits are those of https://pushover.net/api: a form, in UTF-8, counted in characters. Without `html`
the text is taken as it is.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

import httpx

from rmactors.common import clock
from rmactors.common.vocabulary import Priority
from rmactors.server.channels import chat, plain
from rmactors.server.channels.config import MASK
from rmactors.server.channels.request import USER_AGENT, make_request, one_line
from rmactors.server.channels.telling import title
from rmactors.server.messages.notifications import Notification

DEFAULT_API: Final = "https://api.pushover.net"
MAX_TITLE: Final = 250
MAX_MESSAGE: Final = 1024
MAX_URL: Final = 512
MAX_URL_TITLE: Final = 100

_NUMBERS: Final[dict[Priority, int]] = {"min": -2, "low": -1, "default": 0, "high": 1, "urgent": 1}
"""2, an emergency, is never asked for: it sounds until it is acknowledged in Pushover, whatever happens here."""


def messages_url(config: Mapping[str, Any]) -> str:
    """Where messages are posted."""
    return f"{(config.get('api_url') or DEFAULT_API).rstrip('/')}/1/messages.json"


def form(
    notification: Notification, config: Mapping[str, Any], default_priority: Priority | None
) -> list[tuple[str, str]]:
    """The parameters of one message."""
    links = chat.links(notification)
    acting = [f"{words}: {one_line(url)}" for words, url in links[1:]]
    found = [
        ("token", config["app_token"].strip()),
        ("user", config["user_key"].strip()),
        ("title", title(notification, MAX_TITLE)),
        ("message", plain.text(notification, MAX_MESSAGE, len, *acting)),
        ("priority", str(_NUMBERS[plain.priority(notification, default_priority)])),
        ("timestamp", str(notification.occurred_at // clock.SECOND)),
    ]
    for words, link in links[:1]:
        if len(link) <= MAX_URL:
            found += [("url", one_line(link)), ("url_title", words)]
    if device := config.get("device"):
        found.append(("device", device.replace(" ", "")))
    if sound := config.get("sound"):
        found.append(("sound", sound))
    return found


def render(
    notification: Notification, url: httpx.URL, config: Mapping[str, Any], default_priority: Priority | None
) -> httpx.Request:
    """The request as it goes out."""
    headers = [("User-Agent", USER_AGENT), ("Content-Type", "application/x-www-form-urlencoded")]
    content = urlencode(form(notification, config, default_priority), errors="replace")
    return make_request(url, headers, content.replace(quote(MASK), MASK).encode())
