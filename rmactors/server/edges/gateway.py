"""The agents' port: frames to typed messages and back, and nothing else.

Owns      the listener and every agent connection on it.
Receives  frames from sockets; frames and closings from host actors, through `AgentConnection`.
Sends     `FrameReceived`, `UnreadableReport`, `ConnectionClosed` to host actors; enrollments to the store.
Restart   all connections close; agents come back.

No byte sequence ends the process: each connection is contained. A peer that stalls is cut off by deadlines, one that
has not said hello is counted by its address (behind a trusted proxy by what that says), one that showed a wrong token
for a while longer. One host's connections are few, and together read at a pace: what it sends beyond that waits with
it.
"""

import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field

import h11
import trio
from wsproto.events import Request

from rmactors.common import clock, wire
from rmactors.common.logs import fields
from rmactors.server.edges.addresses import Network
from rmactors.server.edges.admission import SERVED_AT_ONCE, Admission
from rmactors.server.edges.agent_connections import Admitted, AgentConnections
from rmactors.server.edges.agent_socket import AgentSocket
from rmactors.server.edges.enrolling import NAMES_PER_TOKEN, enroll
from rmactors.server.edges.entrance import HANDSHAKE_SECONDS, Entrance
from rmactors.server.edges.first_bytes import Replayed, read_head, refusal
from rmactors.server.edges.listener import Arrivals, Peer, Port
from rmactors.server.edges.preauth_limits import PreauthLimits, Slot, in_line, places
from rmactors.server.edges.showing import Shown, is_for_agents, look_at
from rmactors.server.edges.websockets import CLOSE_SECONDS, MARK, TEXT, reject
from rmactors.server.messages.connections import FromConnection
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, WakeupSet
from rmactors.server.runtime.rate_limits import Bucket
from rmactors.server.store.database import Database
from rmactors.server.store.queries.credentials import Credential, find_credential
from rmactors.server.store.read_together import ReadTogether
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

TOO_MANY = "too many connections from this address"
RETRY_AFTER = (b"retry-after", b"5")
_TURNED_AWAY = refusal(429, [MARK, TEXT, RETRY_AFTER], TOO_MANY.encode() + b"\n")


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """`silence` in seconds: a connection without a message for so long is closed. `proxies`: see `PreauthLimits`.
    `most` connections are open at once: the rest of the open files is for pages, notifications and the database.
    `outbox`: frames queued to an agent that reads nothing."""

    port: Port
    ssl_context: ssl.SSLContext | None
    silence: float
    outbox: int
    proxies: tuple[Network, ...] = ()
    most: int = 1 << 30


@dataclass(frozen=True, slots=True)
class GatewayPorts:
    """`mailbox_of` gives the mailbox of a host's actor, started or about to be. `grace_until` as in `HostPorts`."""

    mailbox_of: Callable[[str], Outlet[FromConnection]]
    to_store: Outlet[Commit]
    reader: Reader
    grace_until: Callable[[], float]


@dataclass(slots=True)
class GatewayState:
    """What `/metrics` reads, and which hosts have changed."""

    agents: Callable[[], int] = int
    """How many are connected."""
    changed: WakeupSet = field(default_factory=WakeupSet)
    """Hosts whose credential may be another one."""


async def run(
    settings: GatewaySettings,
    ports: GatewayPorts,
    state: GatewayState,
    closing: trio.Event,
    listening: Callable[[], None],
) -> None:
    """Serve agents until `closing` is set; then say 1001 to each and return."""
    listeners = await settings.port.take()
    entrance = Entrance(PreauthLimits(settings.proxies, places(settings.most)), settings.ssl_context, settings.most)
    gateway = _Gateway(settings, ports, entrance)
    state.agents = gateway.agents.__len__
    async with trio.open_nursery() as reading:
        reading.start_soon(gateway.credentials.run)
        async with trio.open_nursery() as connections:
            async with trio.open_nursery() as accepting:
                arrivals = Arrivals(
                    gateway.contain, connections, entrance.limits.is_proxy, in_line(settings.most),
                    gateway.admission.turn,
                )  # fmt: skip
                accepting.start_soon(arrivals.run, listeners)
                accepting.start_soon(_close_revoked, state, gateway.agents)
                listening()
                await closing.wait()
                accepting.cancel_scope.cancel()
            connections.cancel_scope.deadline = trio.current_time() + CLOSE_SECONDS
            entrance.hurry()
            gateway.agents.close_all()
        reading.cancel_scope.cancel()


async def _close_revoked(state: GatewayState, agents: AgentConnections) -> None:
    while True:
        await agents.close_revoked(await state.changed.take())


class _Gateway:
    """From the first byte of a connection to its WebSocket: what it shows decides what becomes of it."""

    def __init__(self, settings: GatewaySettings, ports: GatewayPorts, entrance: Entrance) -> None:
        self._settings, self._ports, self._entrance = settings, ports, entrance
        self._limits = entrance.limits
        self.admission = Admission(ports.to_store.__len__, min(SERVED_AT_ONCE, entrance.limits.in_all // 4))
        self.agents = AgentConnections(
            ports.mailbox_of, ports.grace_until, settings.silence, settings.outbox, self.admission
        )
        self.credentials = ReadTogether(ports.reader, _credential_now)
        self._numbers = 0
        self._names: dict[str, Bucket] = {}

    async def contain(self, tcp: trio.SocketStream, peer: Peer) -> None:
        await self._entrance.contain(tcp, peer, self._serve)

    async def _serve(self, tcp: trio.SocketStream, peer: Peer, slot: Slot) -> None:
        request, shown = None, None
        with self._entrance.begin(peer) as scope:
            stream, peer = await self._entrance.open(tcp, peer, slot, scope)
            if self._limits.are_many():
                head = await read_head(stream)
                stream = Replayed(stream, head.data)
                shown = await self._look_at(head.request, peer[0], slot)
                if shown is not None and shown.is_one_too_many():
                    await self._turn_away(stream, peer[0])
                    return
            socket = AgentSocket(stream, wire.MAX_FRAME_BYTES)
            request = await socket.request()
        if request is not None:
            await self._welcome(socket, request, peer[0], slot, shown)

    async def _look_at(self, request: h11.Request | None, peer: str, slot: Slot) -> Shown | None:
        """What it shows, before anything is set up for it; None if what is wrong is said later."""
        if request is None or not is_for_agents(request.target.decode("latin-1"), request.headers):
            return None
        return await look_at(request.headers, peer, slot, self._settings.proxies, self._credential)

    async def _welcome(self, socket: AgentSocket, request: Request, peer: str, slot: Slot, shown: Shown | None) -> None:
        headers = [(name.lower(), value) for name, value in request.extra_headers]
        if request.target.partition("?")[0] != wire.PATH:
            return await reject(socket, 404, "not found")
        if not is_for_agents(request.target, headers):
            return await reject(socket, 403, "this port is for agents, not for browsers")
        if shown is None:
            shown = await look_at(headers, peer, slot, self._settings.proxies, self._credential)
        address, credential = shown.address, shown.credential
        if credential is None:
            if shown.is_one_too_many():
                slot.waits()  # for its end: the place that is kept back is free for the next
                if self._limits.is_proxy(peer):
                    await reject(socket, 429, TOO_MANY, RETRY_AFTER)
                return None
            slot.penalise(trio.current_time())
            slot.leave()
            _log.info("an agent showed no valid token", extra=fields("agent.refused", address=address))
            return await reject(socket, 401, "the token is wrong, used, expired or revoked")
        owner = credential.host_id or credential.enrollment_id
        assert owner is not None
        self._numbers += 1
        number = self._numbers
        async with self.agents.silent(owner, number) as scope:
            if scope is None:
                return await reject(socket, 503, "too many connections with this token")
            with trio.fail_after(HANDSHAKE_SECONDS):
                await socket.accept([MARK])
            if credential.enrollment_id is not None:
                names = self._names.setdefault(owner, Bucket(*NAMES_PER_TOKEN))
                return await enroll(socket, owner, address, names, self._ports.to_store)

            digest = shown.digest
            assert digest is not None

            async def still_good() -> bool:
                return await self._credential(digest) == credential

            return await self.agents.talk(socket, Admitted(number, owner, address, digest, slot, still_good))

    async def _turn_away(self, stream: trio.abc.Stream, peer: str) -> None:
        """Its address has no slot left. A proxy gets an answer: without one it may take the server for dead."""
        if self._limits.is_proxy(peer):
            await stream.send_all(_TURNED_AWAY)

    async def _credential(self, digest: str | None) -> Credential | None:
        if digest is None:
            return None
        with self.admission.serve():
            return await self.credentials.read(digest)


def _credential_now(connection: Database, digest: str) -> Credential | None:
    return find_credential(connection, digest, clock.now())
