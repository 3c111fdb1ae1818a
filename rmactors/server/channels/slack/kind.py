"""Slack: one POST to an incoming webhook, which belongs to one channel there."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import json_request
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


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(config["webhook_url"])


def _request(_: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification))


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("webhook_url"))


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "slack", "Slack", "A channel of your workspace",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, destination=_destination,
)  # fmt: skip
