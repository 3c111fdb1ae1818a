"""A notification as a message of a Telegram bot, in HTML mode. Pure.

https://core.telegram.org/bots/api#sendmessage and https://core.telegram.org/bots/api#html-style.

The links are no buttons: Telegram refuses a message with a button whose URL's host has no dot.
"""

from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import urlsplit

from rmactors.common.vocabulary import Priority
from rmactors.server.channels import chat
from rmactors.server.channels.telling import facts, shortened, utf16
from rmactors.server.messages.notifications import Notification

DEFAULT_SERVER: Final = "https://api.telegram.org"
MAX_TEXT: Final = 4096
"""UTF-16 code units, of what is left when the markup is read."""
_LONGEST_HEAD: Final = 200
_LONGEST_FACT: Final = 200
_WORD_JOINER: Final = "\N{WORD JOINER}"


def payload(
    notification: Notification, config: Mapping[str, Any], default_priority: Priority | None = None
) -> dict[str, Any]:
    """The body of the request. A low priority comes without a sound, but not if it is critical."""
    quiet = default_priority in ("min", "low") and notification.severity != "critical"
    chat_id = config["chat_id"]
    found: dict[str, Any] = {
        "chat_id": chat_id if chat_id.startswith("@") else int(chat_id),
        "text": html(notification),
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
        "disable_notification": quiet,
    }
    if thread := config.get("message_thread_id"):
        found["message_thread_id"] = thread
    return found


def method_url(config: Mapping[str, Any]) -> str:
    """Where messages are posted. The token is a part of it."""
    return f"{(config.get('api_url') or DEFAULT_SERVER).rstrip('/')}/bot{config['bot_token']}/sendMessage"


def html(notification: Notification) -> str:
    """Headline, text, facts and links. A name behind an @ mentions somebody wherever it is not set as code."""
    head = chat.headline(notification, _LONGEST_HEAD).replace("@", f"@{_WORD_JOINER}")
    stated = [(name, shortened(value, _LONGEST_FACT, utf16)) for name, value in facts(notification)]
    links = [_link(words, url) for words, url in chat.links(notification)]
    others = "\n".join([head, "", *(f"{name}: {value}" for name, value in stated), "", *(shown for shown, _ in links)])
    text = chat.text(notification, MAX_TEXT - utf16(others), utf16)
    lines = [f"<b>{_escaped(head)}</b>", f"<pre>{_escaped(text)}</pre>"]
    lines += [f"{name}: <code>{_escaped(value)}</code>" for name, value in stated]
    return "\n".join([*lines, "", *(markup for _, markup in links)])


def _link(words: str, url: str) -> tuple[str, str]:
    """As it is shown and as it is sent. One whose host has no dot is none to Telegram, which would leave the words."""
    if "." in (urlsplit(url).hostname or ""):
        return words, f'<a href="{escape(url)}">{words}</a>'
    return f"{words}: {url}", f"{words}: {_escaped(url)}"


def _escaped(text: str) -> str:
    return escape(text, quote=False)
