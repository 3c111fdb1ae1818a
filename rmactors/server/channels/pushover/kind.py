"""Pushover: one POST for each message, to all devices of a user or group, or to one of them."""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.pushover import answers, payload
from rmactors.server.messages.notifications import Notification


def _key(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return None if re.fullmatch(r"[A-Za-z0-9]{30}", value.strip()) else "It has exactly 30 letters and digits."


def _device(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    names = value.split(",")
    if all(re.fullmatch(r"[A-Za-z0-9_-]{1,25}", name.strip()) for name in names):
        return None
    return "A device has at most 25 letters, digits, hyphens and underscores; several are separated by commas."


def _sound(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return None if re.fullmatch(r"[A-Za-z0-9_-]{1,50}", value) else "A sound's name has letters, digits, _ and -."


_FIELDS: Final = (
    Field(
        "api_url", "Server", "Pushover's own, unless something stands in between.",
        placeholder=payload.DEFAULT_API, default=payload.DEFAULT_API, check=checks.base_url, audit="host",
    ),
    Field(
        "app_token", "Application token", "Of an application that you make at pushover.net.", input="password",
        missing="A token is needed.", check=_key,
    ),
    Field(
        "user_key", "User key", "Yours, or that of a group.", input="password", missing="A user key is needed.",
        check=_key,
    ),
    Field("device", "Device", "Empty: all devices.", check=_device, steers=False, audit="value"),
    Field("sound", "Sound", "Empty: the user's own.", placeholder="siren", check=_sound, steers=False, audit="value"),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(payload.messages_url(config))


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return payload.render(notification, url, spec.config, spec.default_priority)


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "pushover", "Pushover", "Push to your phone",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, takes_priority=True,
    destination=lambda config: str(config.get("api_url", "")),
)  # fmt: skip
