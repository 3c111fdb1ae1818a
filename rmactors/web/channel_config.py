"""A channel's config between the API and the database: checked, sealed, opened. Never logged."""

import json
from typing import Any

from rmactors.channels.base import FieldError
from rmactors.channels.config import normalized
from rmactors.channels.egress import OutboundPolicy
from rmactors.channels.validation import validate
from rmactors.secrets import SecretError
from rmactors.store.queries.channels import ChannelRow
from rmactors.vocabulary import ChannelKind
from rmactors.web.access import services
from rmactors.web.problems import unavailable


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
