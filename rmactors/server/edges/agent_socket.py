"""The server's end of one agent's WebSocket: everything that has come is read at once, and everything that waits is
sent at once.

The protocol is that of wsproto. trio-websocket, which agents use, is built on it too, but hands over one message at a
time, through a task of its own, and makes a system call for each frame: where a host has much to report, that costs
more than all that is done with its reports.

What comes is read only while somebody receives: a peer that is not listened to fills its own buffers.
"""

from collections.abc import Sequence
from typing import Final, cast

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.connection import ConnectionState
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)
from wsproto.utilities import RemoteProtocolError

Headers = Sequence[tuple[bytes, bytes]]

RECEIVE_BYTES: Final = 32_768
"""At most so much is read at once: a hundred reports."""
TOO_BIG: Final = 1009
_NO_STATUS: Final = 1006


class SocketClosed(Exception):
    """One of both ends has closed, or the connection is gone. Nothing can be sent or received any more."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class AgentSocket:
    """Begins with `request`, which is accepted or rejected. One task receives; any number send.

    A message has at most `longest` characters, or bytes where it is binary: at more, the connection is closed.
    """

    def __init__(self, stream: trio.abc.Stream, longest: int) -> None:
        self._stream = stream
        self._longest = longest
        self._protocol = WSConnection(ConnectionType.SERVER)
        self._parts: list[str | bytes | bytearray] = []
        self._size = 0
        self._to_send: list[bytes] = []
        self._sending = trio.Lock()
        self._reading = trio.Lock()
        self._closed: SocketClosed | None = None

    # ---- the handshake

    async def request(self) -> Request | None:
        """What the peer asks for; None if it left before that, or if it spoke no WebSocket: then it got an error."""
        try:
            while True:
                for event in self._protocol.events():
                    if isinstance(event, Request):
                        return event
                await self._read()
        except SocketClosed:
            return None

    async def accept(self, headers: Headers) -> None:
        """Raises SocketClosed."""
        self._put(AcceptConnection(extra_headers=list(headers)))
        await self._flush()

    async def reject(self, status: int, headers: Headers, body: bytes) -> None:
        """Raises SocketClosed."""
        self._put(RejectConnection(status_code=status, headers=list(headers), has_body=True))
        self._put(RejectData(data=body))
        await self._flush()

    # ---- messages

    async def receive(self) -> list[str | bytes]:
        """What has come in, at least one message. Raises SocketClosed."""
        async with self._reading:
            while True:
                messages = self._heard()
                if self._to_send:
                    await self._flush()
                if messages:
                    return messages
                if self._closed is not None:
                    if self._protocol.state is ConnectionState.CLOSED:
                        await self._close_stream()
                    raise self._closed
                await self._read()

    async def send(self, messages: Sequence[str]) -> None:
        """All of them, in order. Raises SocketClosed."""
        if self._closed is not None:
            raise self._closed
        for message in messages:
            self._put(TextMessage(data=message))
        await self._flush()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Say so, and wait until the peer has said it too: its end may never come. What else it says is passed over."""
        try:
            if self._closed is None:
                self._closed = SocketClosed(1000)
                self._put(CloseConnection(code=code, reason=reason or None))
                await self._flush()
                async with self._reading:
                    while self._protocol.state is ConnectionState.LOCAL_CLOSING:
                        self._heard()
                        if self._protocol.state is ConnectionState.LOCAL_CLOSING:
                            await self._read()
        except SocketClosed:
            pass
        finally:
            await self._close_stream()

    # ---- inside

    def _heard(self) -> list[str | bytes]:
        """The messages that are complete. What is to be answered waits to be sent."""
        messages: list[str | bytes] = []
        for event in self._protocol.events():
            match event:
                case TextMessage(data=data) | BytesMessage(data=data) if self._closed is None:
                    if (message := self._complete(data, whole=event.message_finished)) is not None:
                        messages.append(message)
                case Ping() if self._protocol.state is ConnectionState.OPEN:
                    self._put(event.response())
                case CloseConnection(code=code, reason=reason):
                    self._peer_closes(event)
                    self._closed = self._closed or SocketClosed(code, reason or "")
                case _:
                    pass
        return messages

    def _complete(self, data: str | bytes | bytearray, *, whole: bool) -> str | bytes | None:
        """A message, if this was all of it."""
        self._size += len(data)
        if self._size > self._longest:
            reason = f"a message has at most {self._longest} bytes"
            self._put(CloseConnection(code=TOO_BIG, reason=reason))
            self._closed = SocketClosed(TOO_BIG, reason)
            return None
        if not whole:
            if data:  # else there is no end to how many there may be
                self._parts.append(data)
            return None
        parts, self._parts, self._size = [*self._parts, data], [], 0
        if isinstance(data, str):
            return data if len(parts) == 1 else "".join(cast(list[str], parts))
        return b"".join(cast(list[bytes], parts))

    def _peer_closes(self, event: CloseConnection) -> None:
        match self._protocol.state:
            case ConnectionState.REMOTE_CLOSING:
                self._put(event.response())
            case ConnectionState.OPEN:  # what it sent is no WebSocket
                self._put(CloseConnection(code=event.code, reason=event.reason))
            case _:
                pass

    def _put(self, event: Event) -> None:
        self._to_send.append(self._protocol.send(event))

    async def _read(self) -> None:
        """Some more bytes. Raises SocketClosed."""
        try:
            data = await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if not data:
            raise self._gone()
        try:
            self._protocol.receive_data(bytes(data))
        except RemoteProtocolError as error:  # only of the handshake: what comes later are events
            if error.event_hint is not None:
                self._put(error.event_hint)
                await self._flush()
            raise self._gone() from None

    async def _flush(self) -> None:
        """Send what waits, in one go. Raises SocketClosed."""
        async with self._sending:
            while self._to_send:
                if self._closed is not None and self._closed.code == _NO_STATUS:
                    raise self._closed
                data, self._to_send = b"".join(self._to_send), []
                try:
                    await self._stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    raise self._gone() from None
                except trio.Cancelled:  # nobody knows how much of it is out: nothing can follow
                    self._gone()
                    raise

    def _gone(self) -> SocketClosed:
        self._closed = SocketClosed(_NO_STATUS)
        return self._closed

    async def _close_stream(self) -> None:
        try:
            await self._stream.aclose()
        except trio.BrokenResourceError:
            pass
