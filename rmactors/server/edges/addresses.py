"""IP addresses as values: read, compared with networks, and counted as one client. Pure.

No name is resolved here.
"""

import ipaddress
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
LONGEST = 64
"""Characters of an IPv6 address and a zone, and some."""
_KNOWN = 4_096
"""Each comes several times a request, and those of a fleet that comes back stand in line in between."""
_ZONE = re.compile(r"[A-Za-z0-9._:@-]{0,15}")


def parse(text: str) -> Address | None:
    """The address, an IPv4 one in IPv6 clothes as itself; None for anything else, such as a zone (`fe80::1%eth0`) that
    is no name of an interface: Python takes any text for one, however long."""
    return _parse(text) if len(text) <= LONGEST else None


@lru_cache(_KNOWN)
def _parse(text: str) -> Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    if not _ZONE.fullmatch(text.partition("%")[2]):
        return None
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        return found.ipv4_mapped
    return found


def parse_networks(text: str) -> tuple[Network, ...]:
    """Networks and single addresses, comma separated. Raises ValueError."""
    parts = (part.strip() for part in text.split(","))
    return tuple(ipaddress.ip_network(part, strict=False) for part in parts if part)


def is_within(text: str, networks: Sequence[Network]) -> bool:
    """Whether `text` is an address in one of the networks."""
    if not networks:  # as good as always: most have no proxy
        return False
    address = parse(text)
    return address is not None and any(address in network for network in networks)


def client_address(peer: str, forwarded_for: str | None, proxies: Sequence[Network]) -> str:
    """Who is behind `peer`: itself, or what our own proxies say of the one before them.

    `forwarded_for` is all of `X-Forwarded-For`, its lines joined by `one_list`. It is read from its end: there each
    proxy adds whom it saw, and before that stands what a client may have made up.
    """
    if not forwarded_for or not is_within(peer, proxies):
        return peer
    for part in reversed(forwarded_for.split(",")):
        hop = _without_port(part.strip())
        if parse(hop) is None:
            return peer
        if not is_within(hop, proxies):
            return hop
        peer = hop
    return peer


def one_list(lines: Iterable[str]) -> str:
    """A header that holds a list, wherever that is cut into lines (RFC 9110, 5.3): some proxies add a line of their
    own, others to the line that is there."""
    return ", ".join(lines)


def said_last(text: str | None) -> str:
    """What the nearest proxy says in a list to which each may add (`X-Forwarded-Host`, `-Proto`): its last item."""
    return (text or "").rpartition(",")[2].strip()


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def throttle_key(text: str) -> str:
    """What an address counts as when tries or connections are counted: an IPv6 customer has a whole /64."""
    return _throttle_key(text) if len(text) <= LONGEST else text


@lru_cache(_KNOWN)
def _throttle_key(text: str) -> str:
    found = parse(text)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found) if found is not None else text
