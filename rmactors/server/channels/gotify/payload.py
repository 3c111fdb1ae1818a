"""A notification as a message of Gotify. Pure.

The fields are those of https://gotify.net/api-docs#/message/createMessage and https://gotify.net/docs/msgextras. The
text is declared as plain: as Markdown, an image that a host names would be fetched by every phone.
"""

from collections.abc import Mapping
from typing import Any, Final

import httpx
import msgspec

from rmactors.common.vocabulary import Priority
from rmactors.server.channels import plain
from rmactors.server.channels.request import USER_AGENT, make_request, one_line
from rmactors.server.channels.telling import title
from rmactors.server.messages.notifications import Notification

MAX_MESSAGE: Final = 10_000
"""Characters. Gotify has no limit, but nobody reads more on a phone."""

_NUMBERS: Final[dict[Priority, int]] = {"min": 1, "low": 3, "default": 5, "high": 8, "urgent": 10}
"""On Android up to 3 is silent, up to 7 has a sound, above that it vibrates: https://gotify.net/docs/priority."""


def message_url(config: Mapping[str, Any]) -> str:
    """Where messages are posted."""
    return f"{config['server_url'].rstrip('/')}/message"


def body(notification: Notification, default_priority: Priority | None) -> bytes:
    """The JSON of one message."""
    found = {
        "title": title(notification),
        "message": plain.text(notification, MAX_MESSAGE, len, *plain.links(notification)),
        "priority": _NUMBERS[plain.priority(notification, default_priority)],
        "extras": {
            "client::display": {"contentType": "text/plain"},
            "client::notification": {"click": {"url": one_line(notification.link)}},
        },
    }
    return msgspec.json.encode(found)


def render(
    notification: Notification, url: httpx.URL, config: Mapping[str, Any], default_priority: Priority | None
) -> httpx.Request:
    """The request as it goes out."""
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", "application/json"),
        ("X-Gotify-Key", config["app_token"].strip()),
    ]
    return make_request(url, headers, body(notification, default_priority))
