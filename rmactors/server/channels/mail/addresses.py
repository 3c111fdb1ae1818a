"""Mail addresses (RFC 5322) as a person types them, taken apart for headers and envelope. Pure."""

import re
from collections.abc import Sequence
from email import policy
from email.errors import MessageDefect, NonASCIILocalPartDefect, ObsoleteHeaderDefect
from email.headerregistry import Address, BaseHeader
from typing import cast

from rmactors.server.channels.net.hostnames import ascii_host


def parse_addresses(text: str) -> tuple[Address, ...]:
    """One or more addresses, comma separated, each with or without a name: `Ops <ops@example.org>, a@b.example`.

    Domains come out in ASCII (IDNA). Raises ValueError, its message a sentence for the person who typed them.
    """
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise ValueError("An address must not contain line breaks or control characters.")
    try:
        header = cast("_AddressHeader", policy.default.header_factory("to", text))
        found, groups, defects = header.addresses, header.groups, header.defects
    except (IndexError, AttributeError, ValueError):  # what the standard library's parser raises on some nonsense
        raise ValueError("This is not a mail address.") from None
    if not found:
        raise ValueError("At least one address is needed.")
    if any(group.display_name is not None for group in groups):
        raise ValueError("List the addresses themselves, without a group name.")
    bad = [d for d in defects if not isinstance(d, (ObsoleteHeaderDefect, NonASCIILocalPartDefect))]
    if bad or text.strip().endswith(","):
        raise ValueError("This is not a list of mail addresses such as ops@example.org, maria@example.org.")
    return tuple(_checked(address) for address in found)


def parse_address(text: str) -> Address:
    """Exactly one address. Raises ValueError as `parse_addresses` does."""
    found = parse_addresses(text)
    if len(found) != 1:
        raise ValueError("Exactly one address is needed here.")
    return found[0]


def needs_smtputf8(addresses: Sequence[Address]) -> bool:
    """Whether a local part is not ASCII, so that only a server with SMTPUTF8 can take the mail."""
    return any(not address.username.isascii() for address in addresses)


def _checked(address: Address) -> Address:
    if not address.username or not address.domain:
        raise ValueError(f"{str(address)!r} is not a mail address: it needs a name, an @ and a domain.")
    if address.domain.startswith("["):
        return address
    try:
        return Address(address.display_name, address.username, ascii_host(address.domain))
    except ValueError:
        raise ValueError(f"{address.domain!r} is not the domain of a mail address.") from None


class _Group:
    display_name: str | None


class _AddressHeader(BaseHeader):
    """What the standard library's header of addresses has; its own class is made at run time."""

    addresses: tuple[Address, ...]
    groups: tuple[_Group, ...]
    defects: tuple[MessageDefect, ...]
