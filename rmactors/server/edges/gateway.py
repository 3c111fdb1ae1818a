"""The agents' port: frames to typed messages and back, and nothing else.

Owns      the listener and every agent connection on it.
Receives  frames from sockets; frames and closings from host actors, through `AgentConnection`.
Sends     `FrameReceived`, `UnreadableReport`, `ConnectionClosed` to host actors; enrollments to the store.
Restart   all connections close; agents come back.

No byte sequence ends the process: each connection is contained. A peer that stalls is cut off by deadlines, one that
has not said hello is counted by its address (behind a trusted proxy by what that says), one that showed a wrong token
for a while longer. One host's connections are few, and together read at a pace: what it sends beyond that waits with
it.
"""

import logging
import sqlite3
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import cast

import h11
import trio
import trio_websocket

from rmactors.common import clock, wire
from rmactors.common.logs import fields
from rmactors.server.edges import first_bytes
from rmactors.server.edges.addresses import Network
from rmactors.server.edges.enrolling import NAMES_PER_TOKEN, enroll
from rmactors.server.edges.first_bytes import Replayed, read_head, refusal
from rmactors.server.edges.listener import Arrivals, Peer, Port
from rmactors.server.edges.places import Places
from rmactors.server.edges.preauth_limits import PreauthLimits, Slot, in_line, places
from rmactors.server.edges.showing import Shown, is_for_agents, look_at
from rmactors.server.edges.websockets import CLOSE_SECONDS, HELLO_SECONDS, MARK, TEXT, Connection, Reading, reject
from rmactors.server.messages.connections import (
    AgentConnection,
    ConnectionClosed,
    FrameReceived,
    FromConnection,
    UnreadableReport,
)
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, WakeupSet
from rmactors.server.runtime.rate_limits import Bucket, Pace
from rmactors.server.store.queries.credentials import Credential, find_credential
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 15.0
"""TLS and request headers must be complete within this, counted from the connection."""
PROXY_HANDSHAKE_SECONDS = 5.0
"""The same for a trusted proxy, which has the headers before it connects."""
TOO_MANY = "too many connections from this address"
RETRY_AFTER = (b"retry-after", b"5")
_TURNED_AWAY = refusal(429, [MARK, TEXT, RETRY_AFTER], TOO_MANY.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`silence` in seconds: a connection without a message for so long is closed. `proxies`: see `PreauthLimits`.
    `most` connections are open at once: the rest of the open files is for pages, notifications and the database.
    `outbox`: frames queued to an agent that reads nothing. `read_ahead`: frames of a connection that are read before it
    is their turn."""

    port: Port
    ssl_context: ssl.SSLContext | None
    silence: float
    proxies: tuple[Network, ...] = ()
    most: int = 1 << 30
    outbox: int = 10_000
    read_ahead: int = 2


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """`mailbox_of` gives the mailbox of a host's actor, started or about to be. `not_before` as in `HostPorts`."""

    mailbox_of: Callable[[str], Outlet[FromConnection]]
    to_store: Outlet[Commit]
    reader: Reader
    not_before: Callable[[], float]


@dataclass(slots=True)
class GatewayState:
    """What `/metrics` reads, and which hosts have changed."""

    agents: int = 0
    changed: WakeupSet = field(default_factory=WakeupSet)
    """Hosts whose credential may be another one."""


async def run(
    settings: GatewaySettings,
    ports: GatewayPorts,
    state: GatewayState,
    closing: trio.Event,
    listening: Callable[[], None],
) -> None:
    """Serve agents until `closing` is set; then say 1001 to each and return."""
    listeners = await settings.port.take()
    gateway = _Gateway(settings, ports, state)
    async with trio.open_nursery() as connections:
        async with trio.open_nursery() as accepting:
            arrivals = Arrivals(gateway.contain, connections, gateway.is_proxy, in_line(settings.most))
            accepting.start_soon(arrivals.run, listeners)
            accepting.start_soon(gateway.end_revoked)
            listening()
            await closing.wait()
            accepting.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        gateway.say_goodbye()


StillGood = Callable[[], Awaitable[bool]]
"""Asks the database whether a connection's credential is what it was."""


class _Gateway:
    def __init__(self, settings: GatewaySettings, ports: GatewayPorts, state: GatewayState) -> None:
        self._settings = settings
        self._ports = ports
        self._state = state
        self._limits = PreauthLimits(settings.proxies, places(settings.most))
        self._handshakes: set[trio.CancelScope] = set()
        self._connections: dict[int, Connection] = {}
        self._numbers = 0
        self._open = 0
        self._places = Places()
        self._left = trio.lowlevel.ParkingLot()
        """Who waits for a place of a silent connection."""
        self._still_good: dict[int, StillGood] = {}
        """Of connections without a hello."""
        self._paces: dict[str, Pace] = {}
        self._names: dict[str, Bucket] = {}

    def is_proxy(self, address: str) -> bool:
        return self._limits.is_proxy(address)

    def say_goodbye(self) -> None:
        for handshake in self._handshakes:
            handshake.cancel()
        for connection in list(self._connections.values()):
            connection.close(wire.CLOSE_GOING_AWAY, "the server stops")

    async def contain(self, stream: trio.SocketStream, peer: Peer) -> None:
        """One connection. Whatever goes wrong in it stays in it."""
        if self._open >= self._settings.most:
            await trio.aclose_forcefully(stream)
            return
        address, _ = peer
        self._open += 1
        with trio.CancelScope() as scope:
            slot = self._limits.admit(address, scope.cancel)
            try:
                await self._serve(stream, address, slot)
            except Exception as error:
                _log.debug("connection from %s ended: %r", address, error)
            finally:
                self._open -= 1
                slot.leave()
                await trio.aclose_forcefully(stream)

    async def _serve(self, tcp: trio.SocketStream, address: str, slot: Slot) -> None:
        stream: trio.abc.Stream = tcp
        async with trio.open_nursery() as nursery:
            request, shown = None, None
            with self._handshake(by_proxy=self.is_proxy(address)) as scope:
                if self.is_proxy(address):
                    behind, stream = await first_bytes.behind(tcp)
                    if behind is not None:
                        address, _ = behind
                        slot.is_of(address)
                        if not self.is_proxy(address):
                            scope.deadline += HANDSHAKE_SECONDS - PROXY_HANDSHAKE_SECONDS
                if self._settings.ssl_context is not None:
                    stream = trio.SSLStream(stream, self._settings.ssl_context, server_side=True)
                    await stream.do_handshake()
                reading = cast(trio.Nursery, Reading(nursery, ended=scope.cancel))
                if self._limits.are_many():
                    head = await read_head(stream)
                    stream = Replayed(stream, head.data)
                    shown = await self._look_at(head.request, address, slot)
                    if shown is not None and shown.is_one_too_many():
                        await self._turn_away(stream, address)
                        return
                request = await trio_websocket.wrap_server_stream(
                    reading, stream, message_queue_size=self._settings.read_ahead, max_message_size=wire.MAX_FRAME_BYTES
                )
            if request is not None:
                await self._welcome(request, address, slot, shown)
            nursery.cancel_scope.cancel()

    @contextmanager
    def _handshake(self, *, by_proxy: bool) -> Iterator[trio.CancelScope]:
        """Left at the deadline, or when the server stops."""
        seconds = PROXY_HANDSHAKE_SECONDS if by_proxy else HANDSHAKE_SECONDS
        with trio.CancelScope(deadline=trio.current_time() + seconds) as scope:
            self._handshakes.add(scope)
            try:
                yield scope
            finally:
                self._handshakes.discard(scope)

    async def _look_at(self, request: h11.Request | None, peer: str, slot: Slot) -> Shown | None:
        """What it shows, before anything is set up for it; None where that is to be told later what is wrong."""
        if request is None or not is_for_agents(request.target.decode("latin-1"), request.headers):
            return None
        return await look_at(request.headers, peer, slot, self._settings.proxies, self._credential)

    async def _welcome(
        self, request: trio_websocket.WebSocketRequest, peer: str, slot: Slot, shown: Shown | None
    ) -> None:
        headers = [(name.lower(), value) for name, value in request.headers]
        if request.path.partition("?")[0] != wire.PATH:
            return await reject(request, 404, "not found")
        if not is_for_agents(request.path, headers):
            return await reject(request, 403, "this port is for agents, not for browsers")
        if shown is None:
            shown = await look_at(headers, peer, slot, self._settings.proxies, self._credential)
        address, credential = shown.address, shown.credential
        if credential is None:
            if shown.is_one_too_many():
                slot.waits()  # for its end: the place that is kept back is free for the next
                if self._limits.is_proxy(peer):
                    await reject(request, 429, TOO_MANY, RETRY_AFTER)
                return None
            slot.penalise(trio.current_time())
            slot.leave()
            _log.info("an agent showed no valid token", extra=fields("agent.refused", address=address))
            return await reject(request, 401, "the token is wrong, used, expired or revoked")
        owner = credential.host_id or credential.enrollment_id
        assert owner is not None
        self._numbers += 1
        number = self._numbers
        async with self._silent(owner, number) as scope:
            if scope is None:
                return await reject(request, 503, "too many connections with this token")
            with trio.fail_after(HANDSHAKE_SECONDS):
                socket = await request.accept(extra_headers=[MARK])
            if credential.enrollment_id is not None:
                names = self._names.setdefault(owner, Bucket(*NAMES_PER_TOKEN))
                return await enroll(socket, owner, address, names, self._ports.to_store)

            async def still_good() -> bool:
                return await self._credential(shown.digest) == credential

            return await self._talk(socket, owner, number, address, still_good, slot)

    @asynccontextmanager
    async def _silent(self, owner: str, number: int) -> AsyncIterator[trio.CancelScope | None]:
        """A place for a connection that has not said hello; None where too many wait for one."""
        if not self._places.queue(owner):
            yield None
            return
        try:
            while (seconds := self._places.must_wait(owner, trio.current_time())) > 0:
                with trio.move_on_after(seconds):  # until somebody said hello, left, or had his time for it
                    await self._left.park()
        finally:
            self._places.unqueue(owner)
        with trio.CancelScope() as scope:

            def make_room() -> None:
                connection = self._connections.get(number)
                if connection is None:
                    scope.cancel()
                else:
                    connection.close(wire.CLOSE_BAD_MESSAGE, "too many connections without a hello")

            self._places.enter(owner, number, make_room, trio.current_time())
            try:
                yield scope
            finally:
                self._places.leave(owner, number)
                self._left.unpark_all()

    async def _turn_away(self, stream: trio.abc.Stream, peer: str) -> None:
        """Its address has no slot left. A proxy gets an answer: without one it may take the server for dead."""
        if self._limits.is_proxy(peer):
            await stream.send_all(_TURNED_AWAY)

    async def _credential(self, digest: str | None) -> Credential | None:
        return await self._ports.reader.run(find_credential, digest, clock.now()) if digest is not None else None

    # ---- a host's connection

    async def end_revoked(self) -> None:
        """Connections without a hello, whose host's credential has changed: its actor has not heard of them."""
        while True:
            changed = await self._state.changed.take()
            for number in [number for host_id in changed for number in self._places.silent_of(host_id)]:
                connection, still_good = self._connections.get(number), self._still_good.get(number)
                try:
                    if connection is not None and still_good is not None and not await still_good():
                        connection.close(wire.CLOSE_REVOKED, "revoked")
                except sqlite3.Error as error:  # it is asked for again at the hello
                    _log.warning("cannot read a credential again: %s", error)

    async def _talk(
        self,
        socket: trio_websocket.WebSocketConnection,
        host_id: str,
        number: int,
        address: str,
        still_good: StillGood,
        slot: Slot,
    ) -> None:
        mailbox = self._ports.mailbox_of(host_id)
        async with trio.open_nursery() as nursery:
            connection = Connection(socket, nursery.cancel_scope, self._settings.outbox)
            agent = AgentConnection(number, address, connection.send, connection.close)
            self._connections[number], self._still_good[number] = connection, still_good
            self._state.agents += 1
            nursery.start_soon(connection.write)
            try:
                await self._listen(connection, host_id, agent, mailbox, still_good, slot)
                connection.close(1000, "")
            except trio_websocket.ConnectionClosed:
                nursery.cancel_scope.cancel()
            finally:
                self._state.agents -= 1
                del self._connections[number], self._still_good[number]
                mailbox.put_unbounded(ConnectionClosed(agent, clock.now()))

    async def _listen(
        self,
        connection: Connection,
        host_id: str,
        agent: AgentConnection,
        mailbox: Outlet[FromConnection],
        still_good: StillGood,
        slot: Slot,
    ) -> None:
        """Pass on what comes until the connection is to be closed."""
        greeted = False
        pace = self._paces.setdefault(host_id, Pace())
        hello_by = trio.current_time() + HELLO_SECONDS
        while not connection.is_closing():
            text = None
            with trio.move_on_at(trio.current_time() + self._settings.silence if greeted else hello_by):
                text = await connection.socket.get_message()
            if text is None and greeted:
                if trio.current_time() < self._ports.not_before():
                    continue  # this server was away: what was said meanwhile is still to be read
                return connection.close(wire.CLOSE_GOING_AWAY, "nothing heard for too long")
            if text is None:
                return connection.close(wire.CLOSE_BAD_MESSAGE, "no hello")
            if seconds := pace.frame(len(text), trio.current_time()):  # of all its host's connections together
                await trio.sleep(seconds)
            if connection.is_closing():  # revoked or replaced: what it says does not count any more
                return None
            if isinstance(text, bytes):
                return connection.close(wire.CLOSE_BINARY, "text frames only")
            frame = wire.decode_from_agent(text)
            self._places.heard(host_id, agent.number)
            if isinstance(frame, wire.Unreadable) and (frame.code == "unknown_type" or frame.seq is None):
                connection.send(wire.Error(frame.code, frame.detail))
                if frame.code == "bad_message":
                    return connection.close(wire.CLOSE_BAD_MESSAGE, frame.code)
                if frame.seq is not None and greeted:  # a report from the future must not block the spool
                    await mailbox.send(UnreadableReport(agent, frame, clock.now()))
            elif not greeted and not isinstance(frame, wire.Hello):
                connection.send(wire.Error("hello_first", "the first message must be `hello`"))
                return connection.close(wire.CLOSE_BAD_MESSAGE, "hello_first")
            elif isinstance(frame, wire.Unreadable):
                await mailbox.send(UnreadableReport(agent, frame, clock.now()))
            elif isinstance(frame, wire.Hello) and not frame.protocol.min <= wire.PROTOCOL <= frame.protocol.max:
                ours = wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL)
                connection.send(wire.Error("protocol_unsupported", "no common version of the protocol", ours))
                return connection.close(wire.CLOSE_PROTOCOL, "protocol_unsupported")
            else:
                if isinstance(frame, wire.Hello):
                    await self._greet(connection, host_id, agent.number, frame, pace)
                if not greeted and not await still_good():
                    # Revoked between upgrade and hello: the host's actor closes only connections it has heard of.
                    return connection.close(wire.CLOSE_REVOKED, "revoked")
                greeted = True
                slot.has_signed_in()
                await mailbox.send(FrameReceived(agent, frame, clock.now()))
        return None

    async def _greet(self, connection: Connection, host_id: str, number: int, hello: wire.Hello, pace: Pace) -> None:
        """It is silent no more. Where its host has said hello too often, it waits."""

        def make_room() -> None:
            connection.close(wire.CLOSE_GOING_AWAY, "too many connections of this host")

        self._places.greet(host_id, number, hello.purpose, make_room)
        self._left.unpark_all()
        if seconds := pace.hello(trio.current_time()):
            await trio.sleep(seconds)
