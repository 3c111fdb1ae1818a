"""Gotify: one POST to the messages of a server."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.gotify import answers, payload
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.messages.notifications import Notification


def _server_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if value.rstrip("/").endswith("/message"):
        return "Only the server's address belongs here, without /message."
    return checks.base_url(value, config, policy)


_FIELDS: Final = (
    Field(
        "server_url", "Server", placeholder="https://gotify.example.org", missing="A server is needed.",
        check=_server_url, audit="host",
    ),
    Field(
        "app_token", "Application token", "Made in Gotify under Apps; the token of a client cannot send.",
        input="password", missing="A token is needed.", check=checks.header_value,
    ),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(payload.message_url(config))


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return payload.render(notification, url, spec.config, spec.default_priority)


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "gotify", "Gotify", "Push from your own server",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, takes_priority=True,
    destination=lambda config: str(config.get("server_url", "")),
)  # fmt: skip
