"""Microsoft Teams: one POST to a workflow of Power Automate, which posts the card in a channel or chat."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.request import json_request, preview_of
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


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One workflow."""
    url = parse_url(spec.config["webhook_url"])
    return HttpChannel(
        spec, surroundings, _FIELDS, url, lambda notification: _request(url, notification), answers.judge,
        deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    return preview_of(_request(parse_url(spec.config["webhook_url"]), notification))


def _request(url: httpx.URL, notification: Notification) -> httpx.Request:
    return json_request(url, notification, payload(notification), CONTENT_TYPE)


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("webhook_url"))


KIND: Final = Kind(
    "teams", "Teams", "A channel or chat, by a workflow",
    fields=_FIELDS, make=make, preview=_preview, destination=_destination,
)  # fmt: skip
