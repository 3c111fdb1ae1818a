"""The agents' connections that have shown a host's credential: from the upgrade to the hello, and on to the end.

Owns which of them are silent, which said hello, and the pace at which a host's are read. What a message leads to says
`handshake`; here it is carried out.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

from rmactors.common import clock, wire
from rmactors.server.edges import handshake
from rmactors.server.edges.admission import Admission
from rmactors.server.edges.agent_socket import AgentSocket, SocketClosed
from rmactors.server.edges.places import Places
from rmactors.server.edges.preauth_limits import Slot
from rmactors.server.edges.websockets import HELLO_SECONDS, Connection
from rmactors.server.messages.connections import (
    AgentConnection,
    ConnectionClosed,
    FrameReceived,
    FromConnection,
    UnreadableReport,
)
from rmactors.server.runtime.mailbox import Outlet
from rmactors.server.runtime.rate_limits import Pace
from rmactors.server.store.database import DatabaseError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A connection with a good credential. `still_good` asks the database whether it is still the same."""

    number: int
    host_id: str
    address: str
    token_hash: str
    slot: Slot
    still_good: Callable[[], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class _Open:
    """One connection in use."""

    admitted: Admitted
    connection: Connection
    agent: AgentConnection
    mailbox: Outlet[FromConnection]


class AgentConnections:
    """All of them. `silence` in seconds: one without a message for so long is closed. `grace_until` as in `HostPorts`.
    `outbox`: frames queued to an agent that reads nothing. `admission` hears of each until its welcome."""

    def __init__(
        self, mailbox_of: Callable[[str], Outlet[FromConnection]], grace_until: Callable[[], float], silence: float,
        outbox: int, admission: Admission,
    ) -> None:  # fmt: skip
        self._admission = admission
        self._mailbox_of, self._grace_until, self._silence, self._outbox = mailbox_of, grace_until, silence, outbox
        self._open: dict[int, _Open] = {}
        self._places = Places()
        self._left = trio.lowlevel.ParkingLot()
        """Who waits for a place of a silent connection."""
        self._paces: dict[str, Pace] = {}

    def __len__(self) -> int:
        return len(self._open)

    def close_all(self) -> None:
        for one in list(self._open.values()):
            one.connection.close(wire.CLOSE_GOING_AWAY, "the server stops")

    @asynccontextmanager
    async def silent(self, owner: str, number: int) -> AsyncIterator[trio.CancelScope | None]:
        """A place for a connection that has not said hello; None if too many wait for one."""
        if not self._places.queue(owner):
            yield None
            return
        try:
            while (seconds := self._places.must_wait(owner, trio.current_time())) > 0:
                with trio.move_on_after(seconds):  # until one said hello, left, or had its time for it
                    await self._left.park()
        finally:
            self._places.unqueue(owner)
        with trio.CancelScope() as scope:

            def make_room() -> None:
                one = self._open.get(number)
                if one is None:
                    scope.cancel()
                else:
                    one.connection.close(wire.CLOSE_BAD_MESSAGE, "too many connections without a hello")

            self._places.enter(owner, number, make_room, trio.current_time())
            try:
                yield scope
            finally:
                self._places.leave(owner, number)
                self._left.unpark_all()

    async def close_revoked(self, host_ids: set[str]) -> None:
        """Connections without a hello of hosts whose credential has changed: their actors have not heard of them."""
        for number in [number for host_id in host_ids for number in self._places.silent_of(host_id)]:
            one = self._open.get(number)
            try:
                if one is not None and not await one.admitted.still_good():
                    one.connection.close(wire.CLOSE_REVOKED, "revoked")
            except DatabaseError as error:  # it is asked for again at the hello
                _log.warning("cannot read a credential again: %s", error)

    async def talk(self, socket: AgentSocket, admitted: Admitted) -> None:
        """Serve one connection to its end."""
        mailbox = self._mailbox_of(admitted.host_id)
        async with trio.open_nursery() as nursery:
            connection = Connection(socket, nursery.cancel_scope, self._outbox)

            def send(frame: wire.FromServer) -> None:
                if isinstance(frame, wire.Welcome):
                    self._admission.end(admitted.number)
                connection.send(frame)

            agent = AgentConnection(admitted.number, admitted.address, send, connection.close, admitted.token_hash)
            one = self._open[admitted.number] = _Open(admitted, connection, agent, mailbox)
            self._admission.begin(admitted.number)
            nursery.start_soon(connection.write)
            try:
                await self._listen(one)
                connection.close(1000, "")
            except SocketClosed:
                if not connection.is_closing():  # else it waits a moment for the other end's goodbye
                    nursery.cancel_scope.cancel()
            finally:
                del self._open[admitted.number]
                self._admission.end(admitted.number)
                mailbox.put_unbounded(ConnectionClosed(agent, clock.now()))

    async def _listen(self, one: _Open) -> None:
        """Carry out what messages lead to, until the connection is to be closed."""
        connection, host_id = one.connection, one.admitted.host_id
        pace = self._paces.setdefault(host_id, Pace())
        greeted, hello_by = False, trio.current_time() + HELLO_SECONDS
        while not connection.is_closing():
            messages: list[str | bytes] = []
            with trio.move_on_at(trio.current_time() + self._silence if greeted else hello_by):
                messages = await connection.socket.receive()
            if not messages:
                if greeted and trio.current_time() < self._grace_until():
                    continue  # this server was away: what was said meanwhile is still to be read
                end = handshake.SILENT if greeted else handshake.NO_HELLO
                return connection.close(end.code, end.reason)
            self._places.heard(host_id, one.admitted.number)
            for message in messages:
                if seconds := pace.frame(len(message), trio.current_time()):  # of all its host's connections together
                    await trio.sleep(seconds)
                if connection.is_closing():  # revoked or replaced: what it says does not count any more
                    return None
                for step in handshake.of_host(message, greeted=greeted):
                    match step:
                        case handshake.Reply(frame):
                            connection.send(frame)
                        case handshake.Close(code, reason):
                            return connection.close(code, reason)
                        case handshake.PassOnUnreadable(problem):
                            await one.mailbox.send(UnreadableReport(one.agent, problem, clock.now()))
                        case handshake.PassOn(frame):
                            if isinstance(frame, wire.Hello):
                                await self._greet(one, frame, pace)
                            if not greeted and not await one.admitted.still_good():
                                # Revoked between upgrade and hello: the host's actor closes only those it has heard of.
                                return connection.close(wire.CLOSE_REVOKED, "revoked")
                            greeted = True
                            one.admitted.slot.has_signed_in()
                            await one.mailbox.send(FrameReceived(one.agent, frame, clock.now()))
        return None

    async def _greet(self, one: _Open, hello: wire.Hello, pace: Pace) -> None:
        """It is silent no more. If its host has said hello too often, it waits."""

        def make_room() -> None:
            one.connection.close(wire.CLOSE_GOING_AWAY, "too many connections of this host")

        self._places.greet(one.admitted.host_id, one.admitted.number, hello.purpose, make_room)
        self._left.unpark_all()
        if seconds := pace.hello(trio.current_time()):
            await trio.sleep(seconds)
