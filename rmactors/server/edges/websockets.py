"""What the gateway needs of one WebSocket: a queue to send from, a refusal."""

from collections import deque
from contextlib import suppress
from typing import Final

import trio

from rmactors.common import wire
from rmactors.server.config import tokens
from rmactors.server.edges.agent_socket import AgentSocket, SocketClosed

HELLO_SECONDS = 10.0
"""Within this after the upgrade, an agent has said hello, or a new host has said its name."""
SEND_SECONDS = 15.0
MARK = (wire.MARK.lower().encode(), wire.MARK_OF_AGENTS.encode())
CLOSE_SECONDS = 2.0
REJECT_SECONDS = 15.0
TEXT = (b"content-type", b"text/plain")
_AT_ONCE: Final = 256
"""Frames that are sent together at most."""


class Connection:
    """The sending half of one connection: a queue of at most `most` frames that never waits, and a task that empties
    it."""

    def __init__(self, socket: AgentSocket, scope: trio.CancelScope, most: int) -> None:
        self.socket = socket
        self._most = most
        self.closing: tuple[int, str] | None = None
        self._scope = scope
        self._outbox: deque[wire.FromServer] = deque()
        self._something = trio.Event()

    def send(self, frame: wire.FromServer) -> None:
        if self.closing is not None:
            return
        if len(self._outbox) >= self._most:
            self._scope.cancel()  # it takes nothing: what it misses is sent again after its next hello
            return
        self._outbox.append(frame)
        self._something.set()

    def is_closing(self) -> bool:
        return self.closing is not None

    def close(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = (code, reason)
            self._something.set()

    async def write(self) -> None:
        """Send what is queued; after a closing, close and end the connection."""
        try:
            while True:
                await self._something.wait()
                self._something = trio.Event()
                while self._outbox:
                    frames = [self._outbox.popleft() for _ in range(min(len(self._outbox), _AT_ONCE))]
                    with trio.fail_after(SEND_SECONDS):
                        await self.socket.send([wire.encode(frame) for frame in frames])
                if self.closing is not None:
                    with trio.move_on_after(CLOSE_SECONDS):
                        await self.socket.aclose(*self.closing)
                    break
        except (SocketClosed, trio.TooSlowError):
            pass  # it left, or reads nothing: nothing more can be said to it
        self._scope.cancel()


def token_digest(authorization: bytes) -> str | None:
    """What a bearer token is found by; None if the header holds none."""
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        return None
    return tokens.digest(token.strip().decode("latin-1"))


async def reject(socket: AgentSocket, status: int, why: str, *more: tuple[bytes, bytes]) -> None:
    body = why.encode() + b"\n"
    headers = [MARK, TEXT, (b"content-length", str(len(body)).encode()), *more]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    with trio.move_on_after(REJECT_SECONDS), suppress(SocketClosed):
        await socket.reject(status, headers, body)
