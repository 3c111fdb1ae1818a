"""The operators' port: hypercorn's HTTP/1.1 around the web application, each connection contained.

Owns      the listener and its connections.
Receives  HTTP. Sends what the routes ask of `Services`.
Restart   the listener opens again; browsers reconnect.

The connection is our own and the protocol is hypercorn's, because hypercorn's connection lets one stray byte after an
upgrade end the whole nursery, waits for ever for a peer that stops reading, and takes HTTP/2 from whoever asks. Here an
exception ends its connection alone, everything has a deadline, and HTTP/1.1 is all that is spoken. Strangers are
counted by request: those that come on a proxy's connection, one after the other, may be of many clients.
"""

import logging
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from typing import Any
from urllib.parse import urlsplit

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from quart_trio import QuartTrio

from rmactors.actors.listening import Port
from rmactors.addresses import Network, client_address, one_list
from rmactors.strangers import Stranger, Strangers, places

_log = logging.getLogger(__name__)

HEADERS_SECONDS = 15.0
"""TLS and complete request headers must be there by then, counted from the connection or from the last answer."""
PROXY_HEADERS_SECONDS = 5.0
"""The same for a trusted proxy's first request: it has the headers before it connects."""
SEND_SECONDS = 30.0
LINGER_SECONDS = 2.0
"""After an answer that ends a connection: as long as what the peer still sends is read and thrown away, so that it
sees the answer and not a reset."""
LINGER_HURRIED_SECONDS = 0.1
AFTERWARDS_SECONDS = 30.0
"""After a peer has gone: as long as its request may still take."""
CLOSE_SECONDS = 2.0
RECEIVE_BYTES = 65_536

_Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]
_Headers = Sequence[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`headers` go onto answers that the application never sees: to what is no HTTP. `proxies` are the networks of
    `RM_TRUSTED_PROXIES`. `knows` says whether the headers of a request (names in lower case) hold a credential that is
    good. `most` connections may be open on both ports together."""

    port: Port
    ssl_context: ssl.SSLContext | None
    headers: Mapping[str, str]
    knows: Callable[[_Headers], Awaitable[bool]]
    proxies: tuple[Network, ...] = ()
    most: int = 1 << 30


async def run(
    settings: WebSettings,
    app: QuartTrio,
    closing: trio.Event,
    end_streams: Callable[[], None],
    listening: Callable[[], None],
) -> None:
    """Serve until `closing` is set; then end event streams, let requests finish, and return."""
    config = _config()
    shield = _Shield()
    wrapped = ASGIWrapper(_sends_whole(app, shield))
    context = WorkerContext(None)
    lifespan = Lifespan(wrapped, config, {})
    listeners = await settings.port.take()
    door = _Door(wrapped, config, context, settings, shield)
    async with trio.open_nursery() as around:
        await around.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as requests:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, door.serve, listeners, handler_nursery=requests))
                listening()
                await closing.wait()
                accepting.cancel_scope.cancel()
            end_streams()
            await context.terminated.set()
            door.hurry()
            requests.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            shield.end_by(requests.cancel_scope.deadline)
        with trio.move_on_after(CLOSE_SECONDS):
            await lifespan.wait_for_shutdown()
        around.cancel_scope.cancel()


class _Shield:
    """Around what no cancelling should cut in two. Each has a deadline, which comes nearer when the server stops."""

    def __init__(self) -> None:
        self._latest = inf
        self._scopes: set[trio.CancelScope] = set()

    @contextmanager
    def hold(self, seconds: float) -> Iterator[trio.CancelScope]:
        deadline = min(trio.current_time() + seconds, self._latest)
        with trio.CancelScope(deadline=deadline, shield=True) as scope:
            self._scopes.add(scope)
            try:
                yield scope
            finally:
                self._scopes.discard(scope)

    def end_by(self, latest: float) -> None:
        self._latest = latest
        for scope in self._scopes:
            scope.deadline = min(scope.deadline, latest)


def _sends_whole(app: QuartTrio, shield: _Shield) -> Callable[..., Awaitable[None]]:
    """The application, with sends that no cancelling cuts in two.

    Quart cancels a request the moment it is over, which is inside of its last send: what follows that in there, such as
    the deadline for the next request, would not happen.
    """

    async def serve(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        async def send_whole(message: Any) -> None:
            with shield.hold(SEND_SECONDS + LINGER_SECONDS):
                await send(message)

        await app(scope, receive, send_whole)

    return serve


def _config() -> Config:
    config = Config()
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    return config


class _Door:
    """Takes connections in and contains them."""

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        settings: WebSettings,
        shield: _Shield,
    ) -> None:
        self._app, self._config, self._context = app, config, context
        self._ssl_context, self._knows = settings.ssl_context, settings.knows
        self._error_headers = [(name.encode(), value.encode()) for name, value in settings.headers.items()]
        self._shield = shield
        self._strangers = Strangers(settings.proxies, places(settings.most))
        self._connections: set[_Connection] = set()

    async def serve(self, stream: trio.SocketStream) -> None:
        """One connection. Whatever goes wrong in it stays in it."""
        try:
            client, server = _address(stream.socket.getpeername()), _address(stream.socket.getsockname())
        except OSError:  # gone before it was looked at
            await trio.aclose_forcefully(stream)
            return
        with trio.CancelScope() as scope:

            def give_up() -> None:
                scope.cancel()
                stream.socket.close()  # also for what is shielded: nothing more can be sent

            stranger = self._strangers.admit(client[0], give_up)
            try:
                await self._talk(stream, client, server, stranger)
            except Exception as error:
                _log.debug("connection from %s ended: %r", client[0], error)
            finally:
                stranger.leave()
                await trio.aclose_forcefully(stream)

    def hurry(self) -> None:
        """End every connection on which no request is under way, and the others as soon as they have their answer."""
        for connection in list(self._connections):
            connection.hurry()

    async def _talk(
        self, tcp: trio.SocketStream, client: tuple[str, int], server: tuple[str, int], stranger: Stranger
    ) -> None:
        by_proxy = self._strangers.is_proxy(client[0])
        headers_until = trio.current_time() + (PROXY_HEADERS_SECONDS if by_proxy else HEADERS_SECONDS)
        stream: _Stream = tcp
        if self._ssl_context is not None:
            stream = trio.SSLStream(tcp, self._ssl_context, server_side=True, https_compatible=True)
            with trio.fail_at(headers_until):
                await stream.do_handshake()
        connection = _Connection(stream, headers_until, self._shield, stranger)
        # What a request finds in `scope["state"]`: how it says that whoever sent it has signed in, or showed a token
        # that is none.
        state = ConnectionState(
            {"signed_in": stranger.has_signed_in, "was_wrong": lambda: stranger.was_wrong(trio.current_time())}
        )
        self._connections.add(connection)
        try:
            with connection.scope:
                async with TaskGroup() as requests:
                    protocol = _Http1(
                        self._app, self._config, self._context, requests, state, self._ssl_context is not None, client,
                        server, connection.send,
                    )  # fmt: skip
                    protocol.error_headers = self._error_headers
                    protocol.may_enter = partial(self._may_enter, client[0], stranger)
                    await connection.run(protocol)
        finally:
            self._connections.discard(connection)

    async def _may_enter(self, peer: str, stranger: Stranger, headers: _Headers) -> bool:
        """Whether a request is looked at: not where its address has too many strangers and it is of one more."""
        forwarded = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
        address = client_address(peer, one_list(forwarded), self._strangers.proxies)
        if stranger.comes_from(address, trio.current_time()):
            return True
        if stranger.is_kept_back() and await self._knows(headers):
            return True
        stranger.waits()  # for its end: the place that is kept back is free for the next
        return False


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 without its ways into HTTP/2 and WebSockets: an offer to upgrade is not taken up."""

    error_headers: _Headers = ()
    may_enter: Callable[[_Headers], Awaitable[bool]]

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("only HTTP/1.1 is spoken here")

    async def _create_stream(self, request: h11.Request) -> None:
        if not _is_target(request.target):
            await self._send_error_response(400)
            await self.send(Closed())
            return
        if not await self.may_enter(list(request.headers)):
            await self._send_error_response(429)
            await self.send(Closed())
            return
        headers = [(name, value) for name, value in request.headers if name != b"upgrade"]
        plain = h11.Request(
            method=request.method, headers=headers, target=request.target, http_version=request.http_version
        )
        await super()._create_stream(plain)

    async def _send_error_response(self, status_code: int) -> None:
        """To what is no HTTP, or one too many: without a body, with the headers that every answer has."""
        headers = [(b"content-length", b"0"), (b"connection", b"close"), *self.error_headers]
        if status_code == 429:
            headers.append((b"retry-after", b"5"))
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.EndOfMessage())


class _Connection:
    """One browser's connection: bytes between a stream and the protocol, each wait with a deadline.

    `scope` is around all of it, requests included.
    """

    def __init__(self, stream: _Stream, headers_until: float, shield: _Shield, stranger: Stranger) -> None:
        self.scope = trio.CancelScope()
        self._stream = stream
        self._stranger = stranger
        self._shield = shield
        self._sending = trio.Lock()
        self._protocol: H11Protocol | None = None
        self._reading = trio.CancelScope(deadline=headers_until)
        self._linger = LINGER_SECONDS
        self._idle = True
        self._over = False

    async def run(self, protocol: H11Protocol) -> None:
        """Until the peer leaves, is too slow, or has its last answer."""
        self._protocol = protocol
        await protocol.initiate()
        with self._reading:
            await self._read(protocol)
        if self._idle or self._over:  # nothing is under way that should be heard of
            self.scope.cancel()
            return
        self.scope.deadline = trio.current_time() + AFTERWARDS_SECONDS
        await protocol.handle(Closed())

    def hurry(self) -> None:
        """The server stops: end now, or as soon as the answer under way is out."""
        self._linger = LINGER_HURRIED_SECONDS
        if self._idle or self._over:
            self._reading.cancel()

    async def send(self, event: Event) -> None:
        """What the protocol has to say: bytes, whether a request is under way, that this was all."""
        assert self._protocol is not None
        match event:
            case RawData():
                async with self._sending:
                    try:
                        with self._shield.hold(SEND_SECONDS) as sending:
                            await self._stream.send_all(event.data)
                        if not sending.cancelled_caught:
                            return
                        await trio.aclose_forcefully(self._stream)
                    except (trio.BrokenResourceError, trio.ClosedResourceError):
                        pass
                await self._protocol.handle(Closed())
            case Updated():
                self._idle = event.idle
                if event.idle:
                    self._stranger.waits()
                self._reading.deadline = trio.current_time() + HEADERS_SECONDS if event.idle else inf
            case Closed():
                await self._say_end()

    async def _read(self, protocol: H11Protocol) -> None:
        while True:
            try:
                data = await self._stream.receive_some(RECEIVE_BYTES)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return
            if not data:
                return
            if not self._over:
                self._stranger.takes(len(data))
                await protocol.handle(RawData(bytes(data)))

    async def _say_end(self) -> None:
        """No more will be sent. What still comes is read for a moment and thrown away."""
        if self._over:
            return
        self._over = True
        self._reading.deadline = trio.current_time() + self._linger
        if isinstance(self._stream, trio.SocketStream):
            try:
                await self._stream.send_eof()
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                self._reading.cancel()


def _is_target(target: bytes) -> bool:
    """Whether it is in one of HTTP's forms, a path, a URL or `*`: Quart stumbles over others."""
    if target.startswith(b"/") or target == b"*":
        return True
    try:
        url = urlsplit(target.decode("latin-1"))
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.netloc)


def _address(name: Any) -> tuple[str, int]:
    """Host and port of a socket's name, IPv4 or IPv6."""
    return str(name[0]), int(name[1])
