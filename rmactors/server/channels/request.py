"""An HTTP request as plain data: what a channel would send, before anything is sent."""

from dataclasses import dataclass, field

from rmactors import PRODUCT, __version__
from rmactors.server.channels.base import Preview
from rmactors.server.channels.net.endpoint import parse_endpoint

USER_AGENT = f"{PRODUCT}/{__version__}"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request, nearly always a POST. Header values are text without line breaks; they go out as UTF-8.

    Secrets are among them: no repr.
    """

    url: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)
    method: str = "POST"


def preview_of(request: HttpRequest) -> Preview:
    """The request as it would go out. Its secrets are masked already."""
    endpoint = parse_endpoint(request.url)
    headers = {"Host": endpoint.authority, **dict(request.headers), "Content-Length": str(len(request.body))}
    return Preview({"method": request.method, "url": endpoint.url, "headers": headers, "body": request.body.decode()})


def one_line(text: str) -> str:
    """The text as one header line: every control character and line end becomes a space."""
    if text.isprintable():
        return text.strip()
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
