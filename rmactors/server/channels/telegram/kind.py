"""Telegram: one message of a bot to a chat, a group, a topic of one, or a channel."""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import json_request
from rmactors.server.channels.telegram import answers
from rmactors.server.channels.telegram.payload import DEFAULT_SERVER, method_url, payload
from rmactors.server.messages.notifications import Notification


def _chat_id(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if not re.fullmatch(r"-?[0-9]{1,18}|@[A-Za-z][A-Za-z0-9_]{2,31}", value):
        return "A chat id is a number such as -1001234567890; a public channel may be named, such as @my_backups."
    return None


def _bot_token(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if not re.fullmatch(r"[0-9]{3,20}:[A-Za-z0-9_-]{20,100}", value):
        return "A bot's token is a number, a colon and some 35 letters and digits, as BotFather shows it."
    return None


def _thread(value: object, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31
    return None if fine else "A topic's id is a whole number: the last one in a link to the topic."


_FIELDS: Final = (
    Field(
        "chat_id", "Chat id", "Add the bot to the chat first, or write to it.",
        placeholder="-1001234567890", missing="A chat id is needed.", check=_chat_id, steers=False, audit="value",
    ),
    Field(
        "bot_token", "Bot token", "From BotFather.",
        input="password", placeholder="123456789:AA…", missing="The bot's token is needed.", check=_bot_token,
    ),
    Field(
        "message_thread_id", "Topic", "Of a group with topics: the topic's id.",
        input="number", check=_thread, steers=False, audit="value",
    ),
    Field(
        "api_url", "Server", "Another one only if you run Telegram's Bot API server yourself.",
        placeholder=DEFAULT_SERVER, default=DEFAULT_SERVER, check=checks.base_url, audit="host",
    ),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(method_url(config))


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification, spec.config, spec.default_priority))


def _destination(config: Mapping[str, Any]) -> str:
    return str(config.get("chat_id", ""))


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "telegram", "Telegram", "A chat, group or channel, by a bot",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, destination=_destination, takes_priority=True,
)  # fmt: skip
