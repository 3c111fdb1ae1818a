"""The perimeter of the HTTP side: which host names are ours, what is cross-site, who the peer is, what headers go out.

Decides from values alone; knows nothing of users. Never believes `X-Forwarded-*` from a peer that is not a
configured proxy.
"""

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

from rmactors.common import wire
from rmactors.common.idn import to_ascii
from rmactors.server.config.settings import ALL_ADDRESSES, Settings, is_loopback_name, split_address
from rmactors.server.edges import addresses

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(),"
        " publickey-credentials-create=(self), publickey-credentials-get=(self)"
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    wire.MARK: wire.MARK_OF_PAGES,
}
_LOOPBACK_NAMES = frozenset({"127.0.0.1", "localhost", "::1"})


class Perimeter:
    """What follows from the settings about host names, origins and proxies."""

    def __init__(self, settings: Settings) -> None:
        self._base = urlsplit(settings.public_url)
        self._own_scheme = "https" if settings.tls else "http"
        self._proxies = addresses.parse_networks(settings.trusted_proxies)
        listen, _ = split_address(settings.listen)
        address = addresses.parse(listen)
        self._any_literal = listen == ALL_ADDRESSES or (address is not None and address.is_unspecified)
        names = {_normal(self._base.hostname or ""), *([] if listen == ALL_ADDRESSES else [_normal(listen)])}
        if self._any_literal or listen.lower() == "localhost" or (address is not None and address.is_loopback):
            names |= _LOOPBACK_NAMES
        self._names = frozenset(names)
        self.headers: Mapping[str, str] = (
            {**_HEADERS, "Strict-Transport-Security": "max-age=31536000"} if self._base.scheme == "https" else _HEADERS
        )
        """What every answer carries."""

    def is_proxy(self, peer: str) -> bool:
        """Whether `peer` is one of the proxies whose `X-Forwarded-*` is believed."""
        return addresses.is_within(peer, self._proxies)

    def knows_host(self, host: str) -> bool:
        """Whether a `Host` header is one of ours: else a name that was rebound to our address (DNS rebinding).

        Where the server listens on all addresses, any literal address is ours: only names can be rebound.
        """
        name = _hostname(host)
        if name is None:
            return False
        return _normal(name) in self._names or (self._any_literal and addresses.parse(name) is not None)

    def is_cross_site(self, sec_fetch_site: str | None, origin: str | None, host: str) -> bool:
        """Whether a browser says that another site caused this request.

        Programs send neither header and are let through: what protects them is that nothing signs them in unasked.
        """
        if sec_fetch_site is not None:
            return sec_fetch_site.lower() not in {"same-origin", "none"}
        if origin is None:
            return False
        return not self._is_own_origin(origin, host)

    def is_plain(self, host: str, forwarded_proto: str | None, peer: str) -> bool:
        """Whether the browser came over plain HTTP to an address at which it keeps no Secure cookie: to another
        machine. Browsers make an exception for loopback addresses and names.
        """
        name = _hostname(host)
        if name is None or is_loopback_name(name):
            return False
        if self.is_proxy(peer) and (scheme := addresses.said_last(forwarded_proto)):
            return scheme.lower() != "https"
        return self._scheme_of(name) != "https"

    def client_address(self, peer: str, forwarded_for: str | None) -> str:
        """The address to remember and to throttle: the peer, or what our own proxies say of the one before them."""
        return addresses.client_address(peer, forwarded_for, self._proxies)

    def is_own_url(self, url: str, host: str) -> bool:
        """Whether an absolute URL (a Referer) is on this site."""
        try:
            parts = urlsplit(url)
        except ValueError:
            return False
        return bool(parts.netloc) and self._is_own_origin(f"{parts.scheme}://{parts.netloc}", host)

    def _scheme_of(self, name: str) -> str:
        """How a browser reaches us by this name: by the base URL's own as that says, else at our port."""
        return self._base.scheme if _normal(name) == _normal(self._base.hostname or "") else self._own_scheme

    def _is_own_origin(self, origin: str, host: str) -> bool:
        try:
            parts = urlsplit(origin)
            name = parts.hostname
        except ValueError:
            return False
        if not name or not self.knows_host(parts.netloc):
            return False
        if parts.scheme != self._scheme_of(name):
            return False
        return parts.netloc.lower() == host.lower() or _origin(parts) == _origin(self._base)


def safe_next(text: str | None) -> str:
    """Where to go after a sign-in: a path on this site, else `/`."""
    if not text or not text.startswith("/") or text.startswith(("//", "/\\")):
        return "/"
    if any(ord(character) <= 32 or ord(character) == 127 for character in text) or "\\" in text:
        return "/"
    return text if text.isascii() and len(text) <= 2000 else "/"


def _hostname(host: str) -> str | None:
    """The name in a `Host` header, lower case, without port and brackets."""
    if not host or any(character in host for character in "/@?#\\, \t"):
        return None
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises where it is not a number
    except ValueError:
        return None
    return parts.hostname


def _normal(name: str) -> str:
    """One spelling for each name: an address can be written in several ways, and a name in Unicode."""
    address = addresses.parse(name)
    if address is not None:
        return str(address)
    try:
        return to_ascii(name).lower()
    except ValueError:
        return name.lower()


def _origin(parts: SplitResult) -> tuple[str, str, int | None]:
    return parts.scheme, _normal(parts.hostname or ""), parts.port or {"http": 80, "https": 443}.get(parts.scheme)
