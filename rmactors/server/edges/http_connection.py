"""What the pages' port needs of one connection: bytes between a stream and hypercorn's protocol, each wait bounded."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf
from typing import Final

import trio
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol

from rmactors.server.edges.first_bytes import RECEIVE_BYTES, Head, read_head
from rmactors.server.edges.preauth_limits import Slot

HEADERS_SECONDS: Final = 15.0
"""TLS and complete request headers must be there by then, counted from the connection or from the last answer."""
SEND_SECONDS: Final = 30.0
LINGER_SECONDS: Final = 2.0
"""After an answer that ends a connection: as long as what the peer still sends is read and thrown away, so that it
sees the answer and not a reset."""
LINGER_HURRIED_SECONDS: Final = 0.1
AFTERWARDS_SECONDS: Final = 30.0
"""After a peer has gone: as long as its request may still take."""


class Shield:
    """Around what no cancelling should cut in two. Each has a deadline, which comes nearer when the server stops."""

    def __init__(self) -> None:
        self._latest = inf
        self._scopes: set[trio.CancelScope] = set()

    @contextmanager
    def hold(self, seconds: float) -> Iterator[trio.CancelScope]:
        deadline = min(trio.current_time() + seconds, self._latest)
        with trio.CancelScope(deadline=deadline, shield=True) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def end_by(self, latest: float) -> None:
        self._latest = latest
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, latest)


class Connection:
    """One browser's connection: bytes between a stream and the protocol, each wait with a deadline.

    `scope` is around all of it, requests included.
    """

    def __init__(self, stream: trio.abc.Stream, headers_until: float, shield: Shield, slot: Slot) -> None:
        self.scope = trio.CancelScope()
        self._stream = stream
        self._slot = slot
        self._shield = shield
        self._sending = trio.Lock()
        self._protocol: H11Protocol | None = None
        self._reading = trio.CancelScope(deadline=headers_until)
        self._linger = LINGER_SECONDS
        self._idle = True
        self._over = False

    async def hear(self) -> Head | None:
        """The head of the first request; None if it does not come in time, or the server stops."""
        with self._reading:
            return await read_head(self._stream)
        return None

    async def turn_away(self, answer: bytes) -> None:
        """Say this and no more."""
        self._reading = trio.CancelScope()
        with trio.move_on_after(SEND_SECONDS):
            await self._stream.send_all(answer)
        await self._say_end()
        with self._reading:
            while await self._stream.receive_some(RECEIVE_BYTES):
                pass

    async def run(self, protocol: H11Protocol, heard: bytes) -> None:
        """Until the peer leaves, is too slow, or has its last answer. `heard` is what was read already."""
        self._protocol = protocol
        await protocol.initiate()
        self._reading = trio.CancelScope(deadline=self._reading.deadline)
        with self._reading:
            if heard:
                self._slot.takes(len(heard))
                await protocol.handle(RawData(heard))
            await self._read(protocol)
        if self._idle or self._over:  # nothing is in progress that should notice
            self.scope.cancel()
            return
        self.scope.deadline = trio.current_time() + AFTERWARDS_SECONDS
        await protocol.handle(Closed())

    def hurry(self) -> None:
        """The server stops: end now, or as soon as the current answer is out."""
        self._linger = LINGER_HURRIED_SECONDS
        if self._idle or self._over:
            self._reading.cancel()

    async def send(self, event: Event) -> None:
        """What the protocol has to say: bytes, whether a request is in progress, that this was all."""
        assert self._protocol is not None
        match event:
            case RawData():
                async with self._sending:
                    try:
                        with self._shield.hold(SEND_SECONDS) as sending:
                            await self._stream.send_all(event.data)
                        if not sending.cancelled_caught:
                            return
                        await trio.aclose_forcefully(self._stream)
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        pass
                await self._protocol.handle(Closed())
                self._reading.cancel()  # it may wait for the end of this request, to begin with the next one
            case Updated():
                self._idle = event.idle
                if event.idle:
                    self._slot.waits()
                self._reading.deadline = trio.current_time() + HEADERS_SECONDS if event.idle else inf
            case Closed():
                await self._say_end()

    async def _read(self, protocol: H11Protocol) -> None:
        while True:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            if not self._over:
                self._slot.takes(len(data))
                await protocol.handle(RawData(bytes(data)))

    async def _say_end(self) -> None:
        """No more will be sent. What still comes is read for a moment and thrown away."""
        if self._over:
            return
        self._over = True
        self._reading.deadline = trio.current_time() + self._linger
        if isinstance(self._stream, trio.abc.HalfCloseableStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._reading.cancel()
