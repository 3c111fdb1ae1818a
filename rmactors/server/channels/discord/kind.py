"""Discord: one POST to a webhook, which belongs to one channel there."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.discord import answers
from rmactors.server.channels.discord.payload import payload, webhook_url
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import json_request
from rmactors.server.channels.telling import utf16
from rmactors.server.messages.notifications import Notification

_MAX_NAME: Final = 80
_NOT_IN_A_NAME: Final = ("@", "#", ":", "```", "discord", "clyde")
_NO_NAME: Final = ("everyone", "here")


def _webhook_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if (wrong := checks.url(value, config, policy)) is not None:
        return wrong
    if parse_url(value).path.rstrip("/").endswith(("/slack", "/github")):
        return "Leave out what follows the token: /slack and /github are for other programs' messages."
    return None


def _username(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    """https://discord.com/developers/docs/resources/user#usernames-and-nicknames and .../webhook#create-webhook"""
    name = value.strip().lower()
    if not name or utf16(name) > _MAX_NAME:
        return f"A name has 1 to {_MAX_NAME} characters."
    if name in _NO_NAME or any(part in name for part in _NOT_IN_A_NAME):
        return "Discord does not take this name: “everyone”, “here”, and all with @, #, :, Discord or Clyde in it."
    return None


_FIELDS: Final = (
    Field(
        "webhook_url", "Webhook URL", "From the channel's settings, under Integrations. All of it is secret.",
        input="password", placeholder="https://discord.com/api/webhooks/…", missing="The webhook's URL is needed.",
        check=_webhook_url, audit="host",
    ),
    Field(
        "username", "Name of the sender", "Empty: the name that the webhook has.", placeholder="restic-manager",
        check=_username, steers=False, audit="value",
    ),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return webhook_url(config["webhook_url"])


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification, spec.config.get("username", "").strip()))


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("webhook_url"))


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "discord", "Discord", "A channel of your server",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, destination=_destination,
)  # fmt: skip
