"""The sockets of a port, opened before anything else starts, so that a port that is taken is said at once."""

from dataclasses import dataclass, field

import trio

from rmactors.settings import ALL_ADDRESSES, split_address


@dataclass(slots=True)
class Port:
    """What to listen on, as in the settings. The first `take` gives what `open` opened, a later one opens again."""

    address: str
    backlog: int
    _opened: list[trio.SocketListener] = field(default_factory=list)

    async def open(self) -> None:
        """Raises OSError where the address is taken or is not of this machine."""
        host, port = split_address(self.address)
        every = None if host == ALL_ADDRESSES else host  # None: one listener for IPv4, one for IPv6
        self._opened = await trio.open_tcp_listeners(port, host=every, backlog=self.backlog)

    async def take(self) -> list[trio.SocketListener]:
        """Listeners that belong to the caller from now on. Raises OSError."""
        if not self._opened:
            await self.open()
        opened, self._opened = self._opened, []
        return opened
