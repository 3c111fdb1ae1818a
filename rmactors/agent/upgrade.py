"""Who answers the request to upgrade: the server, what stands in between, or something that speaks no WebSocket.

Bytes in, a verdict out; nothing is read or sent in here. The server's answers carry a header of ours, `wire.MARK`. One
without it comes from a proxy, a portal or a stranger, whatever its status says: that is no word of the server about
this host's token.
"""

import http.client
import io
import re
from email.message import Message
from typing import Final
from urllib.parse import urlsplit

from rmactors.agent.client_certificate import ASKS_FOR_ONE
from rmactors.agent.link_down import LinkDown
from rmactors.common import wire
from rmactors.common.text import excerpt

MOST_HEAD: Final = 16_384
MOST_BODY: Final = 2_000
"""Bytes of an answer's head and body that are looked at."""
_BEGINNING: Final = b"HTTP/1."
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [^\n]*)?\r?\n")
_TOKEN: Final = b"the token is wrong, used, expired or revoked"
"""What servers without the header say with their 401."""
_WANTS_CERTIFICATE: Final = b"No required SSL certificate was sent"
_REFUSES_CERTIFICATE: Final = b"The SSL certificate error"
"""nginx, which knows it only once it has the request."""


class Answer:
    """What comes from `place` (host and port) after the request to upgrade, as far as that is HTTP."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._bytes = b""
        self._status: int | None = None
        self._headers = Message()
        self.switched = False
        """`rest` is WebSocket, or claims to be."""
        self.rest = b""
        """The head that switches, and what came behind it."""

    def feed(self, data: bytes) -> LinkDown | None:
        """The verdict as soon as there is one; None for as long as an upgrade may still come of it, or has come."""
        if self.switched:
            return None
        self._bytes += data
        while self._status is None:
            if not _BEGINNING.startswith(self._bytes[: len(_BEGINNING)]):
                return self.no_websocket(f"it says {_shown(self._bytes)}")
            head = _END_OF_HEAD.search(self._bytes)
            if head is None or head.end() > MOST_HEAD:
                too_long = len(self._bytes) > MOST_HEAD
                return self.no_websocket("the head of its answer has no end") if too_long else None
            found = self._read_head(self._bytes[: head.end()])
            if found is None:
                return self.no_websocket(f"it says {_shown(self._bytes)}")
            status, headers = found
            if status == 101:
                self.switched, self.rest = True, self._bytes
                return None
            self._bytes = self._bytes[head.end() :]
            if status >= 200:  # else there is more to come
                self._status, self._headers = status, headers
        return self._verdict(self._status) if len(self._bytes) >= self._needed(self._status) else None

    def ended(self) -> LinkDown:
        """The verdict if nothing more comes: the connection has ended, or what there is has to do."""
        if self._status is not None:
            return self._verdict(self._status)
        if self._bytes:
            return self.no_websocket(f"it says {_shown(self._bytes)} and hangs up")
        return LinkDown("the server hung up before the upgrade")

    def has_head(self) -> bool:
        """Whether only the rest of a refusal is waited for."""
        return self._status is not None

    def no_websocket(self, why: str) -> LinkDown:
        return LinkDown(f"{self._place} does not speak WebSocket: {why}")

    def _read_head(self, head: bytes) -> tuple[int, Message] | None:
        line = _STATUS.match(head)
        if line is None:
            return None
        try:
            return int(line[1]), http.client.parse_headers(io.BytesIO(head[line.end() :]))
        except (http.client.HTTPException, ValueError):
            return None

    def _needed(self, status: int) -> int:
        """Bytes of the body without which there is no verdict."""
        if self._mark() is not None or not (status == 400 or (status == 401 and self._asks_for_bearer())):
            return 0
        try:
            return min(int(self._headers.get("Content-Length", MOST_BODY)), MOST_BODY)
        except ValueError:
            return MOST_BODY

    def _mark(self) -> str | None:
        return self._headers.get(wire.MARK)

    def _asks_for_bearer(self) -> bool:
        return str(self._headers.get("WWW-Authenticate", "")).strip().lower() == "bearer"

    def _verdict(self, status: int) -> LinkDown:
        mark = self._mark()
        if mark == wire.MARK_OF_PAGES:
            words = f"this is the server's port for pages (HTTP {status}): agents connect to its agents' port"
            return LinkDown(words, status=status)
        if mark is not None or (status == 401 and self._asks_for_bearer() and self._bytes.strip() == _TOKEN):
            return LinkDown(_of_server(status), status=status)
        if status < 300:
            kind = str(self._headers.get("Content-Type", "")).partition(";")[0].strip()
            of_kind = f" with {excerpt(kind, 50)}" if kind else ""
            return self.no_websocket(f"it answers HTTP {status}{of_kind}. Is a proxy or portal in between?")
        if status == 400 and _WANTS_CERTIFICATE in self._bytes:
            return LinkDown(ASKS_FOR_ONE)
        if status == 400 and _REFUSES_CERTIFICATE in self._bytes:
            return LinkDown("the server does not accept this host's client certificate (HTTP 400)")
        return LinkDown(f"a proxy or portal in between answers HTTP {status}{self._further(status)}")

    def _further(self, status: int) -> str:
        if status < 400:
            host = _host_of(str(self._headers.get("Location", "")))
            return f" (to {excerpt(host, 100)})" if host else ""
        return {
            400: ": does it pass on upgrades to WebSocket?",
            404: ": is this the address of the agents' port?",
            426: ": does it pass on upgrades to WebSocket?",
        }.get(status, "")


def _of_server(status: int) -> str:
    words = {
        401: "the server does not know this token: it is wrong, used, expired or revoked",
        403: "the server refuses the connection (HTTP 403)",
        404: "there is no agents' WebSocket at this address (HTTP 404): is it the agents' port?",
    }
    return words.get(status, f"the server answers HTTP {status}")


def _host_of(location: str) -> str:
    """The host alone: the rest of a portal's address may name this host, its user or a session."""
    try:
        return urlsplit(location.strip()).hostname or ""
    except ValueError:
        return ""


def _shown(data: bytes) -> str:
    """The beginning of what is no HTTP, as words."""
    line = data[:60].splitlines()[0] if data[:60].strip() else b""
    text = line.decode("ascii", "replace").strip()
    if not text or not text.isprintable() or "\N{REPLACEMENT CHARACTER}" in text:
        return "something that is not HTTP"
    return repr(text)
