"""HTTP towards one receiver: connections kept alive, each to an address that the policy allows.

An httpx transport: h11 on trio's streams, and nothing above. What a whole client adds (redirects, proxies, cookies,
decoding) must not happen to a notification, and costs more than half of a send. Where one is needed,
`httpx.AsyncClient(transport=...)` stands over it.
"""

import ssl
import time
from typing import Final

import h11
import httpx
import trio

from rmactors.server.channels.net import plain_http
from rmactors.server.channels.net.dialing import Dialer, Resolve
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.net.endpoint import port_of

MAX_CONNECTIONS: Final = 32
"""At once; further requests wait."""
_KEEP_SECONDS: Final = 4.0  # many servers close an idle connection after 5 s


class Broken(httpx.RemoteProtocolError):
    """The exchange broke off without an answer. The message says how."""


class GuardedTransport(httpx.AsyncBaseTransport):
    """Connections to the host and port of one URL; requests for another one are not for it."""

    def __init__(
        self, url: httpx.URL, policy: OutboundPolicy, ssl_context: ssl.SSLContext, resolve: Resolve | None = None
    ) -> None:
        tls = ssl_context if url.scheme == "https" else None
        self._dialer = Dialer(url.raw_host.decode("ascii"), port_of(url), policy, tls, resolve)
        self._places = trio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send it as it is, and give the answer as soon as its head is there; `aclose` it in any case.

        No time limit. Raises Broken, ConnectFailed, ForbiddenAddress, and h11.LocalProtocolError for what is no HTTP.
        """
        await self._places.acquire()
        try:
            connection = await self._idle_one() or _Connection(await self._dialer.open())
            try:
                head = await connection.exchange(request)
            except BaseException:
                connection.drop()
                raise
        except BaseException:
            self._places.release()
            raise
        return httpx.Response(head.status_code, headers=list(head.headers), stream=_Body(self, connection))

    async def give_back(self, connection: "_Connection") -> None:
        """An exchange ended, or its answer is not read to the end."""
        self._places.release()
        if connection.made_ready() and not self._closed:
            self._idle.append(connection)
        else:
            connection.drop()

    async def aclose(self) -> None:
        """Close idle connections now, those in use when they are done."""
        self._closed = True
        while self._idle:
            self._idle.pop().drop()

    async def _idle_one(self) -> "_Connection | None":
        """The connection that was used last, unless it is too old or the receiver has closed it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(time.monotonic() - _KEEP_SECONDS):
                return connection
            connection.drop()
        return None


class _Body(httpx.AsyncByteStream):
    """An answer's body as it comes, not decoded. No generator: the reader may stop anywhere."""

    def __init__(self, transport: GuardedTransport, connection: "_Connection") -> None:
        self._transport = transport
        self._connection: _Connection | None = connection

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        event = await self._connection.next_event() if self._connection is not None else None
        if not isinstance(event, h11.Data):
            raise StopAsyncIteration
        return bytes(event.data)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._transport.give_back(connection)


class _Connection:
    """One connection and where the HTTP conversation on it stands."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._socket = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
        self._http = h11.Connection(h11.CLIENT)
        self._plainly: plain_http.Answer | None = None
        self._since = 0.0

    async def exchange(self, request: httpx.Request) -> h11.Response | plain_http.Answer:
        """One request, up to the head of its answer. Raises Broken."""
        http = self._http
        body = request.read() if isinstance(request.stream, httpx.SyncByteStream) else await request.aread()
        plain = plain_http.request(request.method, request.url.raw_path, request.headers.raw, body)
        if plain is not None:
            await self._send(plain)
            data = await self._receive()
            self._plainly = plain_http.answer(data)
            if self._plainly is not None:
                return self._plainly
        head = h11.Request(method=request.method, target=request.url.raw_path, headers=request.headers.raw)
        outgoing = [http.send(head), http.send(h11.Data(data=body)), http.send(h11.EndOfMessage())]
        if plain is None:
            await self._send(b"".join(part for part in outgoing if part))
        else:  # it is out already
            self._take(data)
        event = await self.next_event()
        while isinstance(event, h11.InformationalResponse):
            event = await self.next_event()
        if not isinstance(event, h11.Response):
            raise Broken("the receiver closed the connection without an answer")
        return event

    async def next_event(self) -> h11.Event | type[h11.PAUSED]:
        if self._plainly is not None:
            data, self._plainly = self._plainly.body, self._plainly._replace(body=b"")
            return h11.Data(data=data) if data else h11.EndOfMessage()
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise Broken(f"the receiver does not speak HTTP: {error}") from None
            if event is not h11.NEED_DATA:
                assert not isinstance(event, type) or event is h11.PAUSED
                return event
            self._take(await self._receive())

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            pass  # a receiver may refuse early, close, and still have said why

    async def _receive(self) -> bytes:
        try:
            return bytes(await self._stream.receive_some(65536))
        except trio.BrokenResourceError:
            raise Broken("the connection broke before the answer was there") from None

    def _take(self, received: bytes) -> None:
        if not received and self._http.their_state is h11.SEND_RESPONSE:
            raise Broken("the receiver closed the connection without an answer")
        self._http.receive_data(received)

    def made_ready(self) -> bool:
        """Whether another request can follow on this connection."""
        if self._plainly is not None:
            self._plainly = None
            self._since = time.monotonic()
            return True
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._since = time.monotonic()
        return True

    def usable(self, not_before: float) -> bool:
        """Idle since then at most, and not closed by the receiver: an idle connection has nothing to read."""
        return self._since >= not_before and not self._socket.is_readable()

    def drop(self) -> None:
        """At once: of several that are closed, a cancelled wait must not leave the others open."""
        self._socket.close()
