"""The pages' port around a small application: real sockets, and what is made for whom is counted."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest
import trio
from quart import request
from quart_trio import QuartTrio

from rmactors import strangers
from rmactors.actors import web
from rmactors.actors.listening import Port
from rmactors.addresses import parse_networks
from rmactors.first_bytes import Headers
from tests.actors.works import until
from tests.e2e.hostile import read_all

STRANGER, OTHER = "203.0.113.5", "198.51.100.7"
FEW = 10
"""Connections that an address may have here."""
GOOD, WRONG = "Authorization: Bearer good", "Authorization: Bearer wrong"


@dataclass
class Site:
    """A port behind a trusted proxy, for which tests stand. `made`: protocols that stood around a connection."""

    port: int
    streams: AsyncExitStack
    made: int = 0
    asked_for: list[Headers] = field(default_factory=list)
    inside: int = 0

    async def knows(self, headers: Headers) -> bool:
        self.asked_for.append(headers)
        return (b"authorization", b"Bearer good") in headers

    async def send(self, address: str, *more: str, pieces: int = 1, rest: bytes = b"u") -> trio.SocketStream:
        """A request whose body does not come."""
        lines = ["POST / HTTP/1.1", "Host: x", f"X-Forwarded-For: {address}", "Content-Length: 9", *more, "", ""]
        data = "\r\n".join(lines).encode() + rest
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.push_async_callback(trio.aclose_forcefully, stream)
        size = -(-len(data) // pieces)
        await stream.send_all(data[:size])
        for start in range(size, len(data), size):
            await trio.testing.wait_all_tasks_blocked(0.001)
            await stream.send_all(data[start : start + size])
        return stream

    async def status(self, address: str, *more: str, pieces: int = 1, rest: bytes = b"u") -> str:
        """Of the answer to a request whose body has come."""
        stream = await self.send(address, *more, pieces=pieces, rest=rest)
        with trio.fail_after(120):
            return bytes(await stream.receive_some(65536))[9:12].decode()

    async def fill(self, address: str) -> None:
        for _ in range(FEW):
            await self.send(address)
        await until(lambda: self.inside == FEW, lambda: f"{self.inside} of {self.made}")


@asynccontextmanager
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(strangers, "PER_ADDRESS", FEW)
    port = Port("127.0.0.1:0", 256)
    listeners = await port.take()
    port._opened = listeners
    app = QuartTrio(__name__)
    async with AsyncExitStack() as streams, trio.open_nursery() as nursery:
        here = Site(listeners[0].socket.getsockname()[1], streams)

        class Protocol(web._Http1):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments)  # type: ignore[arg-type]
                here.made += 1

        @app.post("/")
        async def take() -> str:
            here.inside += 1
            await request.get_data()
            return "taken"

        monkeypatch.setattr(web, "_Http1", Protocol)
        settings = web.WebSettings(port, None, {"x-ours": "1"}, here.knows, parse_networks("127.0.0.1"))
        nursery.start_soon(web.run, settings, app, trio.Event(), lambda: None, lambda: None)
        yield here
        nursery.cancel_scope.cancel()


WHOLE = b"123456789"


async def test_a_stranger_too_many_is_refused_before_anything_is_made_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(monkeypatch) as here:
        await here.fill(STRANGER)
        made = here.made
        assert [await here.status(STRANGER) for _ in range(20)] == ["429"] * 20
        assert await here.status(STRANGER, pieces=7) == "429", "also where their head comes in pieces"
        assert await here.status(STRANGER, WRONG) == "429", "also with a credential that is none"
        assert here.made == made
        assert await here.status(OTHER, rest=WHOLE) == "200"
        assert await here.status(OTHER, pieces=7, rest=WHOLE) == "200"
        assert await here.status(STRANGER, GOOD, rest=WHOLE) == "200", "a place is kept back for who shows this"
        assert here.made == made + 3


async def test_the_early_refusal_is_whole_and_seen_by_who_still_sends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with site(monkeypatch) as here:
        await here.fill(STRANGER)
        stream = await here.send(STRANGER, rest=b"")
        with trio.fail_after(120):
            await stream.send_all(b"u" * 1_000_000)
            answer = await read_all(stream, 120)
    assert answer is not None, "still open"
    assert answer.startswith(b"HTTP/1.1 429 ")
    assert answer.endswith(b"\r\n\r\n")
    for header in (b"retry-after: 5", b"connection: close", b"content-length: 0", b"x-ours: 1"):
        assert header in answer.lower()


@pytest.mark.parametrize("data", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header\r\n\r\n"])
async def test_what_is_no_request_gets_its_answer_beside_too_many_strangers(
    monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    async with site(monkeypatch) as here:
        await here.fill(STRANGER)
        async with await trio.open_tcp_stream("127.0.0.1", here.port) as stream:
            await stream.send_all(data)
            answer = await read_all(stream, 120)
    assert answer is not None, "still open"
    assert answer.startswith(b"HTTP/1.1 400 ")
