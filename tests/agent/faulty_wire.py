"""A small TCP proxy that does to a connection what networks do: cut it in mid-frame, fall silent, crawl, repeat."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial

import trio


@dataclass
class FaultyWire:
    """`cut_after`: bytes towards the server after which both ends are dropped. `silent`: nothing passes any more,
    and nobody is told; `deaf`: nothing of the server's. `slowly`: seconds between single small pieces. `twice`: each
    frame of the agent's arrives two times. `until`: the next connection breaks once its hello was said, and
    that arrives when this is set; those after it are well."""

    target: int
    port: int = 0
    cut_after: float = math.inf
    silent: bool = False
    deaf: bool = False
    twice: bool = False
    slowly: float = 0.0
    until: trio.Event | None = None
    arrived_late: int = 0
    """Connections whose hello arrived late, and which the server has closed since."""
    connections: int = 0
    repeated: int = 0
    """Frames that arrived two times."""

    async def carry(self, client: trio.SocketStream) -> None:
        self.connections += 1
        server = await trio.open_tcp_stream("127.0.0.1", self.target)
        if self.until is not None:
            until, self.until, self.cut_after = self.until, None, math.inf
            return await self._carry_late(client, server, until)
        passed = 0

        async def one_way(source: trio.SocketStream, sink: trio.SocketStream, counted: bool) -> None:
            nonlocal passed
            frames = Frames()
            async for data in source:
                if self.silent or (self.deaf and not counted):
                    continue
                if self.twice and counted:
                    data = frames.doubled(bytes(data))
                    self.repeated, frames.count = self.repeated + frames.count, 0
                if counted and passed + len(data) > self.cut_after:
                    await sink.send_all(data[: int(self.cut_after) - passed])
                    break
                passed += len(data) * counted
                step = 7 if self.slowly else len(data)
                for start in range(0, len(data), step):
                    await sink.send_all(data[start : start + step])
                    if self.slowly:
                        await trio.sleep(self.slowly)
            nursery.cancel_scope.cancel()

        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(one_way, client, server, True)
                nursery.start_soon(one_way, server, client, False)
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        finally:
            try:
                await trio.aclose_forcefully(client)
            finally:  # closing ends in a checkpoint, where the test's own end arrives
                await trio.aclose_forcefully(server)

    async def _carry_late(self, client: trio.SocketStream, server: trio.SocketStream, until: trio.Event) -> None:
        async with server:
            async with client:
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += bytes(await client.receive_some(1))
                await server.send_all(request)
                await client.send_all(bytes(await server.receive_some()))
                frames, hello = Frames(upgraded=True), b""
                while not frames.count:
                    hello += frames.doubled(bytes(await client.receive_some()))
            await until.wait()
            with suppress(trio.BrokenResourceError):
                await server.send_all(hello[: len(hello) // 2])
                while await server.receive_some():
                    pass
        self.arrived_late += 1


class Frames:
    """A client's side of a WebSocket connection, cut into frames: bytes in, the same with each frame twice out."""

    def __init__(self, *, upgraded: bool = False) -> None:
        self._rest = b""
        self._upgraded = upgraded
        self.count = 0

    def doubled(self, data: bytes) -> bytes:
        self._rest += data
        found = b""
        if not self._upgraded:
            request, end, self._rest = self._rest.partition(b"\r\n\r\n")
            if not end:
                self._rest = request
                return b""
            self._upgraded, found = True, request + end
        while (size := self._frame_size()) is not None and len(self._rest) >= size:
            frame, self._rest = self._rest[:size], self._rest[size:]
            found += frame * 2
            self.count += 1
        return found

    def _frame_size(self) -> int | None:
        """Of the first frame, its header and mask included; None where its header has not come yet."""
        if len(self._rest) < 10:
            return None if len(self._rest) < 2 or self._rest[1] & 0x7F > 125 else 6 + (self._rest[1] & 0x7F)
        match self._rest[1] & 0x7F:
            case 126:
                return 8 + int.from_bytes(self._rest[2:4], "big")
            case 127:
                return 14 + int.from_bytes(self._rest[2:10], "big")
            case short:
                return 6 + short


@asynccontextmanager
async def between(target: int) -> AsyncIterator[FaultyWire]:
    """A proxy to the port `target` for as long as the block lasts."""
    wire = FaultyWire(target)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, wire.carry, 0, host="127.0.0.1"))
        wire.port = listeners[0].socket.getsockname()[1]
        yield wire
        nursery.cancel_scope.cancel()
