"""What hostile tests share: bytes on bare sockets, bystanders, and the server's memory."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import trio

from harness.agents import ended, enroll_host, simulated
from harness.processes import Server
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimulatedAgent

GROWTH_MIB = 64
"""What the server's memory may grow by in one test: far less than what was sent to it, far more than what it needs."""
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
)


def resident_mib(server: Server) -> float:
    """Memory of the server's process, in MiB."""
    for line in Path(f"/proc/{server.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS in /proc")


def request(server: Server, target: str, *headers: str, method: str = "GET", token: str = "") -> bytes:
    """A request to the pages' port up to its empty line."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: 127.0.0.1:{server.port}", *headers]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


def upgrade(token: str = "", *headers: bytes) -> bytes:
    """A request for an agent's WebSocket up to its empty line."""
    own = (b"Authorization: Bearer " + token.encode(),) if token else ()
    lines = (b"GET %s HTTP/1.1" % wire.PATH.encode(), b"Host: server", UPGRADE.removesuffix(b"\r\n"), *own, *headers)
    return b"\r\n".join([*lines, b"", b""])


def frame(payload: bytes, first: int = 0x81) -> bytes:
    """A WebSocket frame as clients send it, masked with zeros. `first` is its first byte: flags and opcode."""
    size = len(payload)
    if size < 126:
        head = bytes([first, 0x80 | size])
    elif size < 65536:
        head = bytes([first, 0x80 | 126]) + struct.pack(">H", size)
    else:
        head = bytes([first, 0x80 | 127]) + struct.pack(">Q", size)
    return head + bytes(4) + payload


async def connect(port: int, receive_buffer: int | None = None) -> trio.SocketStream:
    """A bare connection; with a small receive buffer, one that is soon full."""
    socket = trio.socket.socket()
    if receive_buffer is not None:
        socket.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, receive_buffer)
    await socket.connect(("127.0.0.1", port))
    return trio.SocketStream(socket)


class Crowd:
    """Connections that stay open until the block around them ends."""

    def __init__(self) -> None:
        self.streams: list[trio.SocketStream] = []

    async def join(self, port: int, data: bytes = b"", *, receive_buffer: int | None = None) -> trio.SocketStream:
        """One more, which sends `data` as far as that is taken within a moment."""
        stream = await connect(port, receive_buffer)
        self.streams.append(stream)
        with trio.move_on_after(0.2):
            try:
                await stream.send_all(data)
            except trio.BrokenResourceError:
                pass  # refused already
        return stream


@asynccontextmanager
async def crowd() -> AsyncIterator[Crowd]:
    gathered = Crowd()
    try:
        yield gathered
    finally:
        for stream in gathered.streams:
            await trio.aclose_forcefully(stream)


async def read_all(stream: trio.SocketStream, seconds: float) -> bytes | None:
    """Everything until the server closes, cut to its first 64 KiB; None where it has not closed by then."""
    heard = b""
    with trio.move_on_after(seconds):
        try:
            while chunk := await stream.receive_some(65536):
                heard = (heard + chunk)[:65536]
        except trio.BrokenResourceError:
            pass  # a reset is an end as well
        return heard
    return None


async def pour(stream: trio.SocketStream, data: bytes, seconds: float = 120.0) -> bool:
    """Send it all. False where the server closed first. Raises trio.TooSlowError."""
    with trio.fail_after(seconds):
        try:
            await stream.send_all(data)
        except trio.BrokenResourceError:
            return False
    return True


async def attack(port: int, data: bytes, seconds: float = 30.0) -> bytes | None:
    """Send it on a connection of its own, and give what came until the server closed; None where it did not close."""
    async with await connect(port) as stream:
        await pour(stream, data)
        return await read_all(stream, seconds)


@asynccontextmanager
async def bystanders(server: Server) -> AsyncIterator[None]:
    """An agent and a browser that must notice nothing of what goes on in the block.

    The agent stays connected and is acked before and after; the browser's stream of events stays open and still tells.
    """
    credential = await enroll_host(server, f"bystander-{ids.new()}")
    async with simulated(server, credential) as [agent], await connect(server.port) as events:
        await events.send_all(request(server, "/events", token=server.token))
        await _hear(events, b"connected")
        await _settle(agent)
        yield
        server.must_live()
        await _settle(agent)
        assert agent.connections == 1, "the bystanding agent lost its connection"
        await _hear(events, b"data: ")
    assert "Traceback" not in server.log, server.log[-4000:]


async def _settle(agent: SimulatedAgent) -> None:
    agent.report(ended("home", "failed"))
    with trio.fail_after(30):
        await agent.settled()


async def _hear(stream: trio.SocketStream, what: bytes) -> None:
    heard = b""
    with trio.fail_after(30):
        while what not in heard:
            chunk = await stream.receive_some(4096)
            assert chunk, f"the stream ended: {heard[-500:]!r}"
            heard = heard[-len(what) :] + chunk
