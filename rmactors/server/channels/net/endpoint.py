"""A URL taken apart for sending to it: checked, its host name in ASCII. No sockets in here."""

from dataclasses import dataclass

import httpx

from rmactors.common.idn import url_to_ascii
from rmactors.server.channels.net.hostnames import ascii_host


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`host` is ASCII (IDNA) without brackets, `authority` what goes into `Host`, `target` path and query."""

    scheme: str
    host: str
    port: int
    authority: str
    target: str

    @property
    def tls(self) -> bool:
        return self.scheme == "https"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def parse_endpoint(text: str) -> Endpoint:
    """The parts of an http or https URL. Raises ValueError, its message a sentence for the person who typed the URL."""
    if any(character.isspace() for character in text):
        raise ValueError("The URL must not contain spaces.")
    try:
        url = httpx.URL(url_to_ascii(text))
        host = url.raw_host.decode("ascii")
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError(f"This is not a URL: {str(error).rstrip('.')}.") from None
    if url.scheme not in ("http", "https"):
        raise ValueError("The scheme must be http or https.")
    if not host:
        raise ValueError("The URL names no host.")
    ascii_host(host)
    if url.userinfo:
        raise ValueError(
            "Put no user name or password into the URL, where everybody can read it; use a token or a header."
        )
    port = url.port if url.port is not None else {"http": 80, "https": 443}[url.scheme]
    if not 1 <= port <= 65535:
        raise ValueError("The port must be between 1 and 65535.")
    return Endpoint(url.scheme, host, port, url.netloc.decode("ascii"), url.raw_path.decode("ascii"))
