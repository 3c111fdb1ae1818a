"""Checks that fields of several kinds share. Pure; see `base.Check`."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from rmactors.server.channels.net.egress import OutboundPolicy, literal_address
from rmactors.server.channels.net.endpoint import parse_url


def url(value: str, _: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    """An http or https URL, its host allowed."""
    try:
        host = parse_url(value).raw_host.decode("ascii")
    except ValueError as error:
        return str(error)
    return forbidden(host, policy)


def base_url(value: str, config: Mapping[str, Any], policy: OutboundPolicy) -> str | None:
    """The address of a server, of which the rest of a URL is made."""
    if "?" in value or "#" in value:
        return "Only the server's address belongs here, without ? or #."
    return url(value, config, policy)


def header_value(value: str, _: Mapping[str, Any], __: OutboundPolicy) -> str | None:
    """What may stand behind a header's name."""
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
        return "This must not contain control characters."
    return None if value.strip() else "This must not be blank."


def parsed(value: str, parse: Callable[[str], object]) -> str | None:
    """What `parse` has against the value: the sentence of its ValueError."""
    try:
        parse(value)
    except ValueError as error:
        return str(error)
    return None


def forbidden(host: str, policy: OutboundPolicy) -> str | None:
    """Only literals are judged here; where a name leads is judged each time it is connected to."""
    address = literal_address(host)
    refusal = policy.refusal(address, host) if address is not None else None
    return f"{refusal}." if refusal else None
