"""Who waits at a port is taken in at once and begun with in turn. Real sockets; all connect before anybody listens."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import trio

from rmactors.server.edges import listener
from rmactors.server.edges.listener import Arrivals, Peer, Port
from tests.actors.works import until

CROWD, OTHER = "127.0.0.3", "127.0.0.4"


class Queue:
    """Connections to a port that nobody looks at yet."""

    def __init__(self, listeners: list[trio.SocketListener], streams: AsyncExitStack) -> None:
        self.listeners, self._streams = listeners, streams
        self.port: int = listeners[0].socket.getsockname()[1]
        self.opened: list[trio.SocketStream] = []
        self.ports: list[int] = []

    async def join(self, address: str, times: int = 1) -> None:
        for _ in range(times):
            stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=address)
            self._streams.push_async_callback(trio.aclose_forcefully, stream)
            self.opened.append(stream)
            self.ports.append(stream.socket.getsockname()[1])


@asynccontextmanager
async def queue() -> AsyncIterator[Queue]:
    port = Port("127.0.0.1:0", 256)
    async with AsyncExitStack() as streams:
        yield Queue(await port.take(), streams)


@asynccontextmanager
async def served(
    waiting: Queue, most: int = listener.IN_LINE, is_proxy: Callable[[str], bool] = lambda _: False
) -> AsyncIterator[list[Peer]]:
    """Gives who was begun with, in that order."""
    begun: list[Peer] = []

    async def serve(stream: trio.SocketStream, peer: Peer) -> None:
        begun.append(peer)
        await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as tasks:
        tasks.start_soon(Arrivals(serve, tasks, is_proxy, most).run, waiting.listeners)
        yield begun
        tasks.cancel_scope.cancel()


async def test_a_connection_of_another_address_does_not_stand_behind_all_of_one() -> None:
    async with queue() as waiting:
        await waiting.join(CROWD, 50)
        await waiting.join(OTHER)
        async with served(waiting) as begun:
            await until(lambda: len(begun) == 51, lambda: f"{len(begun)}")
    assert [address for address, _ in begun].index(OTHER) < listener.BEGUN_AT_ONCE
    assert sorted(port for _, port in begun) == sorted(waiting.ports), "each once, and known by its name"


async def test_where_too_many_are_in_line_the_oldest_of_the_longest_goes() -> None:
    async with queue() as waiting:
        await waiting.join(OTHER, 2)
        await waiting.join(CROWD, 40)
        async with served(waiting, most=10) as begun:
            await until(lambda: len(begun) == 10, lambda: f"{len(begun)}")
            for gone in waiting.opened[2 : 2 + 32]:
                with trio.fail_after(120):
                    assert await closed(gone)
        assert sorted(port for _, port in begun) == sorted(waiting.ports[:2] + waiting.ports[-8:])


async def test_where_no_address_has_much_of_the_line_all_wait_outside_until_there_is_room() -> None:
    addresses = [f"127.0.0.{n}" for n in range(11, 31)]
    async with queue() as waiting:
        for address in addresses:
            await waiting.join(address, 2)
        async with served(waiting, most=20) as begun:
            await until(lambda: len(begun) == 40, lambda: f"{len(begun)}")
    assert sorted(port for _, port in begun) == sorted(waiting.ports), "each once"


async def closed(stream: trio.SocketStream) -> bool:
    try:
        return await stream.receive_some(1) == b""
    except trio.BrokenResourceError:
        return True


async def test_those_of_a_trusted_proxy_wait_outside_until_there_is_room() -> None:
    async with queue() as waiting:
        await waiting.join(CROWD, 40)
        async with served(waiting, most=10, is_proxy=partial(str.__eq__, CROWD)) as begun:
            await until(lambda: len(begun) == 40, lambda: f"{len(begun)}")
    assert sorted(port for _, port in begun) == sorted(waiting.ports), "each once"


async def test_who_is_in_line_when_it_stops_is_closed() -> None:
    async with queue() as waiting:
        await waiting.join(CROWD, 5 * listener.BEGUN_AT_ONCE)
        async with trio.open_nursery() as tasks:

            async def stop(stream: trio.SocketStream, _: Peer) -> None:
                tasks.cancel_scope.cancel()
                await trio.aclose_forcefully(stream)

            tasks.start_soon(Arrivals(stop, tasks, lambda _: False).run, waiting.listeners)
        for stream in waiting.opened:
            with trio.fail_after(120):
                assert await closed(stream)
