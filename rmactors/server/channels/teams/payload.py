"""A notification as an adaptive card, for a workflow that posts it in Teams. Pure.

https://learn.microsoft.com/en-us/power-automate/teams/send-a-message-in-teams,
https://adaptivecards.io/explorer/AdaptiveCard.html and, for the size and the text,
https://learn.microsoft.com/en-us/connectors/teams/#known-issues-and-limitations-with-actions and
https://learn.microsoft.com/en-us/microsoftteams/platform/task-modules-and-cards/cards/cards-format.
"""

import re
from typing import Any, Final

from rmactors.server.channels import chat
from rmactors.server.channels.telling import facts, shortened, utf8, utf16
from rmactors.server.messages.notifications import Notification

MAX_WHOLE: Final = 28_000
"""Bytes of a message, roughly, as Microsoft says; whether of UTF-8 or UTF-16, nobody says. A larger one is accepted,
and the workflow fails later, where nobody sees it. So the parts below keep it well under that."""
CONTENT_TYPE: Final = "application/json; charset=utf-8"
_LONGEST_TITLE: Final = 800
_LONGEST_TEXT: Final = 10_000
_LONGEST_FACT: Final = 800

_MARKS: Final = "\\`*_{}[]<>()#~|!&"
_BEHIND_BACKSLASH: Final = str.maketrans({mark: f"\\{mark}" for mark in _MARKS})
_FIRST: Final = re.compile(r"^([-+]|[0-9]{1,9}(?=\.))")
"""At the beginning of a line: what makes a list or a rule of it. A bracket behind a number has its backslash."""
_STYLES: Final = {"critical": "attention", "warning": "warning", "info": "accent"}
_STYLES_OF_ENDS: Final = {"alert.acknowledged": "emphasis", "alert.resolved": "good"}


def payload(notification: Notification) -> dict[str, Any]:
    """The body of the request."""
    title = escaped(chat.headline(notification, _LONGEST_TITLE, _escaped_size))
    text = escaped(chat.text(notification, _LONGEST_TEXT, _escaped_size))
    style = _STYLES_OF_ENDS.get(notification.event, _STYLES[notification.severity])
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": [
            {
                "type": "Container",
                "style": style,
                "bleed": True,
                "items": [{"type": "TextBlock", "text": title, "weight": "Bolder", "size": "Medium", "wrap": True}],
            },
            {"type": "TextBlock", "text": text, "wrap": True},
            {"type": "FactSet", "facts": [_fact(name, value) for name, value in facts(notification)]},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": words, "url": url} for words, url in chat.links(notification)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def escaped(text: str) -> str:
    """Text that formats nothing. Each of its lines is a paragraph, for a single line feed is none in a card."""
    lines = (line.strip().translate(_BEHIND_BACKSLASH) for line in text.split("\n"))
    return "\n\n".join(_FIRST.sub(_disarmed, line) for line in lines if line)


def _disarmed(found: re.Match[str]) -> str:
    """A sign gets its backslash before it, a number behind it: before the dot."""
    return f"{found[1]}\\" if found[1].isdecimal() else f"\\{found[1]}"


def _escaped_size(text: str) -> int:
    """At most so many bytes is the escaped text in JSON, in whichever encoding is longer; without making it."""
    marks = sum(map(text.count, _MARKS)) + text.count("\n") + 1  # with the first sign of each line
    return max(utf8(text), 2 * utf16(text)) + 4 * marks + 2 * sum(map(text.count, '"\\')) + 6 * text.count("\n")


def _fact(name: str, value: str) -> dict[str, str]:
    return {"title": name, "value": escaped(shortened(value, _LONGEST_FACT, _escaped_size))}
