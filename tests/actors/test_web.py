"""The pages' port around a small application: real sockets, and what is made for whom is counted."""

import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
import trio.testing
from quart import Response, request
from quart_trio import QuartTrio

from harness.certificates import make_authority
from harness.hostile import read_all
from rmactors.server.edges import http, preauth_limits
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.first_bytes import Headers
from rmactors.server.edges.listener import Port
from tests.actors.works import until

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
    go_on: trio.Event = field(default_factory=trio.Event)
    ended: int = 0

    async def knows(self, headers: Headers) -> bool:
        self.asked_for.append(headers)
        return (b"authorization", b"Bearer good") in headers

    async def send(
        self, address: str, *more: str, pieces: int = 1, rest: bytes = b"u", header: bytes = b""
    ) -> trio.SocketStream:
        """A request whose body does not come."""
        lines = ["POST / HTTP/1.1", "Host: x", f"X-Forwarded-For: {address}", "Content-Length: 9", *more, "", ""]
        data = header + "\r\n".join(lines).encode() + rest
        stream = await trio.open_tcp_stream("127.0.0.1", self.port)
        self.streams.push_async_callback(trio.aclose_forcefully, stream)
        size = -(-len(data) // pieces)
        await stream.send_all(data[:size])
        for start in range(size, len(data), size):
            await trio.testing.wait_all_tasks_blocked(0.001)
            await stream.send_all(data[start : start + size])
        return stream

    async def whose(self, header: bytes, peer: str = "127.0.0.1", *, in_bytes: bool = False) -> str:
        """What a request behind this header is answered: its status, or the address that it is taken to be of."""
        data = header + b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        stream = await trio.open_tcp_stream("127.0.0.1", self.port, local_address=peer)
        self.streams.push_async_callback(trio.aclose_forcefully, stream)
        for part in (data[n : n + 1] for n in range(len(data))) if in_bytes else (data,):
            await stream.send_all(part)
        answer = await read_all(stream, 120)
        assert answer is not None, "still open"
        return answer.partition(b"whose: ")[2].decode() or answer[9:12].decode()

    async def status(self, address: str, *more: str, pieces: int = 1, rest: bytes = b"u", header: bytes = b"") -> str:
        """Of the answer to a request whose body has come."""
        stream = await self.send(address, *more, pieces=pieces, rest=rest, header=header)
        with trio.fail_after(120):
            return bytes(await stream.receive_some(65536))[9:12].decode()

    async def fill(self, address: str) -> None:
        for _ in range(FEW):
            await self.send(address)
        await until(lambda: self.inside == FEW, lambda: f"{self.inside} of {self.made}")


@asynccontextmanager
async def site(monkeypatch: pytest.MonkeyPatch, ssl_context: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    monkeypatch.setattr(preauth_limits, "PER_ADDRESS", FEW)
    port = Port("127.0.0.1:0", 256)
    listeners = await port.take()
    port._opened = listeners
    app = QuartTrio(__name__)
    async with AsyncExitStack() as streams, trio.open_nursery() as nursery:
        here = Site(listeners[0].socket.getsockname()[1], streams)

        class Protocol(http._Http1):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments)  # type: ignore[arg-type]
                here.made += 1

        @app.post("/")
        async def take() -> str:
            here.inside += 1
            await request.get_data()
            return "taken"

        @app.get("/")
        async def whose() -> str:
            return f"whose: {request.remote_addr}"

        @app.get("/held")
        async def hold() -> Response:
            async def lines() -> AsyncIterator[bytes]:
                here.inside += 1
                await here.go_on.wait()
                while True:
                    yield b"more\n"
                    await trio.lowlevel.checkpoint()

            response = Response(lines())
            response.timeout = None
            return response

        class Connection(http.Connection):
            async def run(self, *arguments: object) -> None:
                await super().run(*arguments)  # type: ignore[arg-type]
                here.ended += 1

        monkeypatch.setattr(http, "Connection", Connection)
        monkeypatch.setattr(http, "_Http1", Protocol)
        settings = http.WebSettings(
            port, ssl_context, {"x-ours": "1"}, here.knows, parse_networks("127.0.0.1, 192.0.2.200")
        )
        nursery.start_soon(http.run, settings, app, trio.Event(), lambda: None, lambda: None)
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


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\r\n\r\n", b"GET / HTTP/1.1\r\nBad Header\r\n\r\n"], ids=["TLS", "a bad header"]
)
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


async def test_who_leaves_with_a_request_behind_the_one_in_flight_leaves_no_place_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site(monkeypatch) as here:
        whole = "\r\n".join(["GET /held HTTP/1.1", "Host: x", f"X-Forwarded-For: {STRANGER}", "", ""]).encode()
        for number in range(FEW):
            async with await trio.open_tcp_stream("127.0.0.1", here.port) as stream:
                await stream.send_all(whole * 2)
                await until(lambda number=number: here.inside == number + 1)
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # leaves by a reset
        assert await here.status(STRANGER, rest=WHOLE) == "429"
        here.go_on.set()
        await until(lambda: here.ended == FEW, lambda: f"{here.ended} of {FEW} have ended")
        assert await here.status(STRANGER, rest=WHOLE) == "200"


# ---- the PROXY protocol

CLIENT = b"PROXY TCP4 203.0.113.5 192.0.2.2 4711 443\r\n"
BINARY = b"\r\n\r\n\x00\r\nQUIT\n"
CLIENT_2 = (
    BINARY + b"\x21\x11\x00\x13" + bytes([203, 0, 113, 5, 192, 0, 2, 2]) + b"\x12\x67\x01\xbb" + b"\x04\x00\x04pads"
)
ASKED = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.mark.parametrize("in_bytes", [False, True])
@pytest.mark.parametrize(
    ("header", "whose"),
    [
        (b"", "127.0.0.1"),
        (CLIENT, "203.0.113.5"),
        (b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", "2001:db8::1"),
        (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
        (CLIENT_2, "203.0.113.5"),
        (BINARY + b"\x20\x00\x00\x00", "127.0.0.1"),
        (CLIENT + CLIENT_2, "400"),
        (CLIENT_2 + CLIENT, "400"),
        (CLIENT.replace(b"4711", b"99999"), "400"),
        (CLIENT_2.replace(b"\x21\x11", b"\x31\x11"), "400"),
        (b"PROXY " + b"x" * 200 + b"\r\n", "400"),
    ],
    ids=[
        "none",
        "1",
        "1, IPv6",
        "1, unknown",
        "2",
        "2, local",
        "1 and 2",
        "2 and 1",
        "bad port",
        "bad version",
        "long",
    ],
)
async def test_a_trusted_proxy_says_whose_a_connection_is(
    monkeypatch: pytest.MonkeyPatch, header: bytes, whose: str, in_bytes: bool
) -> None:
    async with site(monkeypatch) as here:
        assert await here.whose(header, in_bytes=in_bytes) == whose


@pytest.mark.parametrize("header", [CLIENT, CLIENT_2, b"PROXY UNKNOWN\r\n"], ids=["1", "2", "unknown"])
async def test_from_anybody_else_the_header_is_no_request(monkeypatch: pytest.MonkeyPatch, header: bytes) -> None:
    async with site(monkeypatch) as here:
        assert await here.whose(header, "127.0.0.2") == "400"


async def test_strangers_are_counted_by_whom_the_proxy_names_and_they_name_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with site(monkeypatch) as here:
        for number in range(FEW):
            await here.send(f"198.51.100.{number}", header=CLIENT)
        await until(lambda: here.inside == FEW, lambda: f"{here.inside} of {here.made}")
        assert await here.status(OTHER, header=CLIENT_2) == "429", "X-Forwarded-For of a client is not believed"
        assert await here.status(OTHER, rest=WHOLE) == "200"
        trusted = CLIENT.replace(b"203.0.113.5", b"192.0.2.200")
        assert await here.status(STRANGER, header=trusted) == "429", "of a trusted proxy before the first it is"
        assert await here.status(OTHER, header=trusted, rest=WHOLE) == "200"


async def test_the_header_comes_before_tls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = make_authority(tmp_path)
    async with site(monkeypatch, authority.server) as here:
        for header, whose in ((CLIENT, b"203.0.113.5"), (CLIENT_2, b"203.0.113.5"), (b"", b"127.0.0.1")):
            tcp = await trio.open_tcp_stream("127.0.0.1", here.port)
            await tcp.send_all(header)
            async with trio.SSLStream(
                tcp, authority.trusting(), server_hostname="localhost", https_compatible=True
            ) as stream:
                await stream.send_all(ASKED)
                answer = b""
                with trio.fail_after(120):
                    while not answer.endswith(b"whose: " + whose):
                        chunk = await stream.receive_some(65536)
                        assert chunk, answer
                        answer += chunk


async def test_a_header_that_does_not_come_to_its_end_ends(
    monkeypatch: pytest.MonkeyPatch, mock_clock: trio.testing.MockClock
) -> None:
    async with site(monkeypatch) as here:
        for half in (b"", b"PROX", CLIENT[:-1], CLIENT_2[:-1]):
            stream = await trio.open_tcp_stream("127.0.0.1", here.port)
            here.streams.push_async_callback(trio.aclose_forcefully, stream)
            await stream.send_all(half)
            ended: list[bytes] = []

            async def listen(stream: trio.SocketStream = stream, ended: list[bytes] = ended) -> None:
                ended.append(await stream.receive_some(100))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(listen)
                end = time.monotonic() + 120
                while not ended:
                    assert time.monotonic() < end, "still open"
                    await trio.testing.wait_all_tasks_blocked(0.02)
                    mock_clock.jump(6)
            assert ended == [b""]
