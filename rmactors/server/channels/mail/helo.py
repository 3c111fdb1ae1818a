"""What this server calls itself towards mail servers (EHLO).

Many refuse a name without a dot or with an underscore, or count it as a sign of spam. So it is a full host name, or the
address that the connection comes from.
"""

import re
import socket
import threading
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from rmactors.server.channels.net.hostnames import ascii_host

_LABEL: Final = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_NAME: Final = re.compile(rf"(?=.{{1,253}}\Z)({_LABEL}\.)+{_LABEL}")
_NOT_THE_LAST: Final = ("localhost", "localdomain", "arpa")
_LOOKUP_SECONDS: Final = 2.0
"""For this machine's own name, which a name server may have to be asked for. It is part of the time for an attempt."""


def is_full_name(name: str) -> bool:
    """Whether a host name in ASCII is one that a mail server may hold true: with a dot, letters, digits and hyphens."""
    last = name.rpartition(".")[2].lower()
    return bool(_NAME.fullmatch(name)) and not last.isdecimal() and last not in _NOT_THE_LAST


def checked(text: str) -> str:
    """The name as it goes out: a full one in ASCII, or an address in brackets. Raises ValueError, a sentence."""
    given = text.strip()
    if given.startswith("[") and given.endswith("]"):
        inner = given[1:-1]
        try:
            address = ip_address(inner[5:] if inner.lower().startswith("ipv6:") else inner)
        except ValueError:
            raise ValueError(f"{given[:100]!r} is not an address such as [192.0.2.1] or [IPv6:2001:db8::1].") from None
        return _bracketed(address)
    try:
        name = ascii_host(given.removesuffix("."))
    except ValueError:
        name = ""
    if not is_full_name(name):
        raise ValueError(
            f"{given[:100]!r} is not a full host name such as rm.example.org, or an address in brackets"
            " such as [192.0.2.1]."
        )
    return name


def literal(address: str) -> str:
    """An address as SMTP writes it: `[127.0.0.1]`, `[IPv6:::1]`."""
    return _bracketed(ip_address(address.partition("%")[0]))


def machine_name() -> str | None:
    """This machine's own full name; None if it has none, or if that is not known in time. Blocks."""
    thread, found = _asked()
    thread.join(_LOOKUP_SECONDS)
    return found[0] if found and is_full_name(found[0]) else None


def asked(look_up: Callable[[], str]) -> tuple[threading.Thread, list[str]]:
    """A thread that asks for a name, and where it will be: a name server that hangs holds up nobody else."""
    found: list[str] = []
    thread = threading.Thread(target=lambda: found.append(look_up()), daemon=True, name="own name")
    thread.start()
    return thread, found


@cache
def _asked() -> tuple[threading.Thread, list[str]]:
    """Once for the life of this process."""
    return asked(socket.getfqdn)


def _bracketed(address: IPv4Address | IPv6Address) -> str:
    return f"[IPv6:{address}]" if isinstance(address, IPv6Address) else f"[{address}]"
