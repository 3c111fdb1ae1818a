"""One WebSocket to the server: URLs, TLS, and every wait under a deadline.

Owns the socket for as long as it is open. trio-websocket waits forever on a peer that stops reading and hides why
a connection ended; here each send has a deadline and each end has a reason. Must not know what frames mean.
"""

import logging
import math
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

import trio
import trio_websocket
from trio_websocket import ConnectionClosed, WebSocketConnection

from rmactors import PRODUCT, __version__
from rmactors.agent.client_certificate import ClientCertificate, alert
from rmactors.agent.link_down import LinkDown as LinkDown
from rmactors.agent.routes import Address, Routes
from rmactors.agent.tcp import connect, resolve
from rmactors.agent.upgrade import Answer
from rmactors.common import wire
from rmactors.common.tls import verifying_context

log = logging.getLogger(__name__)

CLOSE_SECONDS: Final = 2.0
SHARE: Final = 4
"""If a name has more addresses, one has this part of the time that the last one has."""
_NO_FRAMES: Final = {1002, 1007}
REFUSAL_SECONDS: Final = 2.0
"""How long the rest of a refusal is waited for."""
Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]


@dataclass(frozen=True, slots=True)
class Timings:
    """How long the agent waits, in seconds."""

    connect: float = 20.0
    send: float = 20.0
    welcome: float = 30.0
    pong: float = 20.0
    ack: float = 30.0
    """An unacked report is sent again on a live connection after this."""
    stable: float = 60.0
    """A connection that lived this long makes the next pause short again."""
    first_pause: float = 1.0
    moderate_pause: float = 8.0
    """The longest after connections that were short, and good as far as they went."""
    longest_pause: float = 60.0
    refused_pause: float = 300.0
    """After the server said that this credential or protocol will not do."""
    mend: float = 10.0
    """Between two tries to write into a spool that could not be written."""
    runs: float = 5.0
    """The longest that an agent which starts waits for runs of `exec` that only their own process knows."""


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are always verified, by `ca_file` alone where given."""
    try:
        return verifying_context(ca_file)
    except OSError as error:
        raise LinkDown(f"cannot use the CA file {ca_file}: {error.strerror or error}") from None


class Connection:
    """An open WebSocket. All methods raise LinkDown when it ends or does not take part in time."""

    def __init__(self, socket: WebSocketConnection, timings: Timings, answer: Answer, address: Address) -> None:
        self.address = address
        self._socket = socket
        self._timings = timings
        self._answer = answer

    async def send(self, frame: wire.Frame | str) -> None:
        """Send a frame, or its JSON text."""
        text = frame if isinstance(frame, str) else wire.encode(frame)
        try:
            with trio.fail_after(self._timings.send):
                await self._socket.send_message(text)
        except trio.TooSlowError:
            raise LinkDown("the server takes nothing in") from None
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    async def receive(self) -> wire.FromServer | None:
        """The next frame; None for one that cannot be taken, which is logged and, where somebody there may wait for an
        answer to it, told the server. Waits as long as it takes."""
        try:
            message = await self._socket.get_message()
        except ConnectionClosed as closed:
            raise self._ended(closed) from None
        if not isinstance(message, str):
            decoded = wire.Decoded(None, "a binary message")
        else:
            decoded = wire.decode_from_server(message)
        if decoded.fault is not None:
            log.warning("of what the server sent, this was passed over: %s", decoded.fault)
        if decoded.reply is not None:
            await self.send(decoded.reply)
        return decoded.frame

    async def prove_alive(self) -> None:
        """Ask for a pong: a connection whose other end is gone looks open for a quarter of an hour."""
        try:
            with trio.fail_after(self._timings.pong):
                await self._socket.ping()
        except trio.TooSlowError:
            raise LinkDown("the server does not answer") from None
        except ConnectionClosed as closed:
            raise self._ended(closed) from None

    def _ended(self, closed: ConnectionClosed) -> LinkDown:
        if closed.reason is None:
            return LinkDown("the connection was closed")
        code, words = closed.reason.code, closed.reason.reason
        if code == 1006:
            return LinkDown("the connection broke", code=code)
        if code in _NO_FRAMES:  # ours, mostly: trio-websocket closes so on what is no frame
            return self._answer.no_websocket(f"{words or 'what comes are no frames'} ({code})")
        return LinkDown(f"the server closed the connection ({code}{f', {words}' if words else ''})", code=code)


@asynccontextmanager
async def dial(
    urls: str,
    token: str,
    ca_file: str | None,
    timings: Timings,
    *,
    certificate: ClientCertificate | None = None,
    routes: Routes | None = None,
) -> AsyncIterator[Connection]:
    """A connection to the server, closed at the end of the block. Raises LinkDown with a sentence for people.

    `urls` are those of all its nodes, separated by commas, mostly one. Where nobody answers, the next one is tried;
    `routes` remembers where that was. What the server itself says stands.
    """
    routes = routes or Routes()
    left = routes.order_urls(urls.split(","), trio.current_time())
    async with AsyncExitStack() as stack:
        while True:
            url = left.pop(0)
            try:
                dialled = _dial_one(url, token, ca_file, timings, certificate, routes)
                connection = await stack.enter_async_context(dialled)
                break
            except LinkDown as down:
                routes.url_failed(url, trio.current_time())
                if not left or down.status is not None:
                    raise
                log.debug("%s; trying the next node", down.reason)
        yield connection


@asynccontextmanager
async def _dial_one(
    url: str,
    token: str,
    ca_file: str | None,
    timings: Timings,
    certificate: ClientCertificate | None,
    routes: Routes,
) -> AsyncIterator[Connection]:
    """If an address takes a connection and there is no way to the server behind it, the next one is tried. `routes`
    remembers which those are.
    """
    parts = urlsplit(url)
    secure = parts.scheme == "wss"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    context = trusting(ca_file) if secure else None
    if certificate is not None and context is not None:
        certificate.present(context)
    async with AsyncExitStack() as stack:
        connection, left = None, routes.order(await _resolved(url, host, port, timings), trio.current_time())
        heard: LinkDown | None = None
        while connection is None:
            try:
                tcp, address = await _connected(url, left, timings)
            except LinkDown as unreachable:
                raise heard or unreachable from None  # what was heard at an address says more than silence at the rest
            left.remove(address)
            seconds = timings.connect / SHARE if left else timings.connect
            try:
                opened = _opened(url, tcp, address, context, token, timings, seconds)
                connection = await stack.enter_async_context(opened)
            except LinkDown as down:
                if down.status is not None:  # the server itself
                    raise
                routes.failed(address, trio.current_time())
                heard = certificate.explained(down) if certificate is not None else down
                if not left:
                    raise heard from None
                log.debug("%s at %s; trying the next address", down.reason, address.sockaddr[0])
        yield connection


async def _resolved(url: str, host: str, port: int, timings: Timings) -> list[Address]:
    try:
        with trio.fail_after(timings.connect):
            return await resolve(host, port)
    except (trio.TooSlowError, OSError) as error:
        raise _sentence(error, url) from None


async def _connected(url: str, addresses: Sequence[Address], timings: Timings) -> tuple[trio.SocketStream, Address]:
    try:
        with trio.fail_after(timings.connect):
            return await connect(addresses)
    except (trio.TooSlowError, OSError) as error:
        raise _sentence(error, url) from None


@asynccontextmanager
async def _opened(
    url: str,
    tcp: trio.SocketStream,
    address: Address,
    context: ssl.SSLContext | None,
    token: str,
    timings: Timings,
    seconds: float,
) -> AsyncIterator[Connection]:
    """TLS and the upgrade have so many seconds each."""
    parts = urlsplit(url)
    headers = [
        (b"Authorization", b"Bearer " + token.encode()),
        (b"User-Agent", f"{PRODUCT}/{__version__} (agent)".encode()),
    ]
    try:
        with trio.fail_after(seconds):
            stream = _Judged(await _secured(tcp, parts.hostname or "", context), url)
        try:
            async with trio.open_nursery() as nursery:
                with trio.fail_after(seconds):
                    socket = await _upgrade(nursery, stream, parts.netloc, parts.path, headers)
                try:
                    yield Connection(socket, timings, stream.answer, address)
                finally:
                    # It waits for the peer's close. If this task was cancelled, so was the reader that would see it.
                    cancelled = trio.current_effective_deadline() == -math.inf
                    with trio.move_on_after(0.05 if cancelled else CLOSE_SECONDS, shield=True):
                        await socket.aclose(wire.CLOSE_GOING_AWAY)
                    nursery.cancel_scope.cancel()
        finally:
            await trio.aclose_forcefully(stream)
    except (BaseExceptionGroup, trio.TooSlowError, trio.BrokenResourceError, OSError) as error:
        raise _sentence(error, url) from None


class _Judged(trio.abc.Stream):
    """The stream below. Of what comes first, nothing reaches trio-websocket but the answer of something that switches
    to WebSocket: it waits without end, or fails in many ways, on anything else. Raises LinkDown in its place."""

    def __init__(self, below: Stream, url: str) -> None:
        self._below = below
        self._url = url
        self.answer = Answer(_place(url))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if self.answer.switched:
            return bytes(await self._below.receive_some(max_bytes))
        while True:
            data = await self._receive_head(max_bytes)
            verdict = self.answer.feed(data) if data else self.answer.ended()
            if verdict is not None:
                raise verdict
            if self.answer.rest:
                return self.answer.rest

    async def _receive_head(self, max_bytes: int | None) -> bytes:
        """Empty if no more comes."""
        data = b""
        try:
            with trio.move_on_after(REFUSAL_SECONDS if self.answer.has_head() else math.inf):
                data = bytes(await self._below.receive_some(max_bytes))
        except trio.BrokenResourceError as error:
            if not self.answer.has_head():
                raise _sentence(error, self._url) from None
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._below.send_all(data)
        except trio.BrokenResourceError as error:
            if self.answer.switched:
                raise
            raise _sentence(error, self._url) from None

    async def wait_send_all_might_not_block(self) -> None:
        await self._below.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._below.aclose()


class _Reading:
    """What trio-websocket needs of a nursery: to start its reader. Gives each end of that a reason."""

    def __init__(self, nursery: trio.Nursery, answer: Answer) -> None:
        self._nursery = nursery
        self._answer = answer
        self.upgraded = False

    def start_soon(self, read: Callable[[], Awaitable[None]]) -> None:
        self._nursery.start_soon(self._run, read)

    async def _run(self, read: Callable[[], Awaitable[None]]) -> None:
        try:
            await read()
        except LinkDown:
            raise
        except Exception as error:  # what exactly depends on the bytes that came
            log.debug("trio-websocket cannot bear what came", exc_info=True)
            raise self._answer.no_websocket(str(error.__context__ or error) or type(error).__name__) from None
        await trio.lowlevel.checkpoint()  # anyone who waits for the upgrade hears first that there is one
        if not self.upgraded:
            raise self._answer.no_websocket("its answer does not fit what was asked")


async def _upgrade(
    nursery: trio.Nursery, stream: _Judged, host: str, path: str, headers: list[tuple[bytes, bytes]]
) -> WebSocketConnection:
    reading = _Reading(nursery, stream.answer)
    socket = await trio_websocket.wrap_client_stream(
        cast(trio.Nursery, reading), cast(trio.SocketStream, stream), host, path, extra_headers=headers
    )
    reading.upgraded = True
    return socket


async def _secured(tcp: trio.SocketStream, host: str, context: ssl.SSLContext | None) -> Stream:
    if context is None:
        return tcp
    tls = trio.SSLStream(tcp, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(tls)
        raise
    return tls


def _sentence(error: BaseException, url: str) -> BaseException:
    """One expected trouble out of what the nursery collected, as LinkDown; anything else as it is."""
    if isinstance(error, BaseExceptionGroup):
        serious = [_sentence(e, url) for e in error.exceptions if not isinstance(e, trio.Cancelled)]
        if len(serious) == 1:
            return serious[0]
        downs = [e for e in serious if isinstance(e, LinkDown)]
        if not downs or len(downs) < len(serious):
            return error
        # the one that says most: a kind of its own says more than the same code alone
        return max(downs, key=lambda down: (down.status or 0, down.code or 0, type(down) is not LinkDown))
    match error:
        case trio.TooSlowError():
            return LinkDown(f"no answer from {_place(url)}")
        case ssl.SSLCertVerificationError():
            return LinkDown(f"the certificate of {_place(url)} cannot be verified: {error.verify_message}")
        case ssl.SSLError():
            return LinkDown(alert(error) or f"TLS with {_place(url)} failed: {error.reason or error}")
        case trio.BrokenResourceError():
            cause = error.__cause__
            if isinstance(cause, ssl.SSLError):
                return _sentence(cause, url)
            return LinkDown(f"the connection to {_place(url)} broke")
        case OSError():
            return LinkDown(f"cannot reach {_place(url)}: {_of_os(error)}")
    return error


def _of_os(error: OSError) -> str:
    cause = error.__cause__
    if isinstance(cause, BaseExceptionGroup) and isinstance(cause.exceptions[0], OSError):
        return _of_os(cause.exceptions[0])  # one of several addresses
    words = os.strerror(error.errno) if error.errno is not None and error.errno > 0 else error.strerror or str(error)
    return words[:1].lower() + words[1:]


def _place(url: str) -> str:
    return urlsplit(url).netloc
