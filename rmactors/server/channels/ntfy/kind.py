"""ntfy: one POST to a topic of a server."""

import re
from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.ntfy import answers, payload
from rmactors.server.channels.request import preview_of
from rmactors.server.messages.notifications import Notification

_NO_TOPIC: Final = "A topic is needed."


def _server_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if "?" in value or "#" in value:
        return "Only the server's address belongs here, without ? or #."
    return checks.url(value, config, policy)


def _topic(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if not value.strip():
        return _NO_TOPIC
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        return "A topic has at most 64 letters, digits, hyphens and underscores."
    return None


_FIELDS: Final = (
    Field(
        "server_url", "Server",
        placeholder=payload.DEFAULT_SERVER, default=payload.DEFAULT_SERVER, check=_server_url, audit="host",
    ),
    Field(
        "topic", "Topic", "Anyone who knows it can read along: choose one that is hard to guess.",
        missing=_NO_TOPIC, check=_topic, steers=False,  # of the same server, which knows the token already
    ),
    Field("access_token", "Access token", input="password", check=checks.header_value),
)  # fmt: skip


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One topic of one server."""
    config, url = spec.config, parse_url(payload.topic_url(spec.config))
    return HttpChannel(
        spec, surroundings, _FIELDS, url,
        lambda notification: payload.render(notification, url, config, spec.default_priority),
        answers.judge, deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    url = parse_url(payload.topic_url(spec.config))
    return preview_of(payload.render(notification, url, spec.config, spec.default_priority))


KIND: Final = Kind(
    "ntfy", "ntfy", "Push to your phone",
    fields=_FIELDS, make=make, preview=_preview, takes_priority=True,
    destination=lambda config: f"{config.get('server_url', '')}/{config.get('topic', '')}",
)  # fmt: skip
