"""PagerDuty: each alert is an incident, which is acknowledged and resolved with it."""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Surroundings
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.pagerduty import answers, payload
from rmactors.server.channels.pagerduty.channel import PagerDutyChannel
from rmactors.server.messages.notifications import Notification


def _routing_key(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9]{32}", value.strip()):
        return None
    return "It has exactly 32 letters and digits: the Integration Key of an integration of the kind Events API V2."


_FIELDS: Final = (
    Field(
        "events_url", "Address", "For accounts in Europe: https://events.eu.pagerduty.com/v2/enqueue",
        placeholder=payload.DEFAULT_URL, default=payload.DEFAULT_URL, proposed=payload.DEFAULT_URL, check=checks.url,
        audit="host",
    ),
    Field(
        "routing_key", "Integration key", "Of a service in PagerDuty, under Integrations: Events API V2.",
        input="password", missing="An integration key is needed.", check=_routing_key,
    ),
)  # fmt: skip


def _url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(config.get("events_url") or payload.DEFAULT_URL)


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return payload.render(notification, url, spec.config)


_EVENTS: Final = OneRequest(_FIELDS, _url, _request, answers.judge)


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> PagerDutyChannel:
    """One integration of a service."""
    return PagerDutyChannel(_EVENTS.make(spec, surroundings, deadline_seconds))


KIND: Final = Kind(
    "pagerduty", "PagerDuty", "Calls who is on duty",
    fields=_FIELDS, make=make, preview=_EVENTS.preview, groups=False,
    destination=lambda config: str(config.get("events_url", "")),
)  # fmt: skip
