"""The agent's link: one connection to the server after another, for as long as the agent lives.

Owns reconnecting, the hello, heartbeats, and the sorting of what the server says. Receives nothing by mailbox: the
queue and the live feed hold what is to be sent. Passes commands and schedules to its callbacks, and what is asked to
`live_requests`, which answers on the same connection. On an error of the server's or the network's it connects again;
it ends only when cancelled.
"""

import logging
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import assert_never

import trio

from rmactors.agent.agent_file import certificate_in_default_file
from rmactors.agent.client_certificate import ClientCertificate
from rmactors.agent.connection import Connection, LinkDown, Timings, dial
from rmactors.agent.live_requests.answering import LiveRequests, Session
from rmactors.agent.livefeed import LiveFeed
from rmactors.agent.pauses import Pauses
from rmactors.agent.report_queue import Lane, ReportQueue
from rmactors.agent.report_sender import ReportSender
from rmactors.agent.routes import Routes
from rmactors.agent.spool import SpoolError
from rmactors.agent.state_dir import HostCredential, StateDir, StateError
from rmactors.common import ids, wire
from rmactors.common.logs import fields
from rmactors.common.race import race

log = logging.getLogger(__name__)

_REFUSING_CODES = {wire.CLOSE_PROTOCOL, wire.CLOSE_REVOKED}
_WORDS = {
    wire.CLOSE_PROTOCOL: "the server and this agent have no protocol version in common: update the older one",
    wire.CLOSE_REVOKED: "the server revoked this host's credential: enroll it again",
}


class Displaced(LinkDown):
    """Another process that uses this host's credential took its place. Not raised if the server only prefers another
    connection of this process."""

    def __init__(self) -> None:
        words = "another agent uses this host's credential and took its place: is this machine a clone? "
        super().__init__(f"{words}Enroll it under a name of its own", code=wire.CLOSE_REPLACED)


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Called with what the server says. None of these waits for long: the link reads nothing meanwhile."""

    on_schedules: Callable[[str, wire.Welcome | wire.Schedules], Awaitable[None]]
    """Host id, and the schedules with their revision."""
    on_command: Callable[[wire.RunJob | wire.CancelJob], Awaitable[None]]


class ServerLink:
    """Keeps this host in touch with its server.

    `look` is called before each try to connect, for what takes its time: `make_hello` has to be quick, since a server
    does not wait long for a hello. It is given the instance and the number of the connection.
    """

    def __init__(
        self,
        state: StateDir,
        queue: ReportQueue,
        feed: LiveFeed,
        look: Callable[[], Awaitable[None]],
        make_hello: Callable[[str, int], Awaitable[wire.Hello]],
        callbacks: Callbacks,
        requests: LiveRequests,
        timings: Timings,
        certificate: ClientCertificate | None = None,
    ) -> None:
        self._state = state
        self._requests = requests
        self._queue = queue
        self._feed = feed
        self._look = look
        self._make_hello = make_hello
        self._callbacks = callbacks
        self._timings = timings
        self._certificate = certificate
        self._instance_id = ids.new()
        self._connections = 0
        self._routes = Routes()
        self._welcomed_at: float | None = None
        self._acked = False
        self._stale = trio.Event()
        self._why_stale = ""

    def say_hello_again(self, why: str) -> None:
        """What this host said of itself is not so any more: it comes back, and says it again. `why` is for the log.

        A second hello on the same connection would not do: reports are in flight, and it counts those that follow.
        """
        self._why_stale = why
        self._stale.set()

    async def run(self) -> None:
        """Connect, and connect again, until cancelled."""
        pauses = Pauses(self._timings, random.uniform)
        while True:
            self._welcomed_at, self._acked = None, False
            credential: HostCredential | None = None
            refused = False
            try:
                credential = self._state.credential()
                await self._once(credential)
            except LinkDown as down:
                refused = down.status == 401 or down.code in _REFUSING_CODES or isinstance(down, Displaced)
                reason = _WORDS.get(down.code or 0, down.reason)
                self._look_whether_copied(down)
            except (StateError, SpoolError) as error:
                reason = str(error)
            except Exception:
                # A bug, or bytes that trio-websocket cannot bear: no reason to stop running backups.
                log.exception("the link failed")
                reason = "an internal error"
            lived = trio.current_time() - self._welcomed_at if self._welcomed_at is not None else 0.0
            if lived > 0 and self._stale.is_set():
                pause = pauses.after_leaving()
            else:
                pause = pauses.after_refusal() if refused else pauses.after(lived, acked=self._acked)
            log.log(logging.ERROR if refused else logging.WARNING, "%s; trying again in %.1f s", reason, pause)
            await self._sleep(pause, credential)

    def _look_whether_copied(self, down: LinkDown) -> None:
        """If a younger connection of this instance is there, and this process has none, it runs twice: in a virtual
        machine that was copied or set back while it ran. From now on it is another one."""
        if down.code == wire.CLOSE_REPLACED and self._welcomed_at is None and not isinstance(down, Displaced):
            self._instance_id = ids.new()

    async def _sleep(self, seconds: float, credential: HostCredential | None) -> None:
        """Sleep, but no longer than until the host has another credential: the agent is woken when it gets one."""
        with trio.move_on_after(seconds):
            await self._another_credential(credential)

    async def _another_credential(self, credential: HostCredential | None) -> None:
        """Until there is one."""
        while True:
            news = self._queue.news()
            with suppress(StateError):
                if self._state.credential() != credential:
                    return
            await news.wait()

    async def _once(self, credential: HostCredential) -> None:
        await self._queue.belong_to(credential.host_id)
        await self._look()
        async with dial(
            credential.server_url, credential.token, credential.ca_file, self._timings,
            certificate=self._certificate or credential.certificate, routes=self._routes,
        ) as connection:  # fmt: skip
            self._stale = trio.Event()
            self._connections += 1
            await connection.send(await self._make_hello(self._instance_id, self._connections))
            welcome = await self._welcomed(connection)
            self._welcomed_at = trio.current_time()
            said = fields("link.connected", host_id=credential.host_id, host=credential.name)
            log.info("connected to %s", credential.server_url, extra=said)
            delivery = ReportSender(connection, self._queue, self._timings.ack)
            await self._callbacks.on_schedules(welcome.host_id, welcome)
            self._feed.open()
            requests = self._requests.session(connection.send)
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(self._heartbeats, connection, min(max(0.05, welcome.heartbeat_seconds), 3600.0))
                    nursery.start_soon(delivery.forever)
                    nursery.start_soon(self._stream, connection)
                    nursery.start_soon(self._leave_when_stale)
                    nursery.start_soon(self._leave_when_enrolled_again, credential)
                    await self._read(connection, delivery, requests, welcome.host_id)
            finally:
                requests.close()
                self._feed.close()

    async def _welcomed(self, connection: Connection) -> wire.Welcome:
        try:
            welcome = await welcomed(connection, self._timings)
        except LinkDown as down:
            if down.code is None:  # nothing there speaks the protocol
                self._routes.failed(connection.address, trio.current_time())
            raise
        self._routes.led_to_server(connection.address)
        return welcome

    async def _read(self, connection: Connection, delivery: ReportSender, requests: Session, host_id: str) -> None:
        while True:
            frame = await connection.receive()
            match frame:
                case wire.Ack():
                    self._acked = True
                    delivery.took(frame)
                case wire.Welcome() | wire.Schedules():
                    await self._callbacks.on_schedules(host_id, frame)
                case wire.RunJob() | wire.CancelJob():
                    await self._callbacks.on_command(frame)
                case wire.Request() | wire.CancelRequest():
                    await requests.take(frame)
                case wire.Error(code=wire.ANOTHER_INSTANCE):
                    raise Displaced
                case wire.Error():
                    log.warning("the server says: %s (%s)", frame.detail, frame.code)
                case wire.Enrolled():
                    log.warning("the server sent an answer to an enrollment that nobody asked for; ignored")
                case None:
                    pass  # logged where it was read
                case _:
                    assert_never(frame)

    async def _heartbeats(self, connection: Connection, seconds: float) -> None:
        while True:
            await trio.sleep(seconds)
            await connection.send(wire.Heartbeat(utc_now=wire.utc_now()))
            await connection.prove_alive()
            self._queue.look()  # should a wake-up ever get lost, reports wait no longer than this

    async def _leave_when_stale(self) -> None:
        await self._stale.wait()
        raise LinkDown(self._why_stale)

    async def _leave_when_enrolled_again(self, credential: HostCredential) -> None:
        await self._another_credential(credential)
        self.say_hello_again("this host has another credential")

    async def _stream(self, connection: Connection) -> None:
        while True:
            await self._feed.wait()
            for frame in self._feed.take():
                await connection.send(frame)
            await self._feed.pause(1.0)


async def welcomed(connection: Connection, timings: Timings) -> wire.Welcome:
    """Wait for the answer to a hello. Raises LinkDown."""
    said = None
    try:
        with trio.fail_after(timings.welcome):
            while True:
                match await connection.receive():
                    case wire.Welcome() as welcome:
                        return welcome
                    case wire.Error(code=wire.ANOTHER_INSTANCE):
                        raise Displaced
                    case wire.Error() as error:
                        said = f"the server says: {error.detail} ({error.code})"
                        if error.code == "protocol_unsupported":
                            raise LinkDown(said, code=wire.CLOSE_PROTOCOL)
                    case _:
                        pass  # a newer server may say more; the welcome is what counts
    except trio.TooSlowError:
        raise LinkDown(said or "the server does not answer the hello") from None


async def report_once(
    state: StateDir,
    lane: Lane,
    hello: wire.Hello,
    timings: Timings,
    on_welcome: Callable[[wire.Welcome], None],
    certificate: ClientCertificate | None = None,
) -> None:
    """Deliver what is in one lane of a queue over a connection of its own (`purpose: report`), and leave.

    `on_welcome` is called with what the server says first. `certificate` is that of the agent's file, if that is known.
    Raises LinkDown, StateError.
    """
    credential = state.credential()
    await lane.belong_to(credential.host_id)
    certificate = certificate or certificate_in_default_file() or credential.certificate
    async with dial(
        credential.server_url, credential.token, credential.ca_file, timings, certificate=certificate
    ) as connection:
        await connection.send(hello)
        on_welcome(await welcomed(connection, timings))
        delivery = ReportSender(connection, lane, timings.ack)

        async def read() -> None:
            while True:
                frame = await connection.receive()
                if isinstance(frame, wire.Ack):
                    delivery.took(frame)

        await race(delivery.until_empty, read)
