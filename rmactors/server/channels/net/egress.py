"""Where notifications may go (`RM_OUTBOUND_ALLOW`), as a pure decision about one address.

The connecting side resolves the name, asks here about each address it got, and connects to exactly that address:
`channels.net.transport` and `channels.mail.session`. So a name that resolves differently the second time
(DNS rebinding) gains nothing. No sockets in here.
"""

import re
import socket
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Zone = Literal["external", "private", "loopback"]

SETTING: Final = "RM_OUTBOUND_ALLOW"

_NEVER: Final[tuple[tuple[Network, str], ...]] = (
    (ip_network("0.0.0.0/8"), "unspecified"),
    (ip_network("::/128"), "unspecified"),
    (ip_network("169.254.0.0/16"), "link-local"),
    (ip_network("fe80::/10"), "link-local"),
    (ip_network("224.0.0.0/4"), "multicast"),
    (ip_network("255.255.255.255/32"), "broadcast"),
    (ip_network("ff00::/8"), "multicast"),
    # Metadata services that are not link-local: they give credentials to any process on the machine.
    (ip_network("100.100.100.200/32"), "metadata"),
    (ip_network("168.63.129.16/32"), "metadata"),
    (ip_network("192.0.0.192/32"), "metadata"),
    (ip_network("fd00:ec2::254/128"), "metadata"),
    (ip_network("fd20:ce::254/128"), "metadata"),
)

# Prefixes whose addresses lead to an IPv4 address, and where its bytes stand.
_EMBEDS: Final[tuple[tuple[IPv6Network, tuple[tuple[int, int, int, int], ...], int], ...]] = (
    (IPv6Network("::ffff:0:0/96"), ((12, 13, 14, 15),), 0),  # IPv4-mapped
    (IPv6Network("::/96"), ((12, 13, 14, 15),), 0),  # IPv4-compatible
    (IPv6Network("::ffff:0:0:0/96"), ((12, 13, 14, 15),), 0),  # IPv4-translated
    (IPv6Network("64:ff9b::/96"), ((12, 13, 14, 15),), 0),  # NAT64
    (IPv6Network("64:ff9b:1::/48"), ((12, 13, 14, 15), (6, 7, 9, 10)), 0),  # NAT64, the site's own prefix
    (IPv6Network("2002::/16"), ((2, 3, 4, 5),), 0),  # 6to4
    (IPv6Network("2001::/32"), ((4, 5, 6, 7),), 0),  # Teredo: its server …
    (IPv6Network("2001::/32"), ((12, 13, 14, 15),), 0xFF),  # … and its client, inverted
)
_V6_LOOPBACK: Final = IPv6Address("::1")  # in ::/96, and no IPv4 address
_ISATAP: Final = (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")


class PolicyError(ValueError):
    """`RM_OUTBOUND_ALLOW` cannot be read. The message names the part and what it should be. Raised at start-up."""


class ForbiddenAddress(Exception):
    """The address must not be connected to. The message names address, setting and what would allow it.

    You get it instead of a connection; nothing was sent.
    """


class LeadsNowhere(ForbiddenAddress):
    """The name leads to the unspecified address alone (0.0.0.0, ::). So do name servers answer that block a name."""


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What the setting allows. Unspecified, link-local, metadata and multicast addresses never."""

    zones: frozenset[Zone]
    networks: tuple[Network, ...] = ()
    hosts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "OutboundPolicy":
        """Read `external`, `private`, `loopback`, networks and host globs, comma separated. Raises PolicyError."""
        zones: set[Zone] = set()
        networks: list[Network] = []
        hosts: list[str] = []
        for part in filter(None, (part.strip().lower() for part in text.split(","))):
            match part:
                case "external" | "private" | "loopback":
                    zones.add(part)
                case _ if ":" in part or "/" in part or re.fullmatch(r"[0-9]+(\.[0-9]+){3}", part):
                    try:
                        networks.append(ip_network(part, strict=False))
                    except ValueError as error:
                        raise PolicyError(f"{SETTING}: {error}") from None
                case _ if re.fullmatch(r"[0-9.*?]*[0-9][0-9.*?]*", part):
                    raise PolicyError(f"{SETTING}: {part!r}: write addresses as a network, such as 192.168.0.0/16")
                case _ if re.fullmatch(r"[a-z0-9_*?][a-z0-9_.*?-]*", part):
                    hosts.append(part.rstrip("."))
                case _:
                    raise PolicyError(
                        f"{SETTING}: {part!r} is none of external, private, loopback, a network such as 10.0.0.0/8,"
                        " or a host glob such as *.example.org"
                    )
        return cls(frozenset(zones), tuple(networks), tuple(hosts))

    def without_local_zones(self) -> "OutboundPolicy":
        """The same for receivers that people without an administrator's role may name: local addresses only where a
        network or a host of the setting names them."""
        return replace(self, zones=self.zones & {"external"})

    def refusal(self, address: str, host: str | None = None) -> str | None:
        """Why `address` (of the host that a channel names) must not be connected to; None if it may be."""
        found = ip_address(address)
        targets = (found, *_embedded(found))
        for target in targets:
            if (never := _never(target)) is not None:
                return f"{SETTING} never allows {never} addresses, and {_told(address, host)} is one"
        if host is not None and any(fnmatchcase(host.lower().rstrip("."), glob) for glob in self.hosts):
            return None
        if any(found in network for network in self.networks):
            return None
        for target in targets[1:] or targets:  # where it leads counts, not what it is wrapped in
            zone = _zone(target)
            if zone not in self.zones and not any(target in network for network in self.networks):
                return (
                    f"{SETTING} does not allow {_told(address, host)}, which is {zone}:"
                    f" add `{zone}`, its network or its host name there"
                )
        return None

    def check(self, address: str, host: str | None = None) -> None:
        """Raises ForbiddenAddress if `refusal` has a reason."""
        if (reason := self.refusal(address, host)) is not None:
            raise ForbiddenAddress(reason)


def is_unspecified(address: str) -> bool:
    """Whether this is no host's address: 0.0.0.0 and what begins with 0, `::`, and IPv6 forms of these."""
    found = ip_address(address)
    return any(_never(target) == "unspecified" for target in (found, *_embedded(found)))


def literal_address(host: str) -> str | None:
    """The address that a host written as a literal means, in every form that resolvers take; None for a name.

    `127.1`, `2130706433` and `0x7f000001` are 127.0.0.1 to getaddrinfo, so they are here.
    """
    text = host.removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(text))
    except ValueError:
        pass
    if re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}\.?", text.lower()):
        try:
            return socket.inet_ntoa(socket.inet_aton(text.rstrip(".")))
        except OSError:
            return None
    return None


def _never(address: Address) -> str | None:
    for network, why in _NEVER:
        if address.version == network.version and address in network:
            return why
    return None


def _zone(address: Address) -> Zone:
    if address.is_loopback:
        return "loopback"
    site_local = isinstance(address, IPv6Address) and address.is_site_local  # deprecated, and not global
    return "external" if address.is_global and not site_local else "private"


def _embedded(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that this IPv6 address is a wrapping of."""
    if isinstance(address, IPv4Address) or address == _V6_LOOPBACK:
        return []
    raw = address.packed
    found = []
    for network, forms, flip in _EMBEDS:
        if address in network:
            wrapped = [IPv4Address(bytes(raw[place] ^ flip for place in places)) for places in forms]
            found += [one for one in wrapped if int(one)] or wrapped  # zeros: the other form is the one in use
    if raw[8:12] in _ISATAP:
        found.append(IPv4Address(raw[12:16]))
    return found


def _told(address: str, host: str | None) -> str:
    return address if host is None or literal_address(host) is not None else f"{host} ({address})"
