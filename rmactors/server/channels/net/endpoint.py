"""The URL of a receiver: checked, its host name in ASCII. No sockets in here."""

import httpx

from rmactors.common.idn import url_to_ascii
from rmactors.server.channels.net.hostnames import ascii_host

_PORTS = {"http": 80, "https": 443}


def parse_url(text: str) -> httpx.URL:
    """An http or https URL without fragment. Raises ValueError, its message a sentence for the person who typed it.

    Its host is `raw_host`: httpx's `host` turns it back into Unicode.
    """
    if any(character.isspace() for character in text):
        raise ValueError("The URL must not contain spaces.")
    try:
        url = httpx.URL(url_to_ascii(text))
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"This is not a URL: {str(error).rstrip('.')}.") from None
    if url.scheme not in _PORTS:
        raise ValueError("The scheme must be http or https.")
    if not host:
        raise ValueError("The URL names no host.")
    ascii_host(host)
    if url.userinfo:
        raise ValueError(
            "Put no user name or password into the URL, where everybody can read it; use a token or a header."
        )
    if not 1 <= port_of(url) <= 65535:
        raise ValueError("The port must be between 1 and 65535.")
    return httpx.URL(f"{url.scheme}://{authority(url)}{url.raw_path.decode('ascii')}")


def port_of(url: httpx.URL) -> int:
    """The port that the URL names or means."""
    return url.port if url.port is not None else _PORTS[url.scheme]


def authority(url: httpx.URL) -> str:
    """Host and port as they go into `Host`."""
    return url.netloc.decode("ascii")
