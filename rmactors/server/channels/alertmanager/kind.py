"""Alertmanager: each alert is posted to its API, at its raise, at each reminder and at its end."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.alertmanager import answers, payload
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.messages.notifications import Notification


def _url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if "/api/v" in value:
        return "Only the address belongs here, without /api/v2/alerts."
    return checks.base_url(value, config, policy)


def _username(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if config.get("bearer_token"):
        return "Use either a user name or a bearer token: both go into the same header."
    return "A user name must not contain a colon." if ":" in value else checks.header_value(value, config, policy)


def _password(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    return checks.header_value(value, config, policy) if config.get("username") else "A password needs a user name."


_FIELDS: Final = (
    Field(
        "url", "Address", "With its path, where it has one. Each alert is posted to /api/v2/alerts below it.",
        placeholder="http://alertmanager.example.org:9093", missing="An address is needed.", check=_url, audit="host",
    ),
    Field("username", "User name", "Where a proxy in front of it asks for one.", check=_username, audit="value"),
    Field("password", "Password", input="password", check=_password),
    Field("bearer_token", "Bearer token", input="password", check=checks.header_value),
)  # fmt: skip


def _api_url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(payload.alerts_url(config))


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return payload.render(notification, url, spec.config)


_REQUESTS: Final = OneRequest(_FIELDS, _api_url, _request, answers.judge)


KIND: Final = Kind(
    "alertmanager", "Alertmanager", "Of Prometheus",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview, groups=False, proposed_remind_hours=4.0,
    destination=lambda config: str(config.get("url", "")),
)  # fmt: skip
