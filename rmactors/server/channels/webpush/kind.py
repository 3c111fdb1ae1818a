"""Web Push: one browser of one user. Made by that user's own browser on the account page, not typed into a form."""

from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind, Preview, Surroundings
from rmactors.server.channels.config import host_alone
from rmactors.server.channels.http_channel import HttpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.channels.net.http_client import DEADLINE_SECONDS
from rmactors.server.channels.request import preview_of
from rmactors.server.channels.webpush import answers, keys, payload
from rmactors.server.messages.notifications import Notification


def _endpoint(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    """Every viewer may name one: so it must be a service of the internet, whatever other channels may reach."""
    if not value.lower().startswith("https://"):
        return "A push service has an https address."
    return checks.url(value, config, policy.without_local_zones())


def _browser_key(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, keys.browser_key)


def _auth(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, keys.auth_secret)


def _vapid_key(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, keys.private_key)


_FIELDS: Final = (
    Field(
        "endpoint", "Endpoint", "Of the browser's push service. Made by the browser, with the keys below.",
        input="password", missing="The endpoint of a subscription is needed.", longest=2_000, check=_endpoint,
        audit="host",
    ),
    Field(
        "p256dh", "Key of the browser", input="password", missing="The browser's key is needed.", check=_browser_key,
    ),
    Field(
        "auth", "Secret of the browser", input="password", missing="The browser's secret is needed.", check=_auth,
    ),
    Field(
        "vapid_key", "Key of this server", "The one that the subscription was made for.", input="password",
        missing="The key that the subscription was made for is needed.", check=_vapid_key,
    ),
    Field("user_id", "User", "Id of the user whose browser it is.", longest=26, steers=False, audit="value"),
)  # fmt: skip


def make(spec: ChannelSpec, surroundings: Surroundings, deadline_seconds: float = DEADLINE_SECONDS) -> HttpChannel:
    """One subscription."""
    config, url = spec.config, parse_url(spec.config["endpoint"])
    return HttpChannel(
        spec, surroundings.outside(), _FIELDS, url,
        lambda notification: payload.render(notification, url, config, surroundings.base_url, surroundings.now()),
        answers.judge, deadline_seconds,
    )  # fmt: skip


def _preview(spec: ChannelSpec, notification: Notification, _: str) -> Preview:
    return preview_of(payload.render_preview(notification, parse_url(spec.config["endpoint"])))


def _destination(config: Mapping[str, Any]) -> str:
    return host_alone(config.get("endpoint"))


KIND: Final = Kind(
    "webpush", "Web Push", "A browser of yours",
    fields=_FIELDS, make=make, preview=_preview, destination=_destination, made_by_hand=False,
)  # fmt: skip
