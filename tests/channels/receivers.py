"""A real HTTP listener on loopback whose answers the tests write byte by byte."""

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import trio

Stream = trio.abc.Stream


@dataclass(frozen=True)
class Request:
    """One request as it came. `names` are the header names in their order and case."""

    line: str
    names: list[str]
    headers: dict[str, str]
    body: bytes


Script = Callable[[Stream, Request], Awaitable[None]]


def replies(status: str, body: bytes = b"", **headers: str) -> Script:
    """Answer with `status` such as `204 No Content`; `retry_after="5"` is the header Retry-After."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    answer = "\r\n".join(lines).encode() + b"\r\n\r\n" + body

    async def script(stream: Stream, _: Request) -> None:
        await stream.send_all(answer)

    return script


def sends(*pieces: bytes, pause: float = 0.0, then_close: bool = False) -> Script:
    """Send these pieces, with pauses in between; then close, or wait until the client goes."""

    async def script(stream: Stream, _: Request) -> None:
        for piece in pieces:
            await stream.send_all(piece)
            await trio.sleep(pause)
        if then_close:
            await stream.aclose()
        else:
            await stream.receive_some(1)

    return script


async def hangs(stream: Stream, _: Request) -> None:
    """Never answer."""
    await stream.receive_some(1)


async def cuts(stream: Stream, _: Request) -> None:
    """Close without a word."""
    await stream.aclose()


async def answers_as_ntfy(stream: Stream, request: Request) -> None:
    """Take everything, and answer with the message as ntfy does."""
    topic = request.line.split()[1].rpartition("/")[2]
    message = {"id": "hwQ2YpKdmg", "sequence_id": request.headers["sequence-id"], "time": 1700000000,
               "event": "message", "topic": topic, "message": request.body.decode()}  # fmt: skip
    await replies("200 OK", json.dumps(message).encode(), Content_Type="application/json")(stream, request)


@dataclass
class Receiver:
    """Keeps every request. `script` answers each; change it between requests. `connections` counts them."""

    port: int
    scheme: str
    script: Script = field(default_factory=lambda: replies("204 No Content"))
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    host: str = "127.0.0.1"

    def url(self, path: str = "/hook") -> str:
        return f"{self.scheme}://{self.host}:{self.port}{path}"

    async def serve(self, stream: Stream) -> None:
        self.connections += 1
        buffer = bytearray()
        try:
            while (request := await _read(stream, buffer)) is not None:
                self.requests.append(request)
                await self.script(stream, request)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client has gone, or the script has closed
        finally:
            await trio.aclose_forcefully(stream)


async def _read(stream: Stream, buffer: bytearray) -> Request | None:
    while b"\r\n\r\n" not in buffer:
        received = await stream.receive_some(65536)
        if not received:
            return None
        buffer += received
    head, _, rest = bytes(buffer).partition(b"\r\n\r\n")
    line, *fields = head.decode("utf-8").split("\r\n")
    pairs = [field.split(": ", 1) for field in fields]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs), f"a header twice: {fields}"
    length = int(headers["content-length"])
    while len(rest) < length:
        received = await stream.receive_some(65536)
        if not received:
            return None
        rest += received
    buffer[:] = rest[length:]
    return Request(line, [name for name, _ in pairs], headers, rest[:length])


@asynccontextmanager
async def receiving(script: Script | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Receiver]:
    """A receiver that listens while the block runs."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    receiver = Receiver(listener.socket.getsockname()[1], "https" if tls else "http")
    if script is not None:
        receiver.script = script
    listeners: list[trio.abc.Listener[Stream]] = [trio.SSLListener(listener, tls) if tls else listener]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_serve, receiver, listeners)
        yield receiver
        nursery.cancel_scope.cancel()


async def _serve(receiver: Receiver, listeners: list[trio.abc.Listener[Stream]]) -> None:
    await trio.serve_listeners(receiver.serve, listeners)
