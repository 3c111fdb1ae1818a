"""A channel's config between the API and the database: checked, sealed, opened. Never logged."""

import json
from typing import Any

from rmactors.common.vocabulary import ChannelKind
from rmactors.server.channels.base import FieldError
from rmactors.server.channels.config import normalized
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.validation import validate
from rmactors.server.config.secrets import SecretError
from rmactors.server.store.queries.channels import ChannelRow
from rmactors.server.web.access import services
from rmactors.server.web.problems import unavailable


def config_errors(kind: object, name: object, config: object) -> list[FieldError]:
    """What is wrong with a channel's name, kind and config; secrets are in the config as text."""
    return validate(kind, name, config, OutboundPolicy.parse(services().settings.outbound_allow))


def stored_form(kind: ChannelKind, config: dict[str, Any]) -> dict[str, Any]:
    """A valid config with its defaults filled in."""
    return normalized(kind, config)


def seal_config(channel_id: str, config: dict[str, Any]) -> bytes:
    """The config as the database holds it."""
    return services().box.seal(json.dumps(config).encode(), f"notification-channel:{channel_id}")


def open_config(row: ChannelRow) -> dict[str, Any]:
    """The config of a stored channel, secrets in clear. Raises the 503 where its key is not there."""
    try:
        found: dict[str, Any] = json.loads(services().box.open(row.config, f"notification-channel:{row.id}"))
    except SecretError as error:
        raise unavailable(str(error)) from None
    return found
