"""The agents' port with real sockets on a clock that tests turn: who has to go, who may stay, who has to wait.

Rules, store and host actors are the real ones where the answer comes from them.
"""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import trio
import trio_websocket
from trio.testing import MockClock, wait_all_tasks_blocked

from harness.agents import hello
from harness.hostile import read_all, upgrade
from harness.rawsocket import text_frame
from rmactors.common import clock, ids, wire
from rmactors.server.config import tokens
from rmactors.server.edges import admission, gateway, listener, preauth_limits
from rmactors.server.edges.addresses import parse_networks
from rmactors.server.edges.agent_socket import AgentSocket
from rmactors.server.edges.listener import Port
from rmactors.server.edges.places import PATIENCE, SILENT
from rmactors.server.edges.preauth_limits import PER_ADDRESS
from rmactors.server.edges.websockets import HELLO_SECONDS
from rmactors.server.messages.connections import FrameReceived, FromConnection
from rmactors.server.messages.hosts import DeleteHost, RotateHostToken
from rmactors.server.messages.made_tokens import CreateEnrollmentToken
from rmactors.server.runtime.mailbox import Mailbox
from rmactors.server.runtime.rate_limits import FRAME_BYTES
from tests.actors.works import Works, enrolled, start_fleet, until
from tests.store.ledger import audit

Socket = trio_websocket.WebSocketConnection


@dataclass
class Peer:
    """The other end of one connection: what came, and how it was closed."""

    socket: Socket
    got: list[dict[str, Any]] = field(default_factory=list)
    closed: int | None = None

    async def listen(self) -> None:
        try:
            while True:
                self.got.append(json.loads(await self.socket.get_message()))
        except trio_websocket.ConnectionClosed as closed:
            self.closed = closed.reason.code if closed.reason else 0

    async def say(self, frame: wire.Frame | dict[str, Any]) -> None:
        await self.socket.send_message(json.dumps(frame) if isinstance(frame, dict) else wire.encode(frame))

    async def welcomed(self, **fields: Any) -> None:
        await self.say(hello(**fields))
        await until(lambda: any(frame["type"] == "welcome" for frame in self.got), lambda: f"{self.got} {self.closed}")

    async def until_closed(self) -> int:
        await until(lambda: self.closed is not None, lambda: str(self.got))
        assert self.closed is not None
        return self.closed


@dataclass
class Gate:
    """A gateway that listens, and those who connect to it."""

    works: Works
    port: int
    nursery: trio.Nursery
    streams: list[trio.SocketStream] = field(default_factory=list)

    def token(self, host_id: str) -> str:
        """A credential of this host."""
        token = tokens.make(tokens.HOST)
        self.works.ledger.commit(RotateHostToken(host_id, tokens.digest(token), audit()))
        return token

    def enrollment_token(self) -> str:
        token, at = tokens.make(tokens.HOST), clock.now()
        self.works.ledger.commit(CreateEnrollmentToken(ids.new(), tokens.digest(token), at, at + clock.HOUR, audit()))
        return token

    async def open(self) -> trio.SocketStream:
        """A bare connection, closed at the end."""
        self.streams.append(await trio.open_tcp_stream("127.0.0.1", self.port))
        return self.streams[-1]

    async def connect(self, token: str) -> Peer:
        headers = [(b"Authorization", b"Bearer " + token.encode())]
        socket = await trio_websocket.wrap_client_stream(
            self.nursery, await self.open(), "127.0.0.1", wire.PATH, extra_headers=headers
        )
        peer = Peer(socket)
        self.nursery.start_soon(peer.listen)
        return peer

    async def connect_mutely(self, token: str) -> None:
        """One that never says anything again, at little cost."""
        stream = await self.open()
        await stream.send_all(upgrade(token))
        assert (await stream.receive_some(4096)).startswith(b"HTTP/1.1 101 ")


@asynccontextmanager
async def gate(
    works: Works, mailbox_of: Callable[[str], Mailbox[Any]] | None = None, **changes: Any
) -> AsyncIterator[Gate]:
    port = Port("127.0.0.1:0", 256)
    await port.open()
    [listener] = port._opened
    number: int = listener.socket.getsockname()[1]
    ports = gateway.GatewayPorts(mailbox_of or works.directory.mailbox_of, works.to_store, works.reader, lambda: 0.0)
    settings = gateway.GatewaySettings(port, None, 100_000.0, 10_000, **changes)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(gateway.run, settings, ports, works.gateway_state, trio.Event(), lambda: None)
        opened = Gate(works, number, nursery)
        try:
            yield opened
        finally:
            nursery.cancel_scope.cancel()
            for stream in opened.streams:
                stream.socket.close()


async def test_who_says_no_hello_is_closed_and_who_did_is_not(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    async with gate(works) as door:
        token = door.token(host)
        start_fleet(works)
        good = await door.connect(token)
        await good.welcomed()
        silent, chatty, nameless = [
            await door.connect(token), await door.connect(token), await door.connect(door.enrollment_token())
        ]  # fmt: skip
        await chatty.say({"type": "something_newer"})
        await until(lambda: bool(chatty.got))
        mock_clock.jump(HELLO_SECONDS + 0.1)
        assert [await peer.until_closed() for peer in (silent, chatty, nameless)] == [1008] * 3
        await good.say(wire.Heartbeat())
        await wait_all_tasks_blocked(0.01)
        assert good.closed is None


async def test_of_too_many_without_a_hello_the_oldest_goes_once_it_had_its_moment(
    works: Works, mock_clock: MockClock
) -> None:
    host = enrolled(works)
    async with gate(works) as door:
        token = door.token(host)
        start_fleet(works)
        mock_clock.rate = 0
        silent = [await door.connect(token) for _ in range(SILENT)]
        late: list[Peer] = []

        async def one_more() -> None:
            late.append(await door.connect(token))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(one_more)
            await wait_all_tasks_blocked(0.02)
            assert not late, "each has a moment for its hello"
            mock_clock.jump(PATIENCE + 0.1)
        mock_clock.rate = 1.0
        assert await silent[0].until_closed() == 1008
        for number, peer in enumerate([*silent[1:], *late]):
            await peer.welcomed(purpose="report", instance_id=f"run {number}")
            assert peer.closed is None


async def test_fifty_runs_of_exec_report_at_once(works: Works, mock_clock: MockClock) -> None:
    host = enrolled(works)
    peers: list[Peer] = []
    async with gate(works) as door:
        token = door.token(host)
        start_fleet(works)
        mock_clock.rate = 0.05  # a busy machine must not make them slow

        async def report() -> None:
            peer = await door.connect(token)
            await peer.welcomed(purpose="report", instance_id=ids.new())
            peers.append(peer)

        async with trio.open_nursery() as nursery:
            for _ in range(50):
                nursery.start_soon(report)
        assert len(peers) == 50
        assert {peer.closed for peer in peers} == {None}


async def test_a_fleet_that_comes_back_at_once_is_welcomed_host_by_host_and_nobody_is_sent_away(
    works: Works, mock_clock: MockClock
) -> None:
    """It has more hosts than the port has places for those without a hello."""
    async with gate(works, most=400) as door:
        tokens_ = [door.token(enrolled(works, name=f"host {number}")) for number in range(240)]
        start_fleet(works)
        mock_clock.rate = 0.2  # a busy machine must not make them late
        welcomed: list[int] = []

        async def come_back(number: int) -> None:
            stream = await trio.open_tcp_stream("127.0.0.1", door.port, local_address=f"127.0.1.{number + 1}")
            door.streams.append(stream)
            await stream.send_all(upgrade(tokens_[number]))
            answer = bytes(await stream.receive_some(4096))
            assert answer[9:12] == b"101", (number, answer)
            await stream.send_all(text_frame(json.dumps(hello())))
            answer = bytes(await stream.receive_some(4096))
            assert b'"welcome"' in answer, (number, answer)
            welcomed.append(number)

        async with trio.open_nursery() as nursery:
            for number in range(240):
                nursery.start_soon(come_back, number)
        assert len(welcomed) == 240


async def test_nobody_in_line_has_a_turn_before_those_who_said_hello_are_welcomed(
    works: Works, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "SERVED_AT_ONCE", 2)
    monkeypatch.setattr(listener, "BEGUN_AT_ONCE", 1)
    monkeypatch.setattr(admission, "PATIENCE_SECONDS", 1e6)

    async def pass_time() -> None:
        for _ in range(10):
            mock_clock.jump(admission.PACE_SECONDS)
            await wait_all_tasks_blocked(0.01)

    async with gate(works) as door:
        tokens_ = [door.token(enrolled(works, name=f"host {number}")) for number in range(5)]
        mock_clock.rate = 0.0
        for token in tokens_[:2]:
            await (await door.connect(token)).say(hello())
        upgraded: list[str] = []

        async def come(token: str) -> None:
            peer = await door.connect(token)
            upgraded.append(token)
            await peer.say(hello())

        async with trio.open_nursery() as nursery:
            for token in tokens_[2:]:
                nursery.start_soon(come, token)
            await pass_time()
            assert upgraded == [], "nobody is there who would welcome the first two"
            start_fleet(works)
            while len(upgraded) < 3:
                await pass_time()


@pytest.mark.parametrize("deleted", [False, True])
async def test_a_credential_that_ends_closes_those_without_a_hello_as_well(
    works: Works, mock_clock: MockClock, deleted: bool
) -> None:
    host = enrolled(works)
    async with gate(works) as door:
        token, other = door.token(host), door.token(enrolled(works, name="another"))
        start_fleet(works)
        silent, neighbour = [await door.connect(token) for _ in range(3)], await door.connect(other)
        await wait_all_tasks_blocked(0.01)
        ends = DeleteHost(host, clock.now(), audit()) if deleted else RotateHostToken(host, "another", audit())
        await works.commit(ends)
        assert [await peer.until_closed() for peer in silent] == [wire.CLOSE_REVOKED] * 3
        assert neighbour.closed is None
        await neighbour.welcomed()


async def test_a_connection_counts_as_a_strangers_until_its_hello(works: Works, mock_clock: MockClock) -> None:
    """With a good token as well: else one credential would have room for as many sockets as it likes."""
    async with gate(works) as door:
        tokens_ = [door.token(enrolled(works, name=f"host {n}")) for n in range(PER_ADDRESS // SILENT)]
        start_fleet(works)
        mock_clock.rate = 0.0  # nobody is late with his hello because a busy machine takes long to connect so many
        one = await door.connect(tokens_[0])
        for number in range(1, PER_ADDRESS):
            await door.connect_mutely(tokens_[number // SILENT])
        assert await said_to_a_stranger(door) == b""
        mock_clock.rate = 1.0
        await one.welcomed(purpose="report")
        assert (await said_to_a_stranger(door)).startswith(b"HTTP/1.1 401 ")


async def test_a_wrong_token_too_many_is_refused_before_a_web_socket_is_made_for_it(
    works: Works, mock_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind a trusted proxy; a good token from the same address comes in."""
    made: list[trio.abc.Stream] = []

    class Counted(AgentSocket):
        def __init__(self, stream: trio.abc.Stream, longest: int) -> None:
            made.append(stream)
            super().__init__(stream, longest)

    monkeypatch.setattr(gateway, "AgentSocket", Counted)
    monkeypatch.setattr(preauth_limits, "PER_ADDRESS", 5)
    async with gate(works, proxies=parse_networks("127.0.0.1")) as door:
        good = door.token(enrolled(works))

        async def shows(token: str, address: str = "203.0.113.5", *more: bytes) -> tuple[str, bytes]:
            stream = await door.open()
            await stream.send_all(upgrade(token, b"X-Forwarded-For: " + address.encode(), *more))
            answer = await read_all(stream, 60) if token != good else bytes(await stream.receive_some(4096))
            assert answer is not None
            return answer[9:12].decode(), answer

        assert [(await shows("wrong"))[0] for _ in range(5)] == ["401"] * 5
        made.clear()
        for _ in range(5):
            status, answer = await shows("wrong")
            assert (status, b"Retry-After: 5" in answer.title()) == ("429", True)
        assert made == []
        assert (await shows(good))[0] == "101"
        assert (await shows("wrong", "198.51.100.7"))[0] == "401"
        assert (await shows(good, "203.0.113.5", b"Origin: http://x"))[0] == "403"
        assert len(made) == 3


CLIENT = b"PROXY TCP4 203.0.113.5 192.0.2.2 4711 443\r\n"
CLIENT_2 = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c" + bytes([203, 0, 113, 5, 192, 0, 2, 2]) + b"\x12\x67\x01\xbb"


@pytest.mark.parametrize("header", [CLIENT, CLIENT_2], ids=["version 1", "version 2"])
async def test_a_trusted_proxy_says_by_the_proxy_protocol_whose_a_connection_is(
    works: Works,
    mock_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    header: bytes,
) -> None:
    monkeypatch.setattr(preauth_limits, "PER_ADDRESS", 3)
    caplog.set_level("INFO")
    async with gate(works, proxies=parse_networks("127.0.0.1")) as door:
        good = door.token(enrolled(works))

        async def shows(token: str, header: bytes, peer: str = "127.0.0.1", size: int = 4096) -> str:
            stream = await trio.open_tcp_stream("127.0.0.1", door.port, local_address=peer)
            door.streams.append(stream)
            data = header + upgrade(token, b"X-Forwarded-For: 198.51.100.7")
            for start in range(0, len(data), size):
                await stream.send_all(data[start : start + size])
            with trio.fail_after(120_000):
                return bytes(await stream.receive_some(4096))[9:12].decode()

        assert await shows(good, header, "127.0.0.2") == "400", "not from anybody"
        assert [await shows("wrong", header), await shows("wrong", header, size=1)] == ["401"] * 2
        assert await shows("wrong", header) == "401"
        assert await shows("wrong", header) == "", "it has no place left, and is no proxy that needs an answer"
        assert await shows("wrong", b"") == "401", "another one, named by the other header"
        assert await shows(good, header, size=1) == "101"
        told = [vars(record)["fields"]["address"] for record in caplog.records if "no valid token" in record.message]
        assert told == ["203.0.113.5"] * 3 + ["198.51.100.7"]


async def test_where_few_files_may_be_open_agents_connections_are_not_all_of_them(
    works: Works, mock_clock: MockClock
) -> None:
    async with gate(works, most=2) as door:
        token = door.token(enrolled(works))
        start_fleet(works)
        first, second = await door.connect(token), await door.connect(token)
        await first.welcomed()
        assert await said_to_a_stranger(door) == b""
        await second.socket.aclose()
        while await said_to_a_stranger(door) == b"":
            await wait_all_tasks_blocked(0.01)
        third = await door.connect(token)
        await third.welcomed(purpose="report")


async def test_what_a_host_sends_too_fast_waits_with_it_and_is_not_lost(works: Works, mock_clock: MockClock) -> None:
    """Two of its connections together; another host's is read at once."""
    noisy_box: Mailbox[FromConnection] = Mailbox("noisy", 1_000)
    quiet_box: Mailbox[FromConnection] = Mailbox("quiet", 1_000)
    noisy, quiet = enrolled(works), enrolled(works, name="quiet")
    async with gate(works, {noisy: noisy_box, quiet: quiet_box}.__getitem__) as door:
        token = door.token(noisy)
        first, second, other = (
            await door.connect(token),
            await door.connect(token),
            await door.connect(door.token(quiet)),
        )
        for peer in (first, second, other):
            await peer.say(hello())
        await until(lambda: (len(noisy_box), len(quiet_box)) == (2, 1))
        mock_clock.rate = 0
        large = {"type": "heartbeat", "padding": "x" * 1_000_000}
        sent = int(FRAME_BYTES[1]) // 1_000_000 + 6
        async with trio.open_nursery() as nursery:

            async def send(peer: Peer) -> None:
                for _ in range(sent // 2):
                    await peer.say(large)

            nursery.start_soon(send, first)
            nursery.start_soon(send, second)
            await wait_all_tasks_blocked(0.05)
            await other.say(wire.Heartbeat())
            await until(lambda: len(heartbeats(quiet_box)) == 1)
            assert len(heartbeats(noisy_box)) <= sent - 4
            mock_clock.rate = 100.0
        await until(lambda: len(heartbeats(noisy_box)) == sent // 2 * 2)


def heartbeats(box: Mailbox[FromConnection]) -> list[FromConnection]:
    return [item for item in box._items if isinstance(item, FrameReceived) and isinstance(item.frame, wire.Heartbeat)]


async def said_to_a_stranger(door: Gate) -> bytes:
    """What somebody with a wrong token is answered; nothing where he finds no room."""
    async with await trio.open_tcp_stream("127.0.0.1", door.port) as stream:
        try:
            await stream.send_all(upgrade("rma_wrong"))
            answer = await read_all(stream, 30)
        except trio.BrokenResourceError:
            answer = b""
    assert answer is not None, "it was left open"
    return answer
