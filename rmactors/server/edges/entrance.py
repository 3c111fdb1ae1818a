"""How a connection comes in, on both ports: contained, with a slot among those not signed in, and in time.

Whatever goes wrong in a connection stays in it. Before its first request come, within a deadline, what a trusted proxy
says of it and the handshake of TLS.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

import trio

from rmactors.server.edges import first_bytes
from rmactors.server.edges.listener import Peer
from rmactors.server.edges.preauth_limits import PreauthLimits, Slot

_log = logging.getLogger(__name__)

HANDSHAKE_SECONDS: Final = 15.0
"""TLS and request headers must be complete within this, counted from the connection."""
PROXY_HANDSHAKE_SECONDS: Final = 5.0
"""The same for a trusted proxy, which has the headers before it connects."""


@dataclass(slots=True, eq=False)
class Entrance:
    """The way in of one port. At most `most` connections are open, one more is closed at once. `ends_without_notice`:
    over TLS, peers may leave without saying so, as HTTP allows."""

    limits: PreauthLimits
    tls: ssl.SSLContext | None
    most: int = 1 << 30
    ends_without_notice: bool = False
    _open: int = 0
    _beginning: set[trio.CancelScope] = field(default_factory=set)

    async def contain(
        self, tcp: trio.SocketStream, peer: Peer, serve: Callable[[trio.SocketStream, Peer, Slot], Awaitable[None]]
    ) -> None:
        """One connection from its first byte to its end. Raises nothing of its own."""
        if self._open >= self.most:
            await trio.aclose_forcefully(tcp)
            return
        self._open += 1
        try:
            with trio.CancelScope() as scope:

                def give_up() -> None:
                    scope.cancel()
                    tcp.socket.close()  # also for what is shielded: nothing more can be sent

                slot = self.limits.admit(peer[0], give_up)
                try:
                    await serve(tcp, peer, slot)
                finally:
                    slot.leave()
        except Exception as error:
            _log.debug("connection from %s ended: %r", peer[0], error)
        finally:
            self._open -= 1
            await trio.aclose_forcefully(tcp)

    @contextmanager
    def begin(self, peer: Peer) -> Iterator[trio.CancelScope]:
        """Around all that comes before the connection can be used. Left at its deadline, or when the server stops."""
        seconds = PROXY_HANDSHAKE_SECONDS if self.limits.is_proxy(peer[0]) else HANDSHAKE_SECONDS
        with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
            self._beginning.add(scope)
            try:
                yield scope
            finally:
                self._beginning.discard(scope)

    async def open(
        self, tcp: trio.SocketStream, peer: Peer, slot: Slot, scope: trio.CancelScope
    ) -> tuple[trio.abc.Stream, Peer]:
        """The stream of what follows, and from whom it is. `scope` is that of `begin`. Raises trio.BrokenResourceError,
        ssl.SSLError."""
        stream: trio.abc.Stream = tcp
        if self.limits.is_proxy(peer[0]):
            behind, stream = await first_bytes.behind(tcp)
            if behind is not None:
                peer = behind
                slot.is_of(peer[0])
                if not self.limits.is_proxy(peer[0]):
                    scope.deadline += HANDSHAKE_SECONDS - PROXY_HANDSHAKE_SECONDS
        if self.tls is not None:
            stream = trio.SSLStream(stream, self.tls, server_side=True, https_compatible=self.ends_without_notice)
            await stream.do_handshake()
        return stream, peer

    def hurry(self) -> None:
        """The server stops: end what has not come in yet."""
        for scope in self._beginning:
            scope.cancel()
