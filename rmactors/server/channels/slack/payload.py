"""A notification as a message of Slack's incoming webhooks: a header, and blocks beside a coloured bar. Pure.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and, for the limits,
https://docs.slack.dev/reference/block-kit/blocks/section-block and .../header-block.

Links are links in a text, no buttons: Slack reports each press of one to the webhook's app, and nobody is there.
"""

from typing import Any, Final

from rmactors.server.channels import chat
from rmactors.server.channels.telling import facts, shortened, utf16
from rmactors.server.messages.notifications import Notification

MAX_HEADER: Final = 150
MAX_SECTION: Final = 3000
_LONGEST_FACT: Final = 500
"""Of the 2,000 that one element may have."""


def payload(notification: Notification) -> dict[str, Any]:
    """The body of the request. `text` is what a phone's lock screen shows; the blocks stand in its place elsewhere."""
    header = chat.headline(notification, MAX_HEADER)
    links = " · ".join(f"<{_url(url)}|{words}>" for words, url in chat.links(notification))
    blocks = [
        _section(escaped(chat.text(notification, MAX_SECTION, _escaped_size))),
        {"type": "context", "elements": [_mrkdwn(_fact(name, value)) for name, value in facts(notification)]},
        _section(links),
    ]
    return {
        "text": escaped(header),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [{"type": "header", "text": {"type": "plain_text", "text": header}}],
        "attachments": [{"color": f"#{chat.colour(notification):06x}", "blocks": blocks}],
    }


def escaped(text: str) -> str:
    """Text that is neither a link nor mentions anybody.

    https://docs.slack.dev/messaging/formatting-message-text#escaping
    """
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _escaped_size(text: str) -> int:
    """Of the escaped text, without making it."""
    return utf16(text) + 4 * text.count("&") + 3 * (text.count("<") + text.count(">"))


def _fact(name: str, value: str) -> str:
    return f"*{name}:* {escaped(shortened(value, _LONGEST_FACT, _escaped_size))}"


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _mrkdwn(text)}


def _mrkdwn(text: str) -> dict[str, Any]:
    """`verbatim`: nothing in it that looks like an address or a name becomes a link."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}


def _url(url: str) -> str:
    return escaped(url.replace("|", "%7C"))
