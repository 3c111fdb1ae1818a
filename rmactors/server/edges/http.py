"""The operators' port: hypercorn's HTTP/1.1 around the web application, each connection contained.

Owns      the listener and its connections.
Receives  HTTP. Sends what the routes ask of `Services`.
Restart   the listener opens again; browsers reconnect.

The connection is our own and the protocol is hypercorn's, because hypercorn's connection lets one stray byte after an
upgrade end the whole nursery, waits without end for a peer that stops reading, and takes HTTP/2 from any client. Here
an exception ends its connection alone, everything has a deadline, and HTTP/1.1 is all that is spoken. Who has not
signed in is counted by request: those that come on a proxy's connection, one after the other, may be of many clients.
"""

import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import h11
import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import ConnectionState
from quart_trio import QuartTrio

from rmactors.server.edges.addresses import Network, client_address, one_list
from rmactors.server.edges.entrance import Entrance
from rmactors.server.edges.first_bytes import Headers, refusal
from rmactors.server.edges.http_connection import LINGER_SECONDS, SEND_SECONDS, Connection, Shield
from rmactors.server.edges.listener import Arrivals, Peer, Port
from rmactors.server.edges.preauth_limits import PreauthLimits, Slot, in_line, places

CLOSE_SECONDS = 2.0
RETRY_AFTER = (b"retry-after", b"5")


@dataclass(frozen=True, slots=True)
class WebSettings:
    """`headers` go onto answers that the application never sees: to what is no HTTP. `proxies` are the networks of
    `RM_TRUSTED_PROXIES`. `knows` says whether the headers of a request (names in lower case) hold a credential that is
    good. `most` connections may be open on both ports together."""

    port: Port
    ssl_context: ssl.SSLContext | None
    headers: Mapping[str, str]
    knows: Callable[[Headers], Awaitable[bool]]
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
    shield = Shield()
    wrapped = ASGIWrapper(_sends_whole(app, shield))
    context = WorkerContext(None)
    lifespan = Lifespan(wrapped, config, {})
    listeners = await settings.port.take()
    limits = PreauthLimits(settings.proxies, places(settings.most))
    entrance = Entrance(limits, settings.ssl_context, ends_without_notice=True)
    server = _HttpServer(wrapped, config, context, settings, shield, entrance)
    async with trio.open_nursery() as around:
        await around.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as requests:
            arrivals = Arrivals(server.contain, requests, limits.is_proxy, in_line(settings.most))
            async with trio.open_nursery() as accepting:
                accepting.start_soon(arrivals.run, listeners)
                listening()
                await closing.wait()
                accepting.cancel_scope.cancel()
            end_streams()
            await context.terminated.set()
            server.hurry()
            requests.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            shield.end_by(requests.cancel_scope.deadline)
        with trio.move_on_after(CLOSE_SECONDS):
            await lifespan.wait_for_shutdown()
        around.cancel_scope.cancel()


def _sends_whole(app: QuartTrio, shield: Shield) -> Callable[..., Awaitable[None]]:
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


class _HttpServer:
    """What is made for each connection: a task group, and hypercorn's protocol between that and the application."""

    def __init__(
        self,
        app: ASGIWrapper,
        config: Config,
        context: WorkerContext,
        settings: WebSettings,
        shield: Shield,
        entrance: Entrance,
    ) -> None:
        self._app, self._config, self._context = app, config, context
        self._entrance, self._knows = entrance, settings.knows
        self._error_headers = [(name.encode(), value.encode()) for name, value in settings.headers.items()]
        self._too_many = refusal(429, [*self._error_headers, RETRY_AFTER])
        self._shield = shield
        self._limits = entrance.limits
        self._connections: set[Connection] = set()

    async def contain(self, tcp: trio.SocketStream, client: Peer) -> None:
        await self._entrance.contain(tcp, client, self._serve)

    def hurry(self) -> None:
        """End every connection on which no request is in progress, and the others as soon as they have their answer."""
        self._entrance.hurry()
        for connection in list(self._connections):
            connection.hurry()

    async def _serve(self, tcp: trio.SocketStream, client: Peer, slot: Slot) -> None:
        with self._entrance.begin(client) as scope:
            stream, client = await self._entrance.open(tcp, client, slot, scope)
        if scope.cancelled_caught:
            return
        connection = Connection(stream, scope.deadline, self._shield, slot)
        # What a request finds in `scope["state"]`: how it says that its sender has signed in, or showed a token
        # that is none.
        state = ConnectionState(
            {"signed_in": slot.has_signed_in, "was_wrong": lambda: slot.penalise(trio.current_time())}
        )
        server = _address(tcp.socket.getsockname())
        self._connections.add(connection)
        try:
            may_enter = partial(self._may_enter, client[0], slot)
            heard = None
            if self._limits.are_many():  # what will be refused is so before anything is made for it
                heard = await connection.hear()
                if heard is None:
                    return
                if heard.request is not None and not await may_enter(heard.request.headers):
                    await connection.turn_away(self._too_many)
                    return
            with connection.scope:
                async with TaskGroup() as requests:
                    protocol = _Http1(
                        self._app, self._config, self._context, requests, state, self._entrance.tls is not None, client,
                        server, connection.send,
                    )  # fmt: skip
                    protocol.error_headers = self._error_headers
                    protocol.may_enter = may_enter
                    protocol.has_entered = heard is not None and heard.request is not None
                    await connection.run(protocol, heard.data if heard is not None else b"")
        finally:
            self._connections.discard(connection)

    async def _may_enter(self, peer: str, slot: Slot, headers: Headers) -> bool:
        """Whether a request is looked at: not if its address has no slot left and this is one more."""
        forwarded = [value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for"]
        address = client_address(peer, one_list(forwarded), self._limits.proxies)
        if slot.comes_from(address, trio.current_time()):
            return True
        if slot.is_kept_back() and await self._knows(headers):
            return True
        slot.waits()  # for its end: the place that is kept back is free for the next
        return False


class _Http1(H11Protocol):
    """Hypercorn's HTTP/1.1 without its ways into HTTP/2 and WebSockets: an offer to upgrade is not taken up.

    `has_entered`: the first request was let in before this was made.
    """

    error_headers: Headers = ()
    may_enter: Callable[[Headers], Awaitable[bool]]
    has_entered = False

    async def _check_protocol(self, event: h11.Request) -> None:
        if event.http_version not in (b"1.0", b"1.1"):
            raise h11.RemoteProtocolError("only HTTP/1.1 is spoken here")

    async def _create_stream(self, request: h11.Request) -> None:
        if not _is_target(request.target):
            await self._send_error_response(400)
            await self.send(Closed())
            return
        enters, self.has_entered = self.has_entered or await self.may_enter(request.headers), False
        if not enters:
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
            headers.append(RETRY_AFTER)
        await self._send_h11_event(h11.Response(status_code=status_code, headers=headers))
        await self._send_h11_event(h11.EndOfMessage())


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
