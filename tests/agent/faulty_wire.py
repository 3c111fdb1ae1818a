"""A small TCP proxy that does to a connection what networks do: cut it in mid-frame, fall silent, crawl."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import trio


@dataclass
class FaultyWire:
    """`cut_after`: bytes towards the server after which both ends are dropped. `silent`: nothing passes any more,
    and nobody is told. `slowly`: seconds between single small pieces."""

    target: int
    port: int = 0
    cut_after: float = math.inf
    silent: bool = False
    slowly: float = 0.0
    connections: int = 0

    async def carry(self, client: trio.SocketStream) -> None:
        self.connections += 1
        server = await trio.open_tcp_stream("127.0.0.1", self.target)
        passed = 0

        async def one_way(source: trio.SocketStream, sink: trio.SocketStream, counted: bool) -> None:
            nonlocal passed
            async for data in source:
                if self.silent:
                    continue
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


@asynccontextmanager
async def between(target: int) -> AsyncIterator[FaultyWire]:
    """A proxy to the port `target` for as long as the block lasts."""
    wire = FaultyWire(target)
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, wire.carry, 0, host="127.0.0.1"))
        wire.port = listeners[0].socket.getsockname()[1]
        yield wire
        nursery.cancel_scope.cancel()
