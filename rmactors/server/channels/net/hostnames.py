"""Host names as resolvers, TLS and mail want them: ASCII, well formed. Pure."""

import re
from typing import Final

from rmactors.common.idn import to_ascii
from rmactors.server.channels.net.egress import literal_address

_LABEL: Final = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME: Final = re.compile(rf"(?=.{{1,254}}\Z){_LABEL}(\.{_LABEL})*\.?")


def ascii_host(host: str) -> str:
    """A host name in ASCII (IDNA 2008), or an address literal without brackets. Raises ValueError, a sentence."""
    text = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if literal_address(text) is not None:
        return text
    try:
        name = to_ascii(text)
    except ValueError:
        name = ""
    if not _NAME.fullmatch(name):
        raise ValueError(f"{host[:100]!r} is not a host name.")
    return name


def bracketed(host: str) -> str:
    """The host as the right side of an `@` in a Message-ID: an address literal in brackets, a name as it is."""
    return f"[{host}]" if literal_address(host) is not None else host
