"""Mail through an SMTP server; its name in API and database is `smtp`."""

import re
from collections.abc import Mapping
from typing import Any, Final

from rmactors.server.channels import checks
from rmactors.server.channels.base import ChannelSpec, Choice, Field, Kind, Preview, Surroundings
from rmactors.server.channels.mail import helo, payload
from rmactors.server.channels.mail.addresses import parse_address, parse_addresses
from rmactors.server.channels.mail.send import DEFAULT_ENCRYPTION, SmtpChannel
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.hostnames import ascii_host
from rmactors.server.messages.notifications import Notification

_NO_HOST: Final = "The mail server's host name is needed."


def _host(value: str, _: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    if not value.strip():
        return _NO_HOST
    if "/" in value or re.fullmatch(r"[^:]+:[0-9]+", value):
        return "Only the host name belongs here; the port has a field of its own."
    try:
        host = ascii_host(value)
    except ValueError as error:
        return str(error)
    return checks.forbidden(host, policy)


def _port(value: object, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    fine = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65535
    return None if fine else "The port must be a whole number from 1 to 65535."


def _from(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, parse_address)


def _to(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, parse_addresses)


def _helo_name(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    return checks.parsed(value, helo.checked)


_FIELDS: Final = (
    Field("host", "Mail server", placeholder="mail.example", missing=_NO_HOST, check=_host, audit="value"),
    Field(
        "port", "Port", "587 with STARTTLS, 465 with TLS.",
        input="number", placeholder="587", missing="The mail server's port is needed.", proposed="587", check=_port,
        audit="value",
    ),
    Field(
        "encryption", "Encryption",
        input="select", choices=(Choice("starttls", "STARTTLS"), Choice("tls", "TLS"), Choice("none", "none")),
        default=DEFAULT_ENCRYPTION, audit="value",
    ),
    Field("username", "User name"),
    Field("password", "Password", "Never sent before the connection is encrypted.", input="password"),
    # These two are sent to the server; nothing sends the password to them.
    Field(
        "from", "From",
        placeholder="restic-manager@example.org", missing="A sender address is needed.", check=_from, steers=False,
        audit="value",
    ),
    Field(
        "to", "To", "One or more addresses, separated by commas.",
        placeholder="ops@example.org", missing="At least one recipient is needed.", check=_to, steers=False,
    ),
    Field(
        "helo_name", "Name of this server (EHLO)", "A full host name. Empty: that of the base URL, or this machine's.",
        placeholder="rm.example.org", check=_helo_name, steers=False, audit="value",
    ),
)  # fmt: skip


def _make(spec: ChannelSpec, surroundings: Surroundings) -> SmtpChannel:
    return SmtpChannel(spec, surroundings.policy, surroundings.tls, surroundings.base_url)


def _preview(spec: ChannelSpec, notification: Notification, base_url: str) -> Preview:
    mail = payload.render(notification, spec, base_url)
    return Preview(mail=mail.content.decode().replace("\r\n", "\n"))


KIND: Final = Kind(
    "smtp", "Mail", "Any SMTP server",
    fields=_FIELDS, make=_make, preview=_preview, destination=lambda config: str(config.get("to", "")),
)  # fmt: skip
