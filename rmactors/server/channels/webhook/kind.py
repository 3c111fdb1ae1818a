"""A webhook: one POST with a JSON body, to any URL."""

import re
from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.answers import judge_http
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.request import preview_of
from rmactors.server.channels.webhook import payload
from rmactors.server.channels.webhook.own_body import fault
from rmactors.server.channels.webhook.presets import PRESETS
from rmactors.server.channels.webhook.template import MAX_SOURCE
from rmactors.server.messages.notifications import Notification

_WORD: Final = r"[A-Za-z0-9!#$&^_.+-]+"
_OURS: Final = frozenset({
    "host", "connection", "content-length", "content-type", "expect", "idempotency-key", "keep-alive", "te", "trailer",
    "transfer-encoding", "upgrade", "user-agent", "webhook-id", "webhook-signature", "webhook-timestamp",
})  # fmt: skip


def _header_name(value: str, config: Mapping[str, Any], _: OutboundPolicy) -> str | None:
    if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", value):
        return "A header's name has letters, digits and hyphens, no spaces or colons."
    if value.lower() in _OURS:
        return "restic-manager sets this header itself; choose another one."
    if value.lower() == "authorization" and config.get("bearer_token"):
        return "The bearer token goes into Authorization already; use one of the two."
    return None


def _signing_secret(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, payload.signing_key)


def _body_template(value: str, config: Mapping[str, Any], _: OutboundPolicy) -> str | None:
    return fault(value, config)


def _content_type(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    if re.fullmatch(rf"{_WORD}/{_WORD}( ?; ?{_WORD}=({_WORD}|\"[^\"\\]*\"))*", value):
        return None
    return "This must be a type such as application/json or text/plain; charset=utf-8."


_FIELDS: Final = (
    Field(
        "url", "URL", "Gets a POST with JSON for every event.",
        placeholder="https://hooks.example/backups", missing="A URL is needed.", check=checks.url, audit="host",
    ),
    Field("bearer_token", "Bearer token", input="password", check=checks.header_value),
    Field(
        "header_name", "Header", "A header of your own, where the receiver wants one.",
        placeholder="X-Api-Key", check=_header_name, audit="value",
    ),
    Field("header_value", "Value of that header", input="password", check=checks.header_value),
    Field(
        "signing_secret", "Signing secret", "Signs each request by Standard Webhooks.",
        input="password", placeholder="whsec_…", check=_signing_secret,
    ),
    Field(
        "body_template", "Body", "Empty: the usual JSON. Or a template with its keys, such as {{ message | tojson }}.",
        input="textarea", longest=MAX_SOURCE, check=_body_template, steers=False,
    ),
    Field(
        "content_type", "Content type", placeholder=payload.JSON, check=_content_type, steers=False, audit="value",
    ),
)  # fmt: skip


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One URL."""
    config, url = spec.config, parse_url(spec.config["url"])
    return HttpChannel(
        spec, surroundings, _FIELDS, url,
        lambda notification: payload.render(notification, url, config, surroundings.now()),
        judge_http, deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    url = parse_url(spec.config["url"])
    return preview_of(payload.render(notification, url, spec.config, notification.occurred_at))


KIND: Final = Kind(
    "webhook", "Webhook", "JSON to any URL",
    fields=_FIELDS, make=make, preview=_preview, destination=lambda config: str(config.get("url", "")),
    presets=PRESETS,
)  # fmt: skip
