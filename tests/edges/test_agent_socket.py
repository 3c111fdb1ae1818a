"""The server's end of an agent's WebSocket, against trio-websocket's client and against bytes written by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
import trio
import trio_websocket
from trio.testing import lockstep_stream_pair, memory_stream_pair, wait_all_tasks_blocked
from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    RejectData,
    Request,
    TextMessage,
)

from rmactors.server.edges.agent_socket import AgentSocket, SocketClosed

LONGEST = 1_000


@dataclass
class Met:
    """Both ends of a connection that was accepted."""

    ours: AgentSocket
    theirs: trio_websocket.WebSocketConnection
    nursery: trio.Nursery


@asynccontextmanager
async def met(stream: trio.abc.Stream, other: trio.abc.Stream) -> AsyncIterator[Met]:
    """`stream` is the server's."""
    ours = AgentSocket(stream, LONGEST)

    async def welcome() -> None:
        request = await ours.request()
        assert request is not None
        assert request.target == "/agent?x=1"
        await ours.accept([(b"x-mark", b"yes")])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(welcome)
        theirs = await trio_websocket.wrap_client_stream(nursery, other, "localhost", "/agent?x=1")
        assert dict(theirs.handshake_headers)[b"x-mark"] == b"yes"
        yield Met(ours, theirs, nursery)
        nursery.cancel_scope.cancel()


@pytest.fixture
async def pair(nursery: trio.Nursery) -> AsyncIterator[Met]:
    async with met(*memory_stream_pair()) as both:
        yield both


class Hand:
    """A client that sends given bytes, in pieces of any size."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.protocol = WSConnection(ConnectionType.CLIENT)

    def bytes_of(self, *events: Event) -> bytes:
        return b"".join(self.protocol.send(event) for event in events)

    async def say(self, *events: Event) -> None:
        await self.stream.send_all(self.bytes_of(*events))

    async def hear(self) -> list[Event]:
        """What comes next: until the end of the stream, nothing more at a time than one reading."""
        data = await self.stream.receive_some(65_536)
        if not data:
            return []
        self.protocol.receive_data(bytes(data))
        return list(self.protocol.events())


@asynccontextmanager
async def by_hand() -> AsyncIterator[tuple[AgentSocket, Hand]]:
    stream, other = memory_stream_pair()
    ours, theirs = AgentSocket(stream, LONGEST), Hand(other)
    await theirs.say(Request(host="localhost", target="/"))
    assert await ours.request() is not None
    await ours.accept([])
    assert isinstance((await theirs.hear())[0], AcceptConnection)
    yield ours, theirs


async def test_what_was_sent_at_once_is_received_at_once_in_order(pair: Met) -> None:
    sent = [f"message {number}" for number in range(100)]
    for message in sent:
        await pair.theirs.send_message(message)
    assert await pair.ours.receive() == sent
    await pair.theirs.send_message(b"\x00\xff")
    assert await pair.ours.receive() == [b"\x00\xff"]


async def test_what_is_sent_together_arrives_message_by_message(pair: Met) -> None:
    sent = [f"ack {number}" for number in range(100)]
    pair.nursery.start_soon(pair.ours.send, sent)
    assert [await pair.theirs.get_message() for _ in sent] == sent


async def test_a_message_in_fragments_is_one_and_a_ping_between_them_is_answered() -> None:
    async with by_hand() as (ours, theirs):
        await theirs.say(TextMessage("ab", message_finished=False), Ping(b"there?"), TextMessage("cd"))
        await theirs.say(BytesMessage(b"\x01", message_finished=False), BytesMessage(b"\x02"))
        assert await ours.receive() == ["abcd", b"\x01\x02"]
        assert await theirs.hear() == [Pong(b"there?")]


async def test_bytes_that_come_one_by_one_make_the_same_messages() -> None:
    async with by_hand() as (ours, theirs):
        data = theirs.bytes_of(TextMessage("Größe"), TextMessage("x" * 200), BytesMessage(b"\x00" * 130))
        got: list[str | bytes] = []

        async def receive() -> None:
            while len(got) < 3:
                got.extend(await ours.receive())

        async with trio.open_nursery() as nursery:
            nursery.start_soon(receive)
            for place in range(len(data)):
                await theirs.stream.send_all(data[place : place + 1])
                await wait_all_tasks_blocked()
        assert got == ["Größe", "x" * 200, b"\x00" * 130]


async def test_a_ping_is_answered_while_nothing_else_is_said(pair: Met) -> None:
    pair.nursery.start_soon(pair.ours.receive)
    with trio.fail_after(5):
        await pair.theirs.ping(b"1")
        await pair.theirs.ping(b"2")


@pytest.mark.parametrize("fragments", [1, 3])
async def test_a_message_that_is_too_long_ends_the_connection(fragments: int) -> None:
    async with by_hand() as (ours, theirs):
        part = "x" * (LONGEST // fragments + 1)
        for number in range(fragments):
            await theirs.say(TextMessage(part, message_finished=number == fragments - 1))
        with pytest.raises(SocketClosed) as closed:
            await ours.receive()
        assert closed.value.code == 1009
        [event] = await theirs.hear()
        assert isinstance(event, CloseConnection)
        assert event.code == 1009
        with pytest.raises(SocketClosed):
            await ours.send(["too late"])


async def test_the_longest_message_is_taken(pair: Met) -> None:
    await pair.theirs.send_message("x" * LONGEST)
    assert await pair.ours.receive() == ["x" * LONGEST]


async def test_messages_before_the_peers_goodbye_are_received_and_it_is_answered(pair: Met) -> None:
    async def leave() -> None:
        await pair.theirs.send_message("last words")
        await pair.theirs.aclose(4000, "enough")

    pair.nursery.start_soon(leave)
    await wait_all_tasks_blocked()
    assert await pair.ours.receive() == ["last words"]
    with pytest.raises(SocketClosed) as closed:
        await pair.ours.receive()
    assert (closed.value.code, closed.value.reason) == (4000, "enough")
    await wait_all_tasks_blocked()
    assert pair.theirs.closed is not None
    with pytest.raises(SocketClosed):
        await pair.ours.send(["too late"])


@pytest.mark.parametrize("listens", [True, False])
async def test_our_goodbye_waits_for_the_peers(pair: Met, listens: bool) -> None:
    ended: list[int] = []

    async def receive() -> None:
        try:
            await pair.ours.receive()
        except SocketClosed as closed:
            ended.append(closed.code)

    if listens:
        pair.nursery.start_soon(receive)
        await wait_all_tasks_blocked()
    with trio.fail_after(5):
        await pair.ours.aclose(4002, "replaced")
    with pytest.raises(trio_websocket.ConnectionClosed) as heard:
        await pair.theirs.get_message()
    assert heard.value.reason is not None
    assert (heard.value.reason.code, heard.value.reason.reason) == (4002, "replaced")
    await wait_all_tasks_blocked()
    assert ended == ([1000] if listens else [])


async def test_what_a_peer_says_after_our_goodbye_is_passed_over() -> None:
    async with by_hand() as (ours, theirs):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(ours.aclose, 4002, "replaced")
            [goodbye] = await theirs.hear()
            assert isinstance(goodbye, CloseConnection)
            await theirs.say(goodbye.response())
        assert await theirs.hear() == [], "the stream has ended"
        with pytest.raises(SocketClosed):
            await ours.receive()


async def test_a_peer_that_never_says_goodbye_is_left_when_the_time_is_over() -> None:
    async with by_hand() as (ours, theirs):
        with trio.move_on_after(0.05) as scope:
            await ours.aclose()
        assert scope.cancelled_caught
        assert isinstance((await theirs.hear())[0], CloseConnection)
        assert await theirs.hear() == []


async def test_a_peer_that_is_gone_is_noticed_by_both_sides(pair: Met) -> None:
    await pair.theirs._stream.aclose()
    with pytest.raises(SocketClosed) as closed:
        await pair.ours.receive()
    assert closed.value.code == 1006
    with pytest.raises(SocketClosed):
        await pair.ours.send(["hello?"])
    await pair.ours.aclose()


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),  # a client's frames are masked
        (b"\x83\x80\x00\x00\x00\x00", 1002),  # no such opcode
        (b"\x81\x82\x00\x00\x00\x00\xff\xfe", 1007),  # no UTF-8
    ],
    ids=["not masked", "no such opcode", "no UTF-8"],
)
async def test_what_is_no_websocket_is_told_so_and_ends_it(frame: bytes, code: int) -> None:
    async with by_hand() as (ours, theirs):
        await theirs.say(TextMessage("good"))
        await theirs.stream.send_all(frame)
        assert await ours.receive() == ["good"]
        with pytest.raises(SocketClosed) as closed:
            await ours.receive()
        assert closed.value.code == code
        [goodbye] = await theirs.hear()
        assert isinstance(goodbye, CloseConnection)
        assert goodbye.code == code


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["no upgrade", "TLS", "POST"],
)
async def test_who_asks_for_no_websocket_is_refused(request_bytes: bytes) -> None:
    stream, other = memory_stream_pair()
    await other.send_all(request_bytes)
    assert await AgentSocket(stream, LONGEST).request() is None
    assert (await other.receive_some(4096)).startswith(b"HTTP/1.1 4")


async def test_who_leaves_before_the_request_is_whole_asks_for_nothing() -> None:
    stream, other = memory_stream_pair()
    await other.send_all(b"GET / HTTP/1.1\r\nHo")
    await other.aclose()
    assert await AgentSocket(stream, LONGEST).request() is None


async def test_a_refusal_has_status_headers_and_a_body() -> None:
    stream, other = memory_stream_pair()
    ours, theirs = AgentSocket(stream, LONGEST), Hand(other)
    await theirs.say(Request(host="localhost", target="/"))
    assert await ours.request() is not None
    await ours.reject(429, [(b"retry-after", b"5"), (b"content-length", b"5")], b"later")
    refused, *body = await theirs.hear()
    assert isinstance(refused, RejectConnection)
    assert refused.status_code == 429
    assert (b"retry-after", b"5") in list(refused.headers)
    assert b"".join(part.data for part in body if isinstance(part, RejectData)) == b"later"


async def test_nothing_follows_what_was_cut_in_the_middle() -> None:
    """A frame that is half out cannot be taken back: whatever came next would be read as the rest of it."""
    stream, other = lockstep_stream_pair()  # where what is sent waits until it is read
    ours, theirs = AgentSocket(stream, LONGEST), Hand(other)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.say, Request(host="localhost", target="/"))
        assert await ours.request() is not None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.accept, [])
        await theirs.hear()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ours.send, ["x" * 100])
        assert len(await other.receive_some(50)) == 50
        nursery.cancel_scope.cancel()
    with pytest.raises(SocketClosed):
        await ours.send(["y"])
    await ours.aclose()
    left = b""
    while more := await other.receive_some(1_000):
        left += more
    assert left.strip(b"x") == b"", "not even a goodbye"
