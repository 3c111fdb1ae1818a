"""What the gateway needs of one WebSocket: a reader that tells when it has ended, a queue to send from, a refusal."""

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import trio
import trio_websocket

from rmactors.common import wire
from rmactors.server.config import tokens

HELLO_SECONDS = 10.0
"""Within this after the upgrade, an agent has said hello, or a new host has said its name."""
SEND_SECONDS = 15.0
MARK = (wire.MARK.lower().encode(), wire.MARK_OF_AGENTS.encode())
CLOSE_SECONDS = 2.0
REJECT_SECONDS = 15.0
TEXT = (b"content-type", b"text/plain")


@dataclass(frozen=True, slots=True)
class Reading:
    """What trio-websocket needs of a nursery: to start its reader. Says when that has ended.

    Without it, the library waits on for the request of a peer that has left, whose slot would stay taken until the
    deadline.
    """

    nursery: trio.Nursery
    ended: Callable[[], None]

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self.nursery.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        await read()
        self.ended()


class Connection:
    """The sending half of one connection: a queue of at most `most` frames that never waits, and a task that empties
    it."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, scope: trio.CancelScope, most: int) -> None:
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
                    with trio.fail_after(SEND_SECONDS):
                        await self.socket.send_message(wire.encode(self._outbox.popleft()))
                if self.closing is not None:
                    with trio.move_on_after(CLOSE_SECONDS):
                        await self.socket.aclose(*self.closing)
                    break
        except (trio_websocket.ConnectionClosed, trio.TooSlowError):
            pass  # it left, or reads nothing: nothing more can be said to it
        self._scope.cancel()


def token_digest(authorization: bytes) -> str | None:
    """What a bearer token is found by; None if the header holds none."""
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        return None
    return tokens.digest(token.strip().decode("latin-1"))


async def reject(request: trio_websocket.WebSocketRequest, status: int, why: str, *more: tuple[bytes, bytes]) -> None:
    body = why.encode() + b"\n"
    headers = [MARK, TEXT, (b"content-length", str(len(body)).encode()), *more]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    with trio.move_on_after(REJECT_SECONDS):
        await request.reject(status, extra_headers=headers, body=body)
