"""The sockets of a port and those who come to them.

They are opened before anything else starts, so that a port that is taken is said at once. All who wait at one are taken
in together; each address in turn, some are begun with at a time. So no client waits behind the thousand connections
that one address makes in a second, as in the kernel's queue.
"""

import errno
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from rmactors.server.config.settings import ALL_ADDRESSES, split_address
from rmactors.server.edges.addresses import throttle_key
from rmactors.server.edges.turns import Turns

_log = logging.getLogger(__name__)

BEGUN_AT_ONCE: Final = 8
"""Connections that are begun with between two looks at everything else that goes on."""
TAKEN_AT_ONCE: Final = 64
"""Connections that are taken in between two such looks."""
IN_LINE: Final = 1_000
"""Connections that are taken in and not begun with."""
CROWD_SHARE: Final = 10
"""An address with more than a tenth of the line is a crowd."""
PAUSE_SECONDS: Final = 0.1
_NO_ROOM: Final = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
_BROKEN: Final = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK}
"""Of the listening socket. Every other error is of the connection that would have been next."""

Peer = tuple[str, int]
"""Address and port at the other end."""


@dataclass(slots=True)
class Port:
    """What to listen on, as in the settings. The first `take` gives what `open` opened, a later one opens again."""

    address: str
    backlog: int
    _opened: list[trio.SocketListener] = field(default_factory=list)

    async def open(self) -> None:
        """Raises OSError if the address is taken or is not of this machine."""
        host, port = split_address(self.address)
        every = None if host == ALL_ADDRESSES else host  # None: one listener for IPv4, one for IPv6
        self._opened = await trio.open_tcp_listeners(port, host=every, backlog=self.backlog)

    async def take(self) -> list[trio.SocketListener]:
        """Listeners that belong to the caller from now on. Raises OSError."""
        if not self._opened:
            await self.open()
        opened, self._opened = self._opened, []
        return opened


@dataclass(slots=True, eq=False)
class Arrivals:
    """Those who come to a port. `serve` is started for each, in `tasks`, and has to close the stream.

    At most `most` are in line. If an address has much of the line, its oldest is closed for one more. Else one more
    waits in the kernel's queue: where thousands of hosts come back at once, those that were closed would come again. So
    it does where that address is a trusted proxy's, for the proxy is not who makes the connections. While there is more
    than a handful in line, `turn` is awaited before each handful.
    """

    serve: Callable[[trio.SocketStream, Peer], Awaitable[None]]
    tasks: trio.Nursery
    is_proxy: Callable[[str], bool]
    most: int = IN_LINE
    turn: Callable[[], Awaitable[None]] = trio.lowlevel.checkpoint
    _line: Turns[tuple[bool, str], tuple[socket.socket, Peer]] = field(default_factory=Turns)
    _changed: trio.lowlevel.ParkingLot = field(default_factory=trio.lowlevel.ParkingLot)

    async def run(self, listeners: list[trio.SocketListener]) -> None:
        """Until cancelled. Who is in line then is closed. Raises OSError if a listening socket breaks."""
        try:
            async with trio.open_nursery() as nursery:
                for listener in listeners:
                    nursery.start_soon(self._accept, listener)
                nursery.start_soon(self._begin)
        finally:
            while self._line:
                self._line.next()[0].close()

    async def _accept(self, listener: trio.SocketListener) -> None:
        async with listener:
            with socket.socket(fileno=os.dup(listener.socket.fileno())) as waiting:
                while True:
                    await trio.lowlevel.wait_readable(waiting)
                    if not self._take(waiting):
                        await trio.sleep(PAUSE_SECONDS)
                    while len(self._line) >= self.most:
                        await self._changed.park()

    def _take(self, waiting: socket.socket) -> bool:
        """Put into line who waits at the socket. False if no file is left for another."""
        for _ in range(TAKEN_AT_ONCE):
            if len(self._line) >= self.most and not self._crowd():
                return True
            try:
                accepted, peer = waiting.accept()
            except BlockingIOError:
                return True
            except OSError as error:
                if error.errno in _BROKEN:
                    raise
                if error.errno in _NO_ROOM:
                    _log.error("cannot take a connection in: %s; trying again", error)
                    return False
                continue
            address = str(peer[0])
            self._line.join((self.is_proxy(address), throttle_key(address)), (accepted, (address, int(peer[1]))))
            if len(self._line) > self.most:
                self._line.send_away(self._line.longest()[0])[0].close()
            self._changed.unpark_all()
        return True

    def _crowd(self) -> bool:
        """Whether one address, which is no proxy's, has so many in line that it can be blamed for its length."""
        (is_proxy, _), number = self._line.longest()
        return not is_proxy and number > self.most // CROWD_SHARE

    async def _begin(self) -> None:
        while True:
            while not self._line:
                await self._changed.park()
            if len(self._line) > BEGUN_AT_ONCE:
                await self.turn()
            else:
                await trio.lowlevel.checkpoint()
            for _ in range(min(BEGUN_AT_ONCE, len(self._line))):
                accepted, peer = self._line.next()
                self.tasks.start_soon(self.serve, trio.SocketStream(trio.socket.from_stdlib_socket(accepted)), peer)
            self._changed.unpark_all()
