"""A server's end of the protocol, as small as it gets: it does what each test says, on a real socket."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio_websocket

from rmactors.common import wire
from tests.agent.server_double import listen

WELCOME = {
    "type": "welcome",
    "protocol": 1,
    "host_id": "01HZZZZZZZZZZZZZZZZZZZZZZZ",
    "server_now": "2026-01-01T00:00:00Z",
    "heartbeat_seconds": 30,
    "schedules_rev": 0,
    "schedules": [],
}


class Peer:
    """One accepted connection."""

    def __init__(self, connection: trio_websocket.WebSocketConnection) -> None:
        self.connection = connection

    async def send(self, frame: dict[str, Any]) -> None:
        await self.connection.send_message(json.dumps(frame))

    async def receive(self) -> dict[str, Any]:
        with trio.fail_after(30):
            found: dict[str, Any] = json.loads(await self.connection.get_message())
        return found

    async def welcome(self) -> dict[str, Any]:
        """Take the hello and greet back; the hello."""
        hello = await self.receive()
        await self.send(WELCOME)
        return hello


Script = Callable[[Peer], Awaitable[None]]


@dataclass
class Listener:
    """`scripts` are played one connection after the other; later connections are left alone until they end."""

    url: str = ""
    scripts: list[Script] = field(default_factory=list)
    status: int | None = None
    connections: int = 0
    done: trio.Event = field(default_factory=trio.Event)

    async def answer(self, request: trio_websocket.WebSocketRequest) -> None:
        if self.status is not None:
            await request.reject(self.status, extra_headers=[(wire.MARK.encode(), wire.MARK_OF_AGENTS.encode())])
            return
        number = self.connections
        self.connections += 1
        peer = Peer(await request.accept())
        if number < len(self.scripts):
            with suppress(trio_websocket.ConnectionClosed):  # the agent may go first
                await self.scripts[number](peer)
            if number + 1 == len(self.scripts):
                self.done.set()
        else:
            await trio.sleep_forever()


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    made = Listener()
    async with trio.open_nursery() as nursery:
        server = await nursery.start(listen, made.answer, "127.0.0.1", 0, None)
        made.url = f"ws://127.0.0.1:{server.port}/ws/agent"
        yield made
        nursery.cancel_scope.cancel()
