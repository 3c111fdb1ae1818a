"""HTTP towards one endpoint: connections kept alive, one deadline, the address judged, the answer's body capped.

h11 on trio's streams, and nothing above: what a general client adds (redirects, proxies, cookies, decoding) must not
happen here, and costs more than half of a send. The reading stops where it wants to, which an HTTP client that hands
out bodies as generators cannot do cleanly under trio.
"""

import ssl
import time
from collections.abc import Callable, Sequence
from typing import Final

import h11
import trio

from rmactors.server.channels.answers import HttpAnswer, Judgement, words
from rmactors.server.channels.net.dialing import ConnectFailed, Dialer, Resolve
from rmactors.server.channels.net.egress import ForbiddenAddress, LeadsNowhere, OutboundPolicy
from rmactors.server.channels.net.endpoint import Endpoint
from rmactors.server.channels.request import HttpRequest
from rmactors.server.messages.notifications import Attempt

DEADLINE_SECONDS: Final = 5.0
"""For everything: name, connection, TLS, request, answer."""
MAX_BODY_BYTES: Final = 4096
"""Read of an answer's body. What is longer costs the connection."""
MAX_CONNECTIONS: Final = 32
"""At once to one endpoint; further sends wait, within their deadline."""

_KEEP_SECONDS: Final = 4.0  # many servers close an idle connection after 5 s
_REST_SECONDS: Final = 0.5  # for a body whose status has said all


class _Broken(Exception):
    """The exchange broke off without an answer. The message says how."""


class HttpEndpoint:
    """One receiver. `send` may be called by several tasks at once."""

    def __init__(
        self,
        endpoint: Endpoint,
        policy: OutboundPolicy,
        ssl_context: ssl.SSLContext,
        now: Callable[[], int],
        secrets: Sequence[str] = (),
        deadline_seconds: float = DEADLINE_SECONDS,
        resolve: Resolve | None = None,
    ) -> None:
        """`now` gives microseconds; `secrets` are removed from what is shown of the receiver's answers."""
        self._target = endpoint.target.encode()
        self._host_header = (b"Host", endpoint.authority.encode())
        self._dialer = Dialer(endpoint.host, endpoint.port, policy, ssl_context if endpoint.tls else None, resolve)
        self._now = now
        self._secrets = secrets
        self._deadline = deadline_seconds
        self._places = trio.CapacityLimiter(MAX_CONNECTIONS)
        self._idle: list[_Connection] = []
        self._closed = False

    async def send(self, request: HttpRequest, judge: Callable[[HttpAnswer, int], Judgement]) -> Attempt:
        """Send the request once. Never raises for what network or receiver do; `judge` says what an answer means."""
        began = time.perf_counter()
        heard: list[HttpAnswer] = []
        judged = Judgement("retry", f"no answer within {self._deadline:g} s")
        try:
            with trio.move_on_after(self._deadline):
                await self._exchange(request, heard)
        except ForbiddenAddress as error:
            judged = Judgement("dead", str(error), in_doubt=isinstance(error, LeadsNowhere))
        except (ConnectFailed, _Broken) as error:
            judged = Judgement("retry", str(error))
        except h11.LocalProtocolError:  # what it says may hold a secret
            judged = Judgement("dead", "this cannot be sent as HTTP: check the channel's token and header")
        status: int | None = None
        if heard:  # a status that came in time counts, whatever became of the body behind it
            status, judged = heard[-1].status, judge(heard[-1], self._now())
        error_words = words(judged.error, self._secrets) if judged.error is not None else None
        latency_ms = (time.perf_counter() - began) * 1000
        return Attempt(
            judged.verdict, status, round(latency_ms, 3), error_words, judged.retry_at, in_doubt=judged.in_doubt
        )

    async def aclose(self) -> None:
        """Close idle connections now, those in use when they are done."""
        self._closed = True
        while self._idle:
            await self._idle.pop().drop()

    async def _exchange(self, request: HttpRequest, heard: list[HttpAnswer]) -> None:
        """One request. What is known of the answer goes into `heard`, last the most."""
        async with self._places:
            connection = await self._idle_one() or _Connection(await self._dialer.open())
            try:
                await connection.exchange(request.method, self._target, self._headers(request), request.body, heard)
            except BaseException:
                await connection.drop()
                raise
            if connection.made_ready() and not self._closed:
                self._idle.append(connection)
            else:
                await connection.drop()

    def _headers(self, request: HttpRequest) -> list[tuple[bytes, bytes]]:
        return [
            self._host_header,
            *((name.encode(), value.encode()) for name, value in request.headers),
            (b"Content-Length", b"%d" % len(request.body)),
        ]

    async def _idle_one(self) -> "_Connection | None":
        """The connection that was used last, unless it is too old or the receiver has closed it."""
        while self._idle:
            connection = self._idle.pop()
            if connection.usable(time.monotonic() - _KEEP_SECONDS):
                return connection
            await connection.drop()
        return None


class _Connection:
    """One connection and where the HTTP conversation on it stands."""

    def __init__(self, stream: trio.SocketStream | trio.SSLStream[trio.SocketStream]) -> None:
        self._stream = stream
        self._socket = (stream.transport_stream if isinstance(stream, trio.SSLStream) else stream).socket
        self._http = h11.Connection(h11.CLIENT)
        self._since = 0.0

    async def exchange(
        self,
        method: str,
        target: bytes,
        headers: list[tuple[bytes, bytes]],
        body: bytes,
        heard: list[HttpAnswer],
    ) -> None:
        """One request and its answer, which is in `heard` as soon as its status is there. Raises _Broken."""
        http = self._http
        outgoing = [
            http.send(h11.Request(method=method.encode(), target=target, headers=headers)),
            http.send(h11.Data(data=body)),
            http.send(h11.EndOfMessage()),
        ]
        try:
            await self._stream.send_all(b"".join(part for part in outgoing if part))
        except trio.BrokenResourceError:
            pass  # a receiver may refuse early, close, and still have told why
        head = await self._next_event()
        while isinstance(head, h11.InformationalResponse):
            head = await self._next_event()
        if not isinstance(head, h11.Response):
            raise _Broken("the receiver closed the connection without an answer")
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in head.headers}
        heard.append(HttpAnswer(head.status_code, found, b""))
        content = bytearray()
        with trio.move_on_after(_REST_SECONDS):
            await self._read_body(content)
        heard.append(HttpAnswer(head.status_code, found, bytes(content[:MAX_BODY_BYTES])))

    async def _read_body(self, content: bytearray) -> None:
        """What is there of the body, up to the cap. The status has been given: a body that breaks is no failure."""
        try:
            while len(content) <= MAX_BODY_BYTES:
                event = await self._next_event()
                if not isinstance(event, h11.Data):
                    return
                content += event.data
        except _Broken:
            return

    async def _next_event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise _Broken(f"the receiver does not speak HTTP: {error}") from None
            if event is not h11.NEED_DATA:
                assert not isinstance(event, type) or event is h11.PAUSED
                return event
            try:
                received = await self._stream.receive_some(65536)
            except trio.BrokenResourceError:
                raise _Broken("the connection broke before the answer was there") from None
            if not received and self._http.their_state is h11.SEND_RESPONSE:
                raise _Broken("the receiver closed the connection without an answer")
            self._http.receive_data(bytes(received))

    def made_ready(self) -> bool:
        """Whether another request can follow on this connection."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        self._since = time.monotonic()
        return True

    def usable(self, not_before: float) -> bool:
        """Idle since then at most, and not closed by the receiver: an idle connection has nothing to read."""
        return self._since >= not_before and not self._socket.is_readable()

    async def drop(self) -> None:
        await trio.aclose_forcefully(self._stream)
