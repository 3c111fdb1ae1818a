"""How the measurements put load on a server: hosts of raw sockets, alerts at a pace, and when their webhooks arrive."""

import math
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import trio

from bench.process import percentile
from harness.processes import Server
from harness.rawsocket import RawSocket
from harness.sink import Request, Sink
from rmactors.simulate.agent import SimCredential
from rmactors.simulate.enroll import enroll_many


async def enrolled(server: Server, count: int, prefix: str) -> list[SimCredential]:
    names = [f"{prefix}-{n:05}" for n in range(count)]
    return await enroll_many(server.url, server.token, server.agent_url, names)


@asynccontextmanager
async def connected(server: Server, credentials: list[SimCredential]) -> AsyncIterator[list[RawSocket]]:
    """All of them, welcomed, in their order."""
    links: list[RawSocket | None] = [None] * len(credentials)
    waiting = iter(enumerate(credentials))

    async def connect_from_list() -> None:
        for number, credential in waiting:
            links[number] = await RawSocket.connect(server.agent_port, credential)

    async with trio.open_nursery() as nursery:
        for _ in range(16):
            nursery.start_soon(connect_from_list)
    open_links = [link for link in links if link is not None]
    try:
        yield open_links
    finally:
        for link in open_links:
            await link.aclose()


async def pump_all(links: list[RawSocket], frames: list[list[bytes]], window: int) -> float:
    """Send each link's frames at full speed; seconds until the last ack."""
    began = time.monotonic()
    async with trio.open_nursery() as nursery:
        for link, own in zip(links, frames, strict=True):
            nursery.start_soon(link.pump, own, window)
    return time.monotonic() - began


_NAME: Final = re.compile(rb"[a-z-]+-[0-9]+")
"""Of a plan or a host, anywhere in the words of a message: so it is found in that of every kind of channel."""


class Clockwork:
    """Raises at a pace, and how long each takes to its webhook. One at a time per sink."""

    def __init__(self, sink: Sink, path: str) -> None:
        self._sink, self._path = sink, path
        self._sent: dict[str, float] = {}
        self.milliseconds: list[float] = []
        self._all_there = trio.Event()

    def _arrived(self, request: Request) -> None:
        if request.path != self._path:
            return
        for name in _NAME.findall(request.raw):
            if (began := self._sent.pop(name.decode(), None)) is not None:
                self.milliseconds.append((request.at - began) * 1000)
        if not self._sent:
            self._all_there.set()

    async def run(self, links: list[RawSocket], per_second: float, seconds: float, label: str) -> None:
        """New alerts evenly spaced, each on the next link; waits for the last webhook, at most ten seconds.

        Those that had not arrived then count as taking forever: nothing slow drops out of the figures.
        """
        self._sink.on_request = self._arrived
        async with trio.open_nursery() as nursery:
            for link in links:
                nursery.start_soon(link.swallow)
            began = trio.current_time()
            for number in range(int(per_second * seconds)):
                await trio.sleep_until(began + number / per_second)
                plan = f"{label}-{number}"
                frame = links[number % len(links)].report(plan)
                self._sent[plan] = time.monotonic()
                await links[number % len(links)].send(frame)
            with trio.move_on_after(10):
                while self._sent:
                    self._all_there = trio.Event()
                    await self._all_there.wait()
            nursery.cancel_scope.cancel()
        self._sink.on_request = None
        self.milliseconds += [math.inf] * len(self._sent)

    def p(self, share: float) -> float:
        return percentile(self.milliseconds, share)
