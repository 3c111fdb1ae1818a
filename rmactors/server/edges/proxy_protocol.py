"""The header with which a proxy that passes bytes on says whose they are: PROXY protocol, versions 1 and 2. Pure.

Whether its sender is a trusted proxy is decided by the caller.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final, Literal

from rmactors.server.edges.addresses import parse

V1_BYTES: Final = 107
"""The longest header of version 1, its end of line included."""
V2_BYTES: Final = 16_384
"""What may follow the first 16 bytes of version 2. Addresses take 36 or 216 of it; the rest is extensions."""
_V1: Final = b"PROXY "
_V2: Final = b"\r\n\r\n\x00\r\nQUIT\n"
_LOCAL, _PROXY = 0, 1
_TCP_IPV4, _TCP_IPV6 = 0x11, 0x21
_ANY_FAMILY, _ANY_TRANSPORT = range(4), range(3)


@dataclass(frozen=True, slots=True)
class Header:
    """`source` is address and port of the client; None if the proxy speaks for itself (a health check), or for a
    client that has no IP address. `size` in bytes."""

    source: tuple[str, int] | None
    size: int


def read(data: bytes) -> Header | Literal["more"] | None:
    """What a connection begins with. "more": so far it may be a header; None: it is none, or not a right one."""
    if data.startswith(_V2):
        return _version_2(data)
    if data.startswith(_V1):
        return _version_1(data)
    return "more" if _V2.startswith(data) or _V1.startswith(data) else None


def _version_1(data: bytes) -> Header | Literal["more"] | None:
    line, end, _ = data[:V1_BYTES].partition(b"\r\n")
    if not end:
        return "more" if len(data) < V1_BYTES else None
    size = len(line) + len(end)
    words = line.decode("latin-1").split(" ")
    if words[1] == "UNKNOWN":  # whatever follows
        return Header(None, size)
    match words:
        case [_, "TCP4" | "TCP6" as family, source, destination, port, to_port]:
            kind = ipaddress.IPv4Address if family == "TCP4" else ipaddress.IPv6Address
            client, from_port = _address(source, kind), _port(port)
            if client is None or from_port is None or _address(destination, kind) is None or _port(to_port) is None:
                return None
            return Header((client, from_port), size)
        case _:
            return None


def _address(text: str, kind: type[ipaddress.IPv4Address | ipaddress.IPv6Address]) -> str | None:
    try:
        kind(text)
    except ValueError:
        return None
    found = parse(text)
    return str(found) if found is not None and "%" not in text else None


def _port(text: str) -> int | None:
    right = text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65_535
    return int(text) if right else None


def _version_2(data: bytes) -> Header | Literal["more"] | None:
    if len(data) < 16:
        return "more"
    version, command = divmod(data[12], 16)
    family, transport = divmod(data[13], 16)
    length = int.from_bytes(data[14:16], "big")
    if version != 2 or command not in (_LOCAL, _PROXY) or length > V2_BYTES:
        return None
    if command == _PROXY and (family not in _ANY_FAMILY or transport not in _ANY_TRANSPORT):
        return None
    size = 16 + length
    if len(data) < size:
        return "more"
    width = {_TCP_IPV4: 4, _TCP_IPV6: 16}.get(data[13], 0) if command == _PROXY else 0
    if not width:
        return Header(None, size)
    if length < 2 * width + 4:
        return None
    client = parse(str(ipaddress.ip_address(data[16 : 16 + width])))
    ports = 16 + 2 * width
    return Header((str(client), int.from_bytes(data[ports : ports + 2], "big")), size)
