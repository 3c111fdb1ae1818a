"""One simulated agent: connection, spool, reports and their acks.

It owns what a real agent's link and spool own, with the spool in memory. It must not know why a report says
what it says: that is the caller's workload. Like a real agent it keeps every report until the server has
acked it and sends the rest again, in order, after each reconnect.
"""

import random
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never
from urllib.parse import urlsplit, urlunsplit

import trio
import trio_websocket

from rmactors import __version__, ids, wire
from rmactors.mailbox import Signal

REJECTED = "rejected"
REVOKED = "revoked"
PROTOCOL = "no common protocol"


@dataclass(frozen=True, slots=True)
class Credential:
    """A host's identity. `token` is a secret: it has no repr."""

    host_id: str
    name: str
    token: str = field(repr=False)


class EnrolmentRefused(Exception):
    """The server would not take the token or the name; the message says which and why. Nothing was enrolled."""


def agent_url(text: str) -> str:
    """`http(s)://host:port` or `ws(s)://…`, with or without the path, as the address of the agents' socket."""
    parts = urlsplit(text if "://" in text else f"ws://{text}")
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    if scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError(f"{text!r} is not a server's address; it looks like ws://server:8081")
    path = parts.path.rstrip("/")
    return urlunsplit((scheme, parts.netloc, path if path.endswith(wire.PATH) else path + wire.PATH, "", ""))


def bearer(token: str) -> list[tuple[bytes, bytes]]:
    return [(b"Authorization", b"Bearer " + token.encode())]


async def _receive(connection: trio_websocket.WebSocketConnection) -> wire.FromServer | None:
    message = await connection.get_message()
    return wire.decode_from_server(message) if isinstance(message, str) else None


async def enroll(url: str, token: str, name: str, ssl_context: ssl.SSLContext | None = None) -> Credential:
    """Trade an enrolment token for a host's credential. Raises EnrolmentRefused, OSError."""
    frame = wire.Enroll(name=name, hostname=name, os="linux", arch="x86_64", agent_version=__version__)
    try:
        async with trio_websocket.open_websocket_url(
            url, ssl_context, extra_headers=bearer(token), disconnect_timeout=1
        ) as connection:
            await connection.send_message(wire.encode(frame))
            answer = await _receive(connection)
    except trio_websocket.ConnectionRejected as rejection:
        raise EnrolmentRefused(f"{name}: HTTP {rejection.status_code}; the enrolment token was not taken") from None
    except (trio_websocket.HandshakeError, trio_websocket.ConnectionClosed) as error:
        raise OSError(f"{name}: {type(error).__name__} while enrolling") from None
    match answer:
        case wire.Enrolled(host_id=host_id, agent_token=agent_token):
            return Credential(host_id, name, agent_token)
        case wire.Error(code=code, detail=detail):
            raise EnrolmentRefused(f"{name}: {code}: {detail}")
        case _:
            raise EnrolmentRefused(f"{name}: the server answered with something else than `enrolled`")


@dataclass(slots=True)
class Spooled:
    """A report that is not acked. `sent_at` is trio time, None until it was written to a socket."""

    frame: wire.Report
    sent_at: float | None = None


OnAck = Callable[[wire.Report, wire.Ack], None]


def _ignore(_: wire.Report, __: wire.Ack) -> None:
    """For callers who need no word of each ack."""


class SimulatedAgent:
    """Runs until cancelled, or until the server says for good that it is not wanted (`ended` says why).

    report()      hand in a report; it is kept until acked
    spool         what is not acked, oldest first, by seq
    on_ack        called once for each report, with the ack that ended its wait (also a refusal)
    on_job        called with each `run_job` of a job that is new
    connections   how often it said hello and was welcomed
    """

    def __init__(
        self,
        url: str,
        credential: Credential,
        *,
        on_ack: OnAck = _ignore,
        on_job: Callable[[wire.RunJob], None] | None = None,
        heartbeat_seconds: float | None = None,
        reconnect_seconds: float = 60.0,
        resend_seconds: float = 30.0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.url = url
        self.credential = credential
        self.spool: dict[int, Spooled] = {}
        self.spool_id = ids.new()
        self.connections = 0
        self.connected = False
        self.heartbeats = 0
        self.ended: str | None = None
        self.welcome: wire.Welcome | None = None
        self._instance = ids.new()
        self._next_seq = 1
        self._running: dict[str, None] = {}
        self._known_jobs: set[str] = set()
        self._on_ack = on_ack
        self._on_job = on_job
        self._heartbeat_seconds = heartbeat_seconds
        self._reconnect_seconds = reconnect_seconds
        self._resend_seconds = resend_seconds
        self._ssl_context = ssl_context
        self._unsent: dict[int, None] = {}
        self._work = Signal()
        self._settled = trio.Event()

    def report(self, make: Callable[[int], wire.Report]) -> int:
        """Keep the report that `make(seq)` gives and send it as soon as there is a link. Returns its seq."""
        seq = self._next_seq
        self._next_seq += 1
        frame = make(seq)
        match frame:
            case wire.JobStarted(job_id=job_id):
                self._running[job_id] = None
            case wire.JobFinished(job_id=job_id):
                self._running.pop(job_id, None)
            case _:
                assert_never(frame)
        self.spool[seq] = Spooled(frame)
        self._unsent[seq] = None
        self._work.set()
        return seq

    async def settled(self) -> None:
        """Wait until nothing is unacked."""
        while self.spool:
            self._settled = trio.Event()
            await self._settled.wait()

    async def run(self) -> None:
        """Connect, speak, reconnect with full jitter. Never raises for what a network or a server can do."""
        attempt = 0
        while self.ended is None:
            welcomed = self.connections
            try:
                await self._one_connection()
            except trio_websocket.ConnectionRejected as rejection:
                if rejection.status_code in (401, 403, 404):
                    self.ended = f"{REJECTED}: HTTP {rejection.status_code}"
                    break
            except (OSError, trio_websocket.HandshakeError):
                pass  # not there: the pause below is the answer
            finally:
                self.connected = False
            attempt = 0 if self.connections > welcomed else attempt + 1
            ceiling = min(self._reconnect_seconds, 0.1 * 2 ** min(attempt, 20))
            await trio.sleep(random.uniform(0, ceiling))  # noqa: S311 - jitter, no secret

    async def _one_connection(self) -> None:
        async with trio_websocket.open_websocket_url(
            self.url,
            self._ssl_context,
            extra_headers=bearer(self.credential.token),
            message_queue_size=64,
            connect_timeout=10,
            disconnect_timeout=0.5,
        ) as connection:
            try:
                await connection.send_message(wire.encode(self._hello()))
                while not self.connected:
                    self._take(await _receive(connection))
                self._unsent = dict.fromkeys(self.spool)  # whatever has no ack goes again, in order
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._send, connection)
                    with suppress(trio_websocket.ConnectionClosed):
                        while True:
                            self._take(await _receive(connection))
                    nursery.cancel_scope.cancel()
            except trio_websocket.ConnectionClosed:
                pass
            closed = connection.closed
            if closed is not None and closed.code == wire.CLOSE_REVOKED:
                self.ended = REVOKED
            elif closed is not None and closed.code == wire.CLOSE_PROTOCOL:
                self.ended = PROTOCOL

    async def _send(self, connection: trio_websocket.WebSocketConnection) -> None:
        welcome = self.welcome
        pause = self._heartbeat_seconds or (welcome.heartbeat_seconds if welcome else 30.0)
        next_beat = trio.current_time() + random.uniform(0, pause)  # noqa: S311 - spreads a fleet
        try:
            while True:
                while self._unsent:
                    seq = next(iter(self._unsent))
                    del self._unsent[seq]
                    if seq in self.spool:
                        self.spool[seq].sent_at = trio.current_time()
                        await connection.send_message(wire.encode(self.spool[seq].frame))
                with trio.move_on_at(next_beat):
                    await self._work.wait()
                    continue
                next_beat = max(next_beat + pause, trio.current_time())
                await connection.send_message(wire.encode(wire.Heartbeat(wire.utc_now())))
                self.heartbeats += 1
                self._send_again_what_waits_too_long()
        except trio_websocket.ConnectionClosed:
            pass  # the receiving half sees it too, and ends the connection

    def _send_again_what_waits_too_long(self) -> None:
        oldest = next(iter(self.spool.values()), None)
        if oldest and oldest.sent_at is not None and trio.current_time() - oldest.sent_at > self._resend_seconds:
            self._unsent = dict.fromkeys(self.spool)
            self._work.set()

    def _hello(self) -> wire.Hello:
        return wire.Hello(
            protocol=wire.ProtocolRange(wire.PROTOCOL, wire.PROTOCOL),
            instance_id=self._instance,
            spool_id=self.spool_id,
            agent_version=__version__,
            hostname=self.credential.name,
            os="linux",
            arch="x86_64",
            timezone="UTC",
            utc_now=wire.utc_now(),
            restic=wire.ResticInfo("0.16.4"),
            running_jobs=list(self._running),
            spooled=len(self.spool),
        )

    def _take(self, frame: wire.FromServer | None) -> None:
        match frame:
            case wire.Welcome():
                self.welcome = frame
                self.connected = True
                self.connections += 1
            case wire.Ack(seq=seq):
                spooled = self.spool.pop(seq, None)
                self._unsent.pop(seq, None)
                if spooled is not None:
                    self._on_ack(spooled.frame, frame)
                if not self.spool:
                    self._settled.set()
            case wire.RunJob(job_id=job_id):
                if self._on_job is not None and job_id not in self._known_jobs:
                    self._known_jobs.add(job_id)
                    self._on_job(frame)
            case wire.Schedules() | wire.CancelJob() | wire.Enrolled() | wire.Error() | None:
                pass  # a simulated job is over before it can be cancelled; schedules are not kept
            case _:
                assert_never(frame)
