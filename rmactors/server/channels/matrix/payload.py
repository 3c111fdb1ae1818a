"""A notification as an event of a Matrix room. Pure.

https://spec.matrix.org/latest/client-server-api/#put_matrixclientv3roomsroomidsendeventtypetxnid and, for its content,
.../#mroommessage-msgtypes and .../#mmentions. A message that needs somebody is `m.text`: an `m.notice` wakes nobody.
What only calms down is a notice. An event of more than 64 KiB is refused, counted as it is encoded, with what the
server adds.
"""

import hashlib
from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import quote

import httpx
import msgspec

from rmactors.server.channels import chat, plain
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import USER_AGENT, make_request, one_line
from rmactors.server.channels.telling import ENDINGS, shortened, title
from rmactors.server.messages.notifications import Notification

MAX_MESSAGE_BYTES: Final = 32_000
"""Of the alert's text, as plain text and as HTML together. The rest is title, names and links, which are short."""
MAX_LINK: Final = 1000


def room_url(config: Mapping[str, Any]) -> str:
    """Where messages of the room are put; a transaction's id follows."""
    server, room = config["homeserver_url"].rstrip("/"), quote(config["room_id"], safe="")
    return f"{server}/_matrix/client/v3/rooms/{room}/send/m.room.message"


def content(notification: Notification) -> dict[str, Any]:
    """The event's content. Numbers that are no whole ones may not stand in there, and a mention must be switched off:
    the bot's or a user's name in a host's words would highlight the message."""
    head = title(notification)
    message = shortened(plain.message(notification), MAX_MESSAGE_BYTES, _size)
    who = plain.who(notification)
    links = [(words, one_line(url)) for words, url in chat.links(notification) if len(url) <= MAX_LINK]
    written = "\n".join([head, message, *who, *(f"{words}: {url}" for words, url in links)])
    anchors = " · ".join(f'<a href="{escape(url)}">{escape(words)}</a>' for words, url in links)
    parts = [f"<strong>{_html(head)}</strong>", _html(message), *map(_html, who), *([anchors] if anchors else [])]
    return {
        "msgtype": "m.notice" if notification.event in ENDINGS else "m.text",
        "body": written,
        "format": "org.matrix.custom.html",
        "formatted_body": "<br>".join(parts),
        "m.mentions": {},
    }


def render(notification: Notification, url: httpx.URL, config: Mapping[str, Any]) -> httpx.Request:
    """The request as it goes out. Its transaction is the same on every retry, and another for other words: what was
    taken once under an id is not looked at again, whatever stands in it."""
    encoded = msgspec.json.encode(content(notification))
    transaction = f"{notification.delivery_id}-{hashlib.sha256(encoded).hexdigest()[:16]}"
    headers = [
        ("User-Agent", USER_AGENT),
        ("Content-Type", "application/json"),
        ("Authorization", f"Bearer {config['access_token'].strip()}"),
    ]
    return make_request(parse_url(f"{url}/{quote(transaction, safe='')}"), headers, encoded, "PUT")


def _html(text: str) -> str:
    return escape(text).replace("\n", "<br>")


def _size(text: str) -> int:
    """Bytes of the text and of its HTML, as they are encoded."""
    return len(msgspec.json.encode(text)) + len(msgspec.json.encode(_html(text)))
