"""Slack: one POST to an incoming webhook, which belongs to one channel there."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.request import json_request, preview_of
from rmactors.server.channels.slack import answers
from rmactors.server.channels.slack.payload import payload
from rmactors.server.messages.notifications import Notification

_FIELDS: Final = (
    Field(
        "webhook_url", "Webhook URL", "Of an app in your workspace, under Incoming Webhooks. All of it is secret.",
        input="password", placeholder="https://hooks.slack.com/services/…", missing="The webhook's URL is needed.",
        check=checks.url, audit="host",
    ),
)  # fmt: skip


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One incoming webhook."""
    url = parse_url(spec.config["webhook_url"])
    return HttpChannel(
        spec, surroundings, _FIELDS, url, lambda notification: _request(url, notification), answers.judge,
        deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    return preview_of(_request(parse_url(spec.config["webhook_url"]), notification))


def _request(url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification))


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("webhook_url"))


KIND: Final = Kind(
    "slack", "Slack", "A channel of your workspace",
    fields=_FIELDS, make=make, preview=_preview, destination=_destination,
)  # fmt: skip
