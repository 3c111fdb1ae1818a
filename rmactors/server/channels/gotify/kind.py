"""Gotify: one POST to the messages of a server."""

from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.gotify import answers, payload
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.request import preview_of
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


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One application of one server."""
    config, url = spec.config, parse_url(payload.message_url(spec.config))
    return HttpChannel(
        spec, surroundings, _FIELDS, url,
        lambda notification: payload.render(notification, url, config, spec.default_priority),
        answers.judge, deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    url = parse_url(payload.message_url(spec.config))
    return preview_of(payload.render(notification, url, spec.config, spec.default_priority))


KIND: Final = Kind(
    "gotify", "Gotify", "Push from your own server",
    fields=_FIELDS, make=make, preview=_preview, takes_priority=True,
    destination=lambda config: str(config.get("server_url", "")),
)  # fmt: skip
