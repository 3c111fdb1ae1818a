"""Microsoft Teams: one POST to a workflow of Power Automate, which posts the card in a channel or chat."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.request import json_request
from rmactors.server.channels.teams import answers
from rmactors.server.channels.teams.payload import CONTENT_TYPE, payload
from rmactors.server.messages.notifications import Notification


def _webhook_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if (wrong := checks.url(value, config, policy)) is not None:
        return wrong
    if parse_url(value).host.endswith((".webhook.office.com", "outlook.office.com")):
        return "This is the URL of a connector, and Microsoft has ended these: make a workflow, and use its URL."
    return None


_FIELDS: Final = (
    Field(
        "webhook_url", "Workflow URL",
        "Of the workflow “Send webhook alerts to a channel”, which anyone may trigger. All of it is secret.",
        input="password", placeholder="https://….api.powerplatform.com/powerautomate/…",
        missing="The workflow's URL is needed.", check=_webhook_url, audit="host",
    ),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(config["webhook_url"])


def _request(_: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification), CONTENT_TYPE)


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("webhook_url"))


_REQUESTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


KIND: Final = Kind(
    "teams", "Teams", "A channel or chat, by a workflow",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, destination=_destination,
)  # fmt: skip
