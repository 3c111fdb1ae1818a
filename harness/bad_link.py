"""A link between one agent and its server that can do what bad links do: a TCP proxy on loopback.

It owns the sockets of every connection that the agent makes. What happens to them and when is `link_faults`'s; this
must not know why. Bytes are never changed: they pass, wait, crawl, or never come.
"""

import math
import random
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import Enum

import trio

CHUNKS = 64
"""Pieces that wait in one direction of a connection; then its sender has to, as where a kernel's buffer is full."""
GONE = (trio.BrokenResourceError, trio.ClosedResourceError)


class End(Enum):
    """How a side left: what it had sent before comes first."""

    FIN = "fin"
    RESET = "reset"


@dataclass(slots=True)
class Way:
    """One direction, of all connections. `delay` and `jitter` in seconds, `rate` in bytes a second."""

    delay: float = 0.0
    jitter: float = 0.0
    rate: float = math.inf
    _passes: trio.Event = field(default_factory=trio.Event)

    def __post_init__(self) -> None:
        self._passes.set()

    def hold(self) -> None:
        """Nothing comes any more, also no end; what is sent meanwhile waits."""
        if self._passes.is_set():
            self._passes = trio.Event()

    def heal(self) -> None:
        self.delay, self.jitter, self.rate = 0.0, 0.0, math.inf
        self._passes.set()

    async def is_open(self) -> None:
        while not self._passes.is_set():
            await self._passes.wait()

    def latency(self) -> float:
        return self.delay + random.uniform(0, self.jitter)


class Crossing:
    """One connection: two sockets, and what is in flight between them.

    `dead`: nothing of it comes any more, and neither end is told. `hello` is set once the agent's first frame may pass,
    `hello_waits` once it is there and may not. `server_left`: the server has closed its end.
    """

    def __init__(
        self, link: "BadLink", agent: trio.SocketStream, server: trio.SocketStream, *, hold_hello: bool
    ) -> None:
        self.dead = False
        self.server_left = False
        self.hello, self.hello_waits = trio.Event(), trio.Event()
        if not hold_hello:
            self.hello.set()
        self._cut_after = math.inf
        self._passed = 0
        self._link, self._agent, self._server = link, agent, server
        self._scope = trio.CancelScope()
        self._upgraded = False

    async def run(self) -> None:
        """Until both sides have left, or it is cut."""
        try:
            with self._scope:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._carry, self._agent, self._server, self._link.to_server)
                    nursery.start_soon(self._carry, self._server, self._agent, self._link.to_agent)
        finally:
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(self._agent)
                await trio.aclose_forcefully(self._server)

    def cut(self, *, reset: bool) -> None:
        """Both ends are closed at once."""
        if reset:
            _will_reset(self._agent)
            _will_reset(self._server)
        self._scope.cancel()

    def cut_after(self, more: int) -> None:
        """When the agent has sent so many bytes more, in the middle of what it says."""
        self._cut_after = self._passed + more

    def heal(self) -> None:
        self._cut_after = math.inf
        self.hello.set()

    def reset_agent(self) -> None:
        """The agent's end is gone with a reset, as by a NAT that has forgotten it. The server is told nothing."""
        _will_reset(self._agent)
        self._agent.socket.close()

    async def _carry(self, source: trio.SocketStream, sink: trio.SocketStream, way: Way) -> None:
        send, receive = trio.open_memory_channel[tuple[float, bytes | End]](CHUNKS)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, source, way, send)
            with receive:
                async for due, item in receive:
                    await trio.sleep_until(due)
                    await way.is_open()
                    if way is self._link.to_server and not self.hello.is_set() and isinstance(item, bytes):
                        item = await self._without_hello(item, sink)
                    if not self.dead:
                        with suppress(*GONE):  # an end that has left takes nothing, and says so by itself
                            await self._pass(item, sink, way)

    async def _read(
        self, source: trio.SocketStream, way: Way, send: "trio.MemorySendChannel[tuple[float, bytes | End]]"
    ) -> None:
        due = 0.0
        with send:
            while True:
                item: bytes | End
                try:
                    item = bytes(await source.receive_some(65536)) or End.FIN
                except trio.BrokenResourceError:
                    item = End.RESET
                except trio.ClosedResourceError:
                    return  # by `reset_agent`
                due = max(due, trio.current_time() + way.latency())
                if source is self._server and isinstance(item, End):
                    self.server_left = True
                await send.send((due, item))
                if isinstance(item, End):
                    return

    async def _without_hello(self, data: bytes, sink: trio.SocketStream) -> bytes:
        """The request for the upgrade passes; what follows it waits."""
        if not self._upgraded:
            head, end, data = data.partition(b"\r\n\r\n")
            self._upgraded = bool(end)
            with suppress(*GONE):
                await sink.send_all(head + end)
        if data:
            self.hello_waits.set()
            self._link.notice()
            await self.hello.wait()
        return data

    async def _pass(self, item: bytes | End, sink: trio.SocketStream, way: Way) -> None:
        match item:
            case End.FIN:
                await sink.send_eof()
            case End.RESET:
                self.cut(reset=True)
            case bytes():
                if sink is self._agent:
                    self._link.hears(self, item)
                else:
                    item = self._as_far_as_it_comes(item)
                step = max(1, len(item) if math.isinf(way.rate) else int(way.rate / 20))
                for start in range(0, len(item), step):
                    await sink.send_all(item[start : start + step])
                    if step < len(item):
                        await trio.sleep(step / way.rate)
                if sink is self._server and self._passed >= self._cut_after:
                    self.cut(reset=True)

    def _as_far_as_it_comes(self, data: bytes) -> bytes:
        data = data[: int(min(len(data), self._cut_after - self._passed))]
        self._passed += len(data)
        return data


class BadLink:
    """Listens on `port` of the loopback interface and leads to `target`. Well until somebody makes it ill.

    `welcomes`  how often the server welcomed the agent on its newest connection
    `signs`     how often anything else of a WebSocket passed to the agent on it
    """

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.to_server, self.to_agent = Way(), Way()
        self.hold_hellos = False
        """Of connections that are made from now on."""
        self.crossings: list[Crossing] = []
        """Those that are there, the newest last."""
        self.made = 0
        self.welcomes = 0
        self.signs = 0
        self._accepts, self._listens = trio.Event(), trio.Event()
        self._listening = trio.CancelScope()
        self._changed = trio.Event()

    def refuse(self) -> None:
        """No new connection: the port is closed. What is there stays."""
        self._listens = trio.Event()
        self._listening.cancel()

    def swallow(self) -> None:
        """The kernel takes new connections, and they are not read until the link is healed."""
        self._accepts = trio.Event()

    def heal(self) -> None:
        """All is well again. What is dead stays dead, what waited comes late."""
        self.to_server.heal()
        self.to_agent.heal()
        self.hold_hellos = False
        for crossing in self.crossings:
            crossing.heal()
        self._accepts.set()
        self._listens.set()

    def cut(self, *, reset: bool) -> None:
        for crossing in list(self.crossings):
            crossing.cut(reset=reset)

    def die(self) -> None:
        """What is there is dead from now on, and neither end is told."""
        for crossing in self.crossings:
            crossing.dead = True

    def hears(self, crossing: Crossing, data: bytes) -> None:
        """What the server says passes to the agent."""
        if crossing is self.crossings[-1] and not data.startswith(b"HTTP/"):
            self.signs += 1
            self.welcomes += b'"type":"welcome"' in data
            self.notice()

    def notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Of this link. Waits as long as it takes."""
        while not holds():
            await self._changed.wait()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        self.heal()
        with _bound(0) as holder:  # keeps the port ours while nothing listens on it
            self.port = holder.getsockname()[1]
            async with trio.open_nursery() as crossings:
                while True:
                    await self._listens.wait()
                    listener = _bound(self.port)
                    listener.listen(512)
                    listener.setblocking(False)
                    self._listening = trio.CancelScope()
                    with self._listening:
                        task_status.started()
                        task_status = trio.TASK_STATUS_IGNORED
                        await self._accept(trio.SocketListener(trio.socket.from_stdlib_socket(listener)), crossings)

    async def _accept(self, listener: trio.SocketListener, crossings: trio.Nursery) -> None:
        async with listener:
            while True:
                stream = await listener.accept()
                await self._accepts.wait()
                crossings.start_soon(self._cross, stream)

    async def _cross(self, agent: trio.SocketStream) -> None:
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self.target)
        except OSError:
            await trio.aclose_forcefully(agent)
            return
        crossing = Crossing(self, agent, server, hold_hello=self.hold_hellos)
        self.made += 1
        self.crossings.append(crossing)
        self.notice()
        try:
            await crossing.run()
        finally:
            self.crossings.remove(crossing)
            self.notice()


def _will_reset(stream: trio.SocketStream) -> None:
    """Closing it is a reset: the other end learns nothing else."""
    with suppress(OSError):  # closed before
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _bound(port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound
