"""What a connection says first, looked at before anything is set up for it.

A request that is refused here costs less than half of what it costs with protocol, task group and stream around it:
while an address has too many unauthenticated connections, its next ones are refused from here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import h11
import trio

from rmactors.server.edges import proxy_protocol

HEAD_BYTES: Final = 16_384
RECEIVE_BYTES: Final = 65_536

Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class Head:
    """`data` is all that was read, `request` what it says: None if that is no HTTP, or has ended before its time."""

    data: bytes
    request: h11.Request | None


async def read_head(stream: trio.abc.ReceiveStream) -> Head:
    """Read until the head of a request is complete, or will never be. Raises trio.BrokenResourceError."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
    data = b""
    while True:
        chunk = bytes(await stream.receive_some(RECEIVE_BYTES))
        data += chunk
        connection.receive_data(chunk)
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError:
            return Head(data, None)
        if event is not h11.NEED_DATA:
            return Head(data, event if isinstance(event, h11.Request) else None)


async def behind(stream: trio.abc.Stream) -> tuple[tuple[str, int] | None, trio.abc.Stream]:
    """For whom a trusted proxy says that it connects, by the PROXY protocol, and the stream of what follows that.

    None if it says nothing of the kind, or speaks for itself. Raises trio.BrokenResourceError.
    """
    data = b""
    while (found := proxy_protocol.read(data)) == "more":
        chunk = await stream.receive_some(RECEIVE_BYTES)
        if not chunk:
            break
        data += chunk
    if isinstance(found, proxy_protocol.Header):
        rest = data[found.size :]
        return found.source, Replayed(stream, rest) if rest else stream
    return None, Replayed(stream, data)


def refusal(status: int, headers: Headers, body: bytes = b"") -> bytes:
    """A whole answer after which the connection is closed."""
    connection = h11.Connection(h11.SERVER)
    response = h11.Response(
        status_code=status, headers=[*headers, (b"content-length", b"%d" % len(body)), (b"connection", b"close")]
    )
    sent = [connection.send(event) for event in (response, h11.Data(data=body), h11.EndOfMessage())]
    return b"".join(part for part in sent if part)


class Replayed(trio.abc.HalfCloseableStream):
    """A stream of which something was read already, and is read again first."""

    def __init__(self, stream: trio.abc.Stream, data: bytes) -> None:
        self._stream, self._data = stream, data

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        if self._data:
            await trio.lowlevel.checkpoint()
            size = len(self._data) if max_bytes is None else max_bytes
            first, self._data = self._data[:size], self._data[size:]
            return first
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """Where the stream can: TLS cannot."""
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            await self._stream.send_eof()

    async def aclose(self) -> None:
        await self._stream.aclose()
