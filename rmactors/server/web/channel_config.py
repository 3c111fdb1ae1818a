"""A channel's config between the API and the database: checked, sealed, opened. Never logged."""

import json
from typing import Any

from rmactors.server.channels.base import FieldError, Kind
from rmactors.server.channels.config import masked, with_secrets_hidden
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import kind_named
from rmactors.server.channels.validation import validate
from rmactors.server.config.secrets import SecretError
from rmactors.server.store.queries.channels import ChannelRow
from rmactors.server.web.access import services
from rmactors.server.web.problems import unavailable


def config_errors(kind: object, name: object, config: object) -> list[FieldError]:
    """What is wrong with a channel's name, kind and config; secrets are in the config as text."""
    return validate(kind, name, config, OutboundPolicy.parse(services().settings.outbound_allow))


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


def readable_config(row: ChannelRow) -> dict[str, Any]:
    """The config of a stored channel as it may be read, without its secrets. Raises as `open_config` does."""
    return masked(kind_of(row), open_config(row))


def hidden_config(row: ChannelRow) -> dict[str, Any]:
    """The config of a stored channel to say where it leads: of a secret URL the host. Raises as `open_config` does."""
    return with_secrets_hidden(kind_of(row), open_config(row))


def kind_of(row: ChannelRow) -> Kind:
    """Raises the 503 for a kind that this version does not know: a later one made the channel."""
    try:
        return kind_named(row.kind)
    except ValueError as error:
        raise unavailable(f"the channel {row.name} cannot be used: {error}") from None
