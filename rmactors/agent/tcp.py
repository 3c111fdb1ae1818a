"""Connections to the first of several addresses that takes one."""

from collections.abc import Sequence
from typing import Final

import trio

from rmactors.agent.routes import Address

STAGGER_SECONDS: Final = 0.25
"""After this without an answer, the next address is tried as well (RFC 8305)."""


async def resolve(host: str, port: int) -> list[Address]:
    """The addresses of a name, families in turn. Raises OSError."""
    found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(Address(family, tuple(sockaddr)) for family, _, _, _, sockaddr in found))
    other = next((n for n, each in enumerate(addresses) if each.family != addresses[0].family), 1)
    return [*addresses[:1], *addresses[other : other + 1], *addresses[1:other], *addresses[other + 1 :]]


async def connect(addresses: Sequence[Address]) -> tuple[trio.SocketStream, Address]:
    """The first address that takes a connection; those in front have a start. Raises OSError, with what each said."""
    won: list[tuple[trio.SocketStream, Address]] = []
    errors: list[OSError] = []

    async def attempt(address: Address, failed: trio.Event) -> None:
        try:
            socket = trio.socket.socket(address.family, trio.socket.SOCK_STREAM)
        except OSError as error:
            errors.append(error)
            return failed.set()
        try:
            await socket.connect(address.sockaddr)
        except OSError as error:
            socket.close()
            errors.append(error)
            return failed.set()
        except BaseException:
            socket.close()
            raise
        if won:
            return socket.close()
        won.append((trio.SocketStream(socket), address))
        return nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(STAGGER_SECONDS):
                    await failed.wait()
    except BaseException:  # the deadline, in the moment in which one had won
        for stream, _ in won:
            await trio.aclose_forcefully(stream)
        raise
    if won:
        return won[0]
    raise OSError("no address takes a connection") from ExceptionGroup("attempts", errors)
