"""One connection to a server's API under one token, blocking. Owns how its errors are worded."""

import json
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from rmactors.common.idn import url_to_ascii
from rmactors.common.tls import verifying_context

PAGE = 200
"""Items asked for at once: the most that the API gives."""
SECONDS = 45.0
"""Longer than the server waits for a host's agent."""
_LONGEST = 2000
"""Characters of what a problem says: the detail may quote what was sent."""


class ApiError(Exception):
    """The API refused. The message says what was asked and what came back. `status` is HTTP's."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Unreachable(ApiError):
    """No answer, or none in HTTP: whether the request was carried out is not known."""

    def __init__(self, message: str) -> None:
        super().__init__(message, 0)


class Api:
    """The server's API under one token, over one connection that is kept open. For one thread at a time."""

    def __init__(self, base_url: str, token: str) -> None:
        """Raises ValueError where `base_url` is not one of http or https."""
        parts = urlsplit(url_to_ascii(base_url))
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise ValueError(f"{base_url!r} is not the URL of a server: write one like https://backup.example.org")
        self._prefix = parts.path.rstrip("/")
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        port = parts.port
        self._connection = (
            HTTPSConnection(parts.hostname, port, timeout=SECONDS, context=verifying_context())
            if parts.scheme == "https"
            else HTTPConnection(parts.hostname, port, timeout=SECONDS)
        )
        self.base_url = base_url

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request. Returns the decoded JSON, None for an empty answer. Raises ApiError, Unreachable."""
        sent = None if body is None else json.dumps(body)
        try:
            self._connection.request(method, self._prefix + path, sent, self._headers)
            response = self._connection.getresponse()
            text = response.read()
        except (OSError, HTTPException) as error:
            self._connection.close()
            raise Unreachable(f"{self.base_url} cannot be reached: {error or type(error).__name__}") from None
        if response.status >= 300:
            raise ApiError(f"{_said(text, response.getheader('Location'))} (HTTP {response.status})", response.status)
        try:
            return json.loads(text) if text else None
        except ValueError:
            raise Unreachable(f"{self.base_url} answers, but not with JSON: it is not restic-manager") from None

    def items(self, path: str, **query: str | None) -> Iterator[dict[str, Any]]:
        """Every item of a list, page by page as they are taken. Raises ApiError, Unreachable."""
        asked = {name: value for name, value in query.items() if value is not None} | {"limit": str(PAGE)}
        while True:
            page = self.call("GET", f"{path}?{urlencode(asked)}")
            yield from page["items"]
            if page["next_cursor"] is None:
                return
            asked["cursor"] = page["next_cursor"]

    def close(self) -> None:
        self._connection.close()


def segment(text: str) -> str:
    """What a person typed as an id, as one segment of a path."""
    return quote(text, safe="")


def key_of(pointer: str) -> str:
    """A JSON pointer as people write a key: `config.url` for `/config/url`. Empty for the whole."""
    return ".".join(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/") if step)


def _said(body: bytes, location: str | None) -> str:
    """What a problem says, in a sentence."""
    if location is not None:
        return f"the server is at {location}"
    try:
        problem = json.loads(body)
        fields = "; ".join(
            ": ".join(filter(None, (key_of(error["pointer"]), error["detail"]))) for error in problem.get("errors", ())
        )
        return (fields or str(problem["detail"]))[:_LONGEST]
    except (ValueError, KeyError, TypeError, AttributeError):
        return body[:200].decode(errors="replace").strip() or "no reason given"
