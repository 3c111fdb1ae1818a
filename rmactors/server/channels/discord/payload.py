"""A notification as a message of Discord's webhooks: one embed. Pure.

https://discord.com/developers/docs/resources/webhook#execute-webhook and, for the limits,
https://discord.com/developers/docs/resources/message#embed-object-embed-limits.

The links stand in the description. As the embed's `url`, one whose host has no dot has the whole message refused.
"""

from typing import Any, Final

import httpx

from rmactors.common import clock
from rmactors.server.channels import chat
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.telling import facts, shortened, utf16
from rmactors.server.messages.notifications import Notification

MAX_TITLE: Final = 256
_LONGEST_TEXT: Final = 3000
"""A description may have 4,096, but title, description and fields together 6,000."""
_LONGEST_FACT: Final = 250

_MARKS: Final = "\\*_~`|<>[]()#@"
_TOGETHER: Final = ("://", "- ", "-#")
"""What Discord's markdown, mentions and links are made of, of the second only where the two or three stand together.
Behind a backslash, each is shown as it is."""
_BEHIND_BACKSLASH: Final = str.maketrans({mark: f"\\{mark}" for mark in _MARKS})


def payload(notification: Notification, username: str = "") -> dict[str, Any]:
    """The body of the request. An embed notifies nobody it names; `allowed_mentions` says so once more."""
    links = " · ".join(f"[{words}]({_url(url)})" for words, url in chat.links(notification))
    text = escaped(chat.text(notification, _LONGEST_TEXT, _escaped_size))
    embed = {
        "title": escaped(chat.headline(notification, MAX_TITLE, _escaped_size)),
        "description": f"{text}\n\n{links}",
        "color": chat.colour(notification),
        "fields": [_field(name, value) for name, value in facts(notification)],
        "timestamp": clock.to_rfc3339(notification.occurred_at),
    }
    found: dict[str, Any] = {"username": username} if username else {}
    return {**found, "allowed_mentions": {"parse": []}, "embeds": [embed]}


def webhook_url(config_url: str) -> httpx.URL:
    """Where to post: with `wait`, for without it Discord calls a message taken that it then throws away."""
    url = parse_url(config_url)
    if "wait" in url.params:
        return url
    return parse_url(f"{url}{'&' if url.query else '?'}wait=true")


def escaped(text: str) -> str:
    """Text that formats nothing, names nobody and is no link."""
    for mark in _TOGETHER:
        text = text.replace(mark, f"\0{mark}")
    return text.translate(_BEHIND_BACKSLASH).replace("\0", "\\")


def _escaped_size(text: str) -> int:
    """Of the escaped text, without making it."""
    return utf16(text) + sum(map(text.count, _MARKS)) + sum(map(text.count, _TOGETHER))


def _field(name: str, value: str) -> dict[str, Any]:
    return {"name": name, "value": escaped(shortened(value, _LONGEST_FACT, _escaped_size)), "inline": name != "Note"}


def _url(url: str) -> str:
    return url.replace("(", "%28").replace(")", "%29")
