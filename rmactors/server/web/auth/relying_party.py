"""Where passkeys work: at the address in `RM_BASE_URL`, and only where browsers allow them. Pure.

A passkey is bound to a host name for good. That name never comes from a request: behind a proxy a request says `http`
and any host, and who chooses the name chooses whose passkeys are asked for.
"""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from rmactors.common.idn import to_ascii
from rmactors.server.config.settings import is_loopback_name
from rmactors.server.web.views.texts import _

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """`id` is the host name that passkeys are bound to, `origin` what browsers must say they were on.

    `trouble` is why passkeys can work on no page of this server, as a sentence; else empty.
    """

    id: str
    origin: str
    trouble: str = ""

    def trouble_at(self, host: str) -> str:
        """Why they do not work on a page that was asked for with this `Host`, as a sentence; else empty."""
        if self.trouble or _origin(f"{self.origin.partition(':')[0]}://{host}") == self.origin:
            return self.trouble
        return _("Passkeys work at %(origin)s only (RM_BASE_URL). Open this page there.") % {"origin": self.origin}


def relying_party(public_url: str) -> RelyingParty:
    """The one that follows from the server's public URL."""
    parts = urlsplit(public_url)
    name = _ascii(parts.hostname or "")
    origin = _origin(public_url)
    if _is_address(name):
        return RelyingParty(name, origin, _no_address(name))
    if parts.scheme != "https" and not is_loopback_name(name):
        return RelyingParty(
            name, origin,
            _("Passkeys need HTTPS: set RM_BASE_URL to an address that begins with https:// (and serve it so)."),
        )  # fmt: skip
    return RelyingParty(name, origin)


def _no_address(name: str) -> str:
    return _(
        "Passkeys need a host name, and %(address)s is none: set RM_BASE_URL to https:// and a name (http://localhost"
        " works on this machine alone)."
    ) % {"address": name}


def _origin(url: str) -> str:
    """As browsers spell it: without the port that the scheme means anyway. Empty for what is no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return ""
    name = _ascii(parts.hostname or "")
    name = f"[{name}]" if ":" in name else name
    return f"{parts.scheme}://{name}" + (f":{port}" if port not in (None, _PORTS.get(parts.scheme)) else "")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _ascii(name: str) -> str:
    try:
        return to_ascii(name).lower()
    except ValueError:
        return name.lower()
