"""Connections to the first of several addresses that takes one."""

from collections.abc import Sequence

import trio

from rmactors.agent.routes import Address
from rmactors.common.first_stream import NoneOpened, first_stream


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a name, families in turn. Raises OSError."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(Address(family, tuple(sockaddr)) for family, _, _, _, sockaddr in found))
    other = next((n for n, each in enumerate(addresses) if each.family != addresses[0].family), 1)
    return [*addresses[:1], *addresses[other : other + 1], *addresses[1:other], *addresses[other + 1 :]]


async def connect(addresses: Sequence[Address]) -> tuple[trio.SocketStream, Address]:
    """The first address that takes a connection. Raises OSError, with what each said."""
    try:
        return await first_stream(addresses, _open)
    except NoneOpened as none:
        raise OSError("no address takes a connection") from ExceptionGroup("attempts", none.errors)


async def _open(address: Address) -> trio.SocketStream:
    socket = trio.socket.socket(address.family, trio.socket.SOCK_STREAM)
    try:
        await socket.connect(address.sockaddr)
    except BaseException:
        socket.close()
        raise
    return trio.SocketStream(socket)
