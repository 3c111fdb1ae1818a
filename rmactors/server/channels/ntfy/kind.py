"""ntfy: one POST to a topic of a server."""

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Subscription, Surroundings
from rmactors.server.channels.config import secret_values
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import authority, parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.ntfy import payload
from rmactors.server.channels.ntfy.channel import NtfyChannel
from rmactors.server.channels.request import preview_of
from rmactors.server.messages.notifications import Notification

_NO_TOPIC: Final = "A topic is needed."
RESERVED_TOPICS: Final = frozenset(
    {"account", "app", "docs", "file", "login", "metrics", "settings", "signup", "static", "v1"}
)
"""Pages of every ntfy server (2.11 to 2.27). One may reserve more, and then says so when it is sent to."""


def _topic(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if not value.strip():
        return _NO_TOPIC
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", value):
        return "A topic has at most 64 letters, digits, hyphens and underscores."
    if value in RESERVED_TOPICS:
        return f"ntfy keeps the name {value} for itself: choose another topic."
    return None


def new_topic() -> str:
    """One that nobody guesses."""
    return f"backups-{secrets.token_urlsafe(12)}"


def subscription(config: Mapping[str, Any]) -> Subscription:
    """The app's own link; it has no place for a path in the server's address, so there it is the topic's page."""
    page = parse_url(payload.topic_url(config))
    link = f"ntfy://{authority(page)}{page.raw_path.decode()}"
    if page.raw_path.count(b"/") > 1:
        link = str(page)
    elif page.scheme == "http":
        link += "?secure=false"
    return Subscription(link, str(page))


_FIELDS: Final = (
    Field(
        "server_url", "Server",
        placeholder=payload.DEFAULT_SERVER, default=payload.DEFAULT_SERVER, check=checks.base_url, audit="host",
    ),
    Field(
        "topic", "Topic", "Anyone who knows it can read along: choose one that is hard to guess.",
        missing=_NO_TOPIC, check=_topic, proposed=new_topic,
        steers=False,  # of the same server, which knows the token already
    ),
    Field("access_token", "Access token", input="password", check=checks.header_value),
)  # fmt: skip


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> NtfyChannel:
    """One topic of one server."""
    return NtfyChannel(spec, surroundings, secret_values(_FIELDS, spec.config), deadline_seconds)


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    url = parse_url(payload.topic_url(spec.config))
    body = payload.body(notification)
    return preview_of(payload.render(notification, url, spec.config, spec.default_priority, body))


KIND: Final = Kind(
    "ntfy", "ntfy", "Push to your phone",
    fields=_FIELDS, make=make, preview=_preview, takes_priority=True, subscription=subscription,
    destination=lambda config: f"{config.get('server_url', '')}/{config.get('topic', '')}",
)  # fmt: skip
