"""Matrix: each message is an event of one room, put by a bot's account."""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Field, Kind
from rmactors.server.channels.http_channel import OneRequest
from rmactors.server.channels.matrix import answers, payload
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import parse_url
from rmactors.server.messages.notifications import Notification


def _homeserver_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if "/_matrix" in value:
        return "Only the homeserver's address belongs here, without /_matrix."
    return checks.base_url(value, config, policy)


def _room_id(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    """Rooms of version 12 have an id without a colon."""
    if value.startswith("#"):
        return "This is an alias, which may be moved to another room: use the room's id, which begins with !."
    if not re.fullmatch(r"![^\s/?#]{1,254}", value) or len(value.encode()) > 255:
        return "A room's id begins with ! and has no spaces: in Element, it is in the room's settings under Advanced."
    return None


_FIELDS: Final = (
    Field(
        "homeserver_url", "Homeserver", "Where its client API is: of matrix.org, https://matrix-client.matrix.org",
        placeholder="https://matrix.example.org", missing="A homeserver is needed.", check=_homeserver_url,
        audit="host",
    ),
    Field(
        "room_id", "Room", "Its id. Invite the bot and let it join first.", placeholder="!abcdefgh:example.org",
        missing="A room is needed.", check=_room_id, steers=False, audit="value",  # the same server knows the token
    ),
    Field(
        "access_token", "Access token", "Of a bot's own account. It ends when that device is logged out.",
        input="password", missing="An access token is needed.", check=checks.header_value,
    ),
)  # fmt: skip


def _api_url(config: Mapping[str, Any]) -> httpx.URL:
    return parse_url(payload.room_url(config))


def _request(spec: ChannelSpec, url: httpx.URL, notification: Notification) -> httpx.Request:
    return payload.render(notification, url, spec.config)


_REQUESTS: Final = OneRequest(_FIELDS, _api_url, _request, answers.judge)


KIND: Final = Kind(
    "matrix", "Matrix", "A room of your homeserver",
    fields=_FIELDS, make=_REQUESTS.make, preview=_REQUESTS.preview,
    destination=lambda config: f"{config.get('homeserver_url', '')} {config.get('room_id', '')}",
)  # fmt: skip
