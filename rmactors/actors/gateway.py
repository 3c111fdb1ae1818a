"""The agents' port: frames to typed messages and back, and nothing else.

Owns      the listener and every agent connection on it.
Receives  frames from sockets; frames and closings from host actors, through `Link`.
Sends     `Heard`, `HeardUnreadable`, `LinkClosed` to host actors; enrolments to the store.
Restart   all connections close; agents come back.

No byte sequence ends the process: each connection is contained. A peer that stalls is cut off by deadlines, one that
has not signed in is counted by its address (behind a trusted proxy by what that says), one that showed a wrong token
for a while longer.
"""

import logging
import ssl
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import trio
import trio_websocket

from rmactors import clock, ids, tokens, wire
from rmactors.actors.listening import Port
from rmactors.addresses import Network, client_address, one_list
from rmactors.host_names import host_name_problem
from rmactors.logs import fields
from rmactors.mailbox import Outlet, ask
from rmactors.messages.links import FromLink, Heard, HeardUnreadable, Link, LinkClosed
from rmactors.messages.writes import Commit, Committed, EnrollHost, Refused, Reply
from rmactors.store.memory import Credential, find_credential
from rmactors.store.reader import Reader
from rmactors.strangers import Stranger, Strangers

_log = logging.getLogger(__name__)

HANDSHAKE_SECONDS = 15.0
"""TLS and request headers must be complete within this, counted from the connection."""
PROXY_HANDSHAKE_SECONDS = 5.0
"""The same for a trusted proxy, which has the headers before it connects."""
SEND_SECONDS = 15.0
CLOSE_SECONDS = 2.0
OUTBOX_FRAMES = 10_000
"""Frames queued to an agent that reads nothing: as many acks as it may have reports under way, and some."""
ENROLL_SECONDS = 60.0
NAMES_PER_ENROLMENT = 20
"""How many names one connection under an enrolment token may try: each costs a commit."""


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`silence` in seconds: a connection without a message for so long is closed. `proxies`: see `Strangers`."""

    port: Port
    ssl_context: ssl.SSLContext | None
    silence: float
    proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """`mailbox_of` gives the mailbox of a host's actor, started or about to be. `not_before` as in `HostPorts`."""

    mailbox_of: Callable[[str], Outlet[FromLink]]
    to_store: Outlet[Commit]
    reader: Reader
    not_before: Callable[[], float]


@dataclass(slots=True)
class GatewayState:
    """What `/metrics` reads."""

    agents: int = 0


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
            for listener in listeners:
                accepting.start_soon(gateway.accept, listener, connections)
            listening()
            await closing.wait()
            accepting.cancel_scope.cancel()
        connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        gateway.say_goodbye()


class _Gateway:
    def __init__(self, settings: GatewaySettings, ports: GatewayPorts, state: GatewayState) -> None:
        self._settings = settings
        self._ports = ports
        self._state = state
        self._strangers = Strangers(settings.proxies)
        self._handshakes: set[trio.CancelScope] = set()
        self._connections: dict[int, _Connection] = {}
        self._numbers = 0

    async def accept(self, listener: trio.SocketListener, connections: trio.Nursery) -> None:
        await trio.serve_listeners(self._contain, [listener], handler_nursery=connections)

    def say_goodbye(self) -> None:
        for handshake in self._handshakes:
            handshake.cancel()
        for connection in list(self._connections.values()):
            connection.close(wire.CLOSE_GOING_AWAY, "the server stops")

    async def _contain(self, stream: trio.SocketStream) -> None:
        """One connection. Whatever goes wrong in it stays in it."""
        try:
            address = str(stream.socket.getpeername()[0])
        except OSError:  # gone before it was looked at
            await trio.aclose_forcefully(stream)
            return
        with trio.CancelScope() as scope:
            stranger = self._strangers.admit(address, scope.cancel)
            try:
                await self._serve(stream, address, stranger)
            except Exception as error:
                _log.debug("connection from %s ended: %r", address, error)
            finally:
                stranger.leave()
                await trio.aclose_forcefully(stream)

    async def _serve(self, tcp: trio.SocketStream, address: str, stranger: Stranger) -> None:
        stream: trio.abc.Stream = tcp
        async with trio.open_nursery() as nursery:
            request = None
            with self._handshake(by_proxy=self._strangers.is_proxy(address)) as scope:
                if self._settings.ssl_context is not None:
                    stream = trio.SSLStream(tcp, self._settings.ssl_context, server_side=True)
                    await stream.do_handshake()
                reading = cast(trio.Nursery, _Reading(nursery, ended=scope.cancel))
                request = await trio_websocket.wrap_server_stream(
                    reading, stream, message_queue_size=16, max_message_size=wire.MAX_FRAME_BYTES
                )
            if request is not None:
                await self._welcome(request, address, stranger)
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

    async def _welcome(self, request: trio_websocket.WebSocketRequest, peer: str, stranger: Stranger) -> None:
        headers = {name.lower(): value for name, value in request.headers}
        forwarded = [value.decode("latin-1") for name, value in request.headers if name.lower() == b"x-forwarded-for"]
        address = client_address(peer, one_list(forwarded), self._settings.proxies)
        has_room = stranger.comes_from(address, trio.current_time())
        if request.path.partition("?")[0] != wire.PATH:
            return await _reject(request, 404, "not found")
        if b"origin" in headers:
            return await _reject(request, 403, "this port is for agents, not for browsers")
        digest = _digest(headers.get(b"authorization", b""))
        credential = await self._credential(digest) if has_room or stranger.is_kept_back() else None
        if credential is None:
            if not has_room:
                return await self._turn_away(request, peer)
            stranger.leave_late(trio.current_time())
            _log.info("an agent showed no valid token", extra=fields("agent.refused", address=address))
            return await _reject(request, 401, "the token is wrong, used, expired or revoked")
        with trio.fail_after(HANDSHAKE_SECONDS):
            socket = await request.accept()
        if credential.enrollment_id is not None:
            return await self._enroll(socket, credential.enrollment_id, address)
        assert credential.host_id is not None
        stranger.has_signed_in()

        async def still_good() -> bool:
            return await self._credential(digest) == credential

        return await self._talk(socket, credential.host_id, address, still_good)

    async def _turn_away(self, request: trio_websocket.WebSocketRequest, peer: str) -> None:
        """Its address has too many strangers. A proxy gets an answer: without one it may take the server for dead."""
        if self._strangers.is_proxy(peer):
            await _reject(request, 429, "too many connections from this address", (b"retry-after", b"5"))

    async def _credential(self, digest: str | None) -> Credential | None:
        return await self._ports.reader.run(find_credential, digest, clock.now()) if digest is not None else None

    # ---- enrolment

    async def _enroll(self, socket: trio_websocket.WebSocketConnection, enrollment_id: str, address: str) -> None:
        with trio.move_on_after(ENROLL_SECONDS):
            for _ in range(NAMES_PER_ENROLMENT):
                text = await socket.get_message()
                if isinstance(text, bytes):
                    return await socket.aclose(wire.CLOSE_BINARY, "text frames only")
                frame = wire.decode_from_agent(text)
                if not isinstance(frame, wire.Enroll):
                    detail = (
                        frame.detail
                        if isinstance(frame, wire.Unreadable)
                        else "under an enrolment token, only `enroll`"
                    )
                    code = frame.code if isinstance(frame, wire.Unreadable) else "bad_message"
                    await socket.send_message(wire.encode(wire.Error(code, detail)))
                    if code == "unknown_type":
                        continue
                    return await socket.aclose(wire.CLOSE_BAD_MESSAGE, "bad_message")
                name = frame.name.strip() or frame.hostname or "host"
                if problem := host_name_problem(name):
                    await socket.send_message(wire.encode(wire.Error("bad_name", f"a host's name {problem}")))
                    continue
                token = tokens.make(tokens.HOST)
                answer = await self._ask_enroll(frame, name, enrollment_id, tokens.digest(token), address)
                match answer:
                    case Committed(values=(str() as host_id,)):
                        await socket.send_message(wire.encode(wire.Enrolled(host_id, token)))
                        return await socket.aclose(1000)
                    case Refused(code="name_taken", detail=detail):
                        await socket.send_message(wire.encode(wire.Error("name_taken", detail)))
                    case Refused(code=refused, detail=detail):
                        await socket.send_message(wire.encode(wire.Error(refused, detail)))
                        return await socket.aclose(wire.CLOSE_REVOKED, refused)
                    case _:
                        await socket.send_message(
                            wire.encode(wire.Error("try_again", "the server cannot write just now"))
                        )
                        return await socket.aclose(wire.CLOSE_GOING_AWAY, "try again")
            await socket.aclose(wire.CLOSE_BAD_MESSAGE, "too many names tried")
        return None

    async def _ask_enroll(
        self, frame: wire.Enroll, name: str, enrollment_id: str, token_hash: str, address: str
    ) -> object:
        write = EnrollHost(
            enrollment_id, ids.new(), name, frame.hostname, frame.os, frame.arch, frame.agent_version, token_hash,
            clock.now(), address,
        )  # fmt: skip

        def request(reply: Reply) -> Commit:
            return Commit((write,), reply)

        return await ask(self._ports.to_store.send, request)

    # ---- a host's connection

    async def _talk(
        self,
        socket: trio_websocket.WebSocketConnection,
        host_id: str,
        address: str,
        still_good: Callable[[], Awaitable[bool]],
    ) -> None:
        mailbox = self._ports.mailbox_of(host_id)
        self._numbers += 1
        number = self._numbers
        async with trio.open_nursery() as nursery:
            connection = _Connection(socket, nursery.cancel_scope)
            link = Link(number, address, connection.send, connection.close)
            self._connections[number] = connection
            self._state.agents += 1
            nursery.start_soon(connection.write)
            try:
                await self._listen(connection, link, mailbox, still_good)
                connection.close(1000, "")
            except trio_websocket.ConnectionClosed:
                nursery.cancel_scope.cancel()
            finally:
                self._state.agents -= 1
                del self._connections[number]
                mailbox.answer(LinkClosed(link, clock.now()))

    async def _listen(
        self,
        connection: "_Connection",
        link: Link,
        mailbox: Outlet[FromLink],
        still_good: Callable[[], Awaitable[bool]],
    ) -> None:
        """Pass on what comes until the connection is to be closed."""
        greeted = False
        while not connection.is_closing():
            text = None
            with trio.move_on_after(self._settings.silence):
                text = await connection.socket.get_message()
            if text is None:
                if trio.current_time() < self._ports.not_before():
                    continue  # this server was away: what was said meanwhile is still to be read
                return connection.close(wire.CLOSE_GOING_AWAY, "nothing heard for too long")
            if connection.is_closing():  # revoked or replaced: what it says does not count any more
                return None
            if isinstance(text, bytes):
                return connection.close(wire.CLOSE_BINARY, "text frames only")
            frame = wire.decode_from_agent(text)
            if isinstance(frame, wire.Unreadable) and (frame.code == "unknown_type" or frame.seq is None):
                connection.send(wire.Error(frame.code, frame.detail))
                if frame.code == "bad_message":
                    return connection.close(wire.CLOSE_BAD_MESSAGE, frame.code)
                if frame.seq is not None and greeted:  # a report from the future must not block the spool
                    await mailbox.send(HeardUnreadable(link, frame, clock.now()))
            elif not greeted and not isinstance(frame, wire.Hello):
                connection.send(wire.Error("hello_first", "the first message must be `hello`"))
                return connection.close(wire.CLOSE_BAD_MESSAGE, "hello_first")
            elif isinstance(frame, wire.Unreadable):
                await mailbox.send(HeardUnreadable(link, frame, clock.now()))
            elif isinstance(frame, wire.Hello) and not frame.protocol.min <= wire.PROTOCOL <= frame.protocol.max:
                ours = wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL)
                connection.send(wire.Error("protocol_unsupported", "no common version of the protocol", ours))
                return connection.close(wire.CLOSE_PROTOCOL, "protocol_unsupported")
            elif not greeted and not await still_good():
                # Revoked between upgrade and hello: the host's actor closes only the links that it has heard of.
                return connection.close(wire.CLOSE_REVOKED, "revoked")
            else:
                greeted = True
                await mailbox.send(Heard(link, frame, clock.now()))
        return None


@dataclass(frozen=True, slots=True)
class _Reading:
    """What trio-websocket needs of a nursery: to start its reader. Says when that has ended.

    Without it, the library waits on for the request of a peer that has left, whose place among the strangers would stay
    taken until the deadline.
    """

    nursery: trio.Nursery
    ended: Callable[[], None]

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self.nursery.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        await read()
        self.ended()


class _Connection:
    """The sending half of one connection: a queue that never waits, and a task that empties it."""

    def __init__(self, socket: trio_websocket.WebSocketConnection, scope: trio.CancelScope) -> None:
        self.socket = socket
        self.closing: tuple[int, str] | None = None
        self._scope = scope
        self._outbox: deque[wire.FromServer] = deque()
        self._something = trio.Event()

    def send(self, frame: wire.FromServer) -> None:
        if self.closing is not None:
            return
        if len(self._outbox) >= OUTBOX_FRAMES:
            self._scope.cancel()  # it takes nothing: what it misses is sent again after its next hello
            return
        self._outbox.append(frame)
        self._something.set()

    def is_closing(self) -> bool:
        return self.closing is not None

    def close(self, code: int, reason: str) -> None:
        if self.closing is None:
            self.closing = (code, reason)
            self._something.set()

    async def write(self) -> None:
        """Send what is queued; after a closing, say goodbye and end the connection."""
        try:
            while True:
                await self._something.wait()
                self._something = trio.Event()
                while self._outbox:
                    with trio.fail_after(SEND_SECONDS):
                        await self.socket.send_message(wire.encode(self._outbox.popleft()))
                if self.closing is not None:
                    with trio.move_on_after(CLOSE_SECONDS):
                        await self.socket.aclose(*self.closing)
                    break
        except (trio_websocket.ConnectionClosed, trio.TooSlowError):
            pass  # it left, or reads nothing: nothing more can be said to it
        self._scope.cancel()


def _digest(authorization: bytes) -> str | None:
    """What a bearer token is found by; None where the header holds none."""
    scheme, _, token = authorization.partition(b" ")
    if scheme.lower() != b"bearer" or not token.strip():
        return None
    return tokens.digest(token.strip().decode("latin-1"))


async def _reject(request: trio_websocket.WebSocketRequest, status: int, why: str, *more: tuple[bytes, bytes]) -> None:
    body = why.encode() + b"\n"
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), *more]
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    with trio.move_on_after(HANDSHAKE_SECONDS):
        await request.reject(status, extra_headers=headers, body=body)
