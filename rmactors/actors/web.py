"""The operators' port: hypercorn serving the web application, each connection contained.

Owns      the listener and its connections.
Receives  HTTP. Sends what the routes ask of `Services`.
Restart   the listener opens again; browsers reconnect.

Hypercorn's own trio worker lets one stray byte after an upgrade end the whole nursery, and waits for ever for a peer
that stops reading. Here an exception ends its connection alone, and every send has a deadline.
"""

import logging
import ssl
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import trio
from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from quart_trio import QuartTrio

from rmactors.actors.listening import Port

_log = logging.getLogger(__name__)

HEADERS_SECONDS = 15
"""A connection that has not sent complete request headers by then is closed; so is one that stays idle."""
SEND_SECONDS = 30.0
CLOSE_SECONDS = 2.0
CONNECTIONS_PER_ADDRESS = 500
"""Past any number of browsers behind one proxy, short of what exhausts file descriptors."""


@dataclass(frozen=True, slots=True)
class WebSettings:
    port: Port
    ssl_context: ssl.SSLContext | None


async def run(
    settings: WebSettings,
    app: QuartTrio,
    closing: trio.Event,
    end_streams: Callable[[], None],
    listening: Callable[[], None],
) -> None:
    """Serve until `closing` is set; then end event streams, let requests finish, and return."""
    config = _config()
    wrapped = ASGIWrapper(_without_websockets(app))
    context = WorkerContext(None)
    lifespan = Lifespan(wrapped, config, {})
    listeners = await settings.port.take()
    connections: Counter[str] = Counter()
    serve = partial(_contain, wrapped, config, context, settings.ssl_context, connections)
    async with trio.open_nursery() as around:
        await around.start(lifespan.handle_lifespan)
        await lifespan.wait_for_startup()
        async with trio.open_nursery() as requests:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(partial(trio.serve_listeners, serve, listeners, handler_nursery=requests))
                listening()
                await closing.wait()
                accepting.cancel_scope.cancel()
            end_streams()
            await context.terminated.set()
            requests.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
        with trio.move_on_after(CLOSE_SECONDS):
            await lifespan.wait_for_shutdown()
        around.cancel_scope.cancel()


def _without_websockets(app: QuartTrio) -> Callable[..., Awaitable[None]]:
    """The application, with every WebSocket refused: this port has none, and Quart would make an error page of it."""

    async def serve(scope: Any, receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
        else:
            await app(scope, receive, send)

    return serve


def _config() -> Config:
    config = Config()
    config.keep_alive_timeout = HEADERS_SECONDS
    config.ssl_handshake_timeout = HEADERS_SECONDS
    config.alpn_protocols = ["http/1.1"]
    config.include_server_header = False
    config.accesslog = None
    config.errorlog = None
    return config


async def _contain(
    app: ASGIWrapper,
    config: Config,
    context: WorkerContext,
    ssl_context: ssl.SSLContext | None,
    connections: Counter[str],
    stream: trio.SocketStream,
) -> None:
    """One connection. Whatever goes wrong in it stays in it."""
    try:
        address = str(stream.socket.getpeername()[0])
    except OSError:  # gone before it was looked at
        await trio.aclose_forcefully(stream)
        return
    if connections[address] >= CONNECTIONS_PER_ADDRESS:
        await trio.aclose_forcefully(stream)
        return
    connections[address] += 1
    wrapped: Any = stream  # hypercorn takes either, and says only one
    if ssl_context is not None:
        wrapped = trio.SSLStream(stream, ssl_context, server_side=True, https_compatible=True)
    try:
        await _Connection(app, config, context, {}, wrapped).run()
    except Exception as error:
        _log.debug("connection from %s ended: %r", address, error)
    finally:
        connections[address] -= 1
        if not connections[address]:
            del connections[address]
        await trio.aclose_forcefully(stream)


class _Connection(TCPServer):
    """Hypercorn's connection, with a deadline on each send."""

    async def protocol_send(self, event: Event) -> None:
        if not isinstance(event, RawData):
            await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                # Shielded as in hypercorn, so that a cancelled request does not cut its answer in the middle.
                with trio.fail_after(SEND_SECONDS, shield=True):
                    await self.stream.send_all(event.data)
                return
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            except trio.TooSlowError:
                await trio.aclose_forcefully(self.stream)
        await self.protocol.handle(Closed())
