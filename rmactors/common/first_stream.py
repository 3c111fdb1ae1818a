"""A connection to the first of several addresses that takes one."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

import trio

HEAD_START_SECONDS: Final = 0.25
"""After this without an answer, the next address is tried as well (RFC 8305)."""

A = TypeVar("A")


class NoneOpened(Exception):
    """Not one address took a connection. `errors`: what came of each, in the order in which they failed."""

    def __init__(self, errors: list[OSError]) -> None:
        super().__init__(*errors)
        self.errors = errors


async def first_stream(
    addresses: Sequence[A], open_one: Callable[[A], Awaitable[trio.SocketStream]]
) -> tuple[trio.SocketStream, A]:
    """Those in front have a start. `open_one` raises OSError where there is no connection. Raises NoneOpened; where it
    is cancelled, nothing stays open."""
    won: list[tuple[trio.SocketStream, A]] = []
    errors: list[OSError] = []

    async def attempt(address: A, failed: trio.Event) -> None:
        try:
            stream = await open_one(address)
        except OSError as error:
            errors.append(error)
            failed.set()
            return
        if won:
            await trio.aclose_forcefully(stream)
        else:
            won.append((stream, address))
            nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for address in addresses:
                failed = trio.Event()
                nursery.start_soon(attempt, address, failed)
                with trio.move_on_after(HEAD_START_SECONDS):
                    await failed.wait()
    except BaseException:  # the deadline, in the moment in which one had won
        for stream, _ in won:
            await trio.aclose_forcefully(stream)
        raise
    if won:
        return won[0]
    raise NoneOpened(errors)
