"""Waiting for the first of several things."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

import trio

T = TypeVar("T")


async def race(main: Callable[[], Awaitable[T]], *others: Callable[[], Awaitable[object]]) -> T | None:
    """Run `main`, in the task that calls this, beside the others: its result, or None if one of them ended first.

    What has not ended is cancelled. What one raises comes out in a group, as from every nursery.
    """
    result: T | None = None
    async with trio.open_nursery() as nursery:

        async def run(other: Callable[[], Awaitable[object]]) -> None:
            await other()
            nursery.cancel_scope.cancel()

        for other in others:
            nursery.start_soon(run, other)
        result = await main()
        nursery.cancel_scope.cancel()
    return result
