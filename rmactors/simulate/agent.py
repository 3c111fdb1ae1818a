"""One simulated agent: connection, spool, reports and their acks.

It owns what a real agent's link and spool own, with the spool in memory. It must not know why a report says
what it says: that is the caller's workload. Like a real agent it keeps every report until the server has
acked it and sends the rest again, in order, after each reconnect.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import assert_never

import trio

from rmactors import __version__
from rmactors.agent.connection import Connection, LinkDown, Timings, dial
from rmactors.agent.routes import Routes
from rmactors.common import ids, wire
from rmactors.server.runtime.mailbox import Signal

REJECTED = "rejected"
REVOKED = "revoked"
PROTOCOL = "no common protocol"


@dataclass(frozen=True, slots=True)
class SimCredential:
    """A host's identity. `token` is a secret: it has no repr."""

    host_id: str
    name: str
    token: str = field(repr=False)


class EnrollmentRefused(Exception):
    """The server would not take the token or the name; the message says which and why. Nothing was enrolled."""


async def enroll(url: str, token: str, name: str) -> SimCredential:
    """Trade an enrollment token for a host's credential. Raises EnrollmentRefused, LinkDown if none answers."""
    frame = wire.Enroll(name=name, hostname=name, os="linux", arch="x86_64", agent_version=__version__)
    try:
        async with dial(url, token, None, Timings()) as connection:
            await connection.send(frame)
            answer = await connection.receive()
    except LinkDown as down:
        if down.status is None:
            raise
        raise EnrollmentRefused(f"{name}: {down.reason}") from None
    match answer:
        case wire.Enrolled(host_id=host_id, agent_token=agent_token):
            return SimCredential(host_id, name, agent_token)
        case wire.Error(code=code, detail=detail):
            raise EnrollmentRefused(f"{name}: {code}: {detail}")
        case _:
            raise EnrollmentRefused(f"{name}: the server answered with something else than `enrolled`")


@dataclass(slots=True)
class Spooled:
    """A report that is not acked. `sent_at` is trio time, None until it was written to a socket."""

    frame: wire.Report
    sent_at: float | None = None


OnAck = Callable[[wire.Report, wire.Ack], None]


def _ignore(_: wire.Report, __: wire.Ack) -> None:
    """For callers who need no word of each ack."""


class SimulatedAgent:
    """Runs until cancelled, or until the server says for good that it is not wanted (`ended` says why). `url` may be
    those of several nodes, separated by commas.

    report()      hand in a report; it is kept until acked
    spool         what is not acked, oldest first, by seq
    on_ack        called once for each report, with the ack that ended its wait (also a refusal)
    on_job        called with each `run_job` of a job that is new
    connections   how often it said hello and was welcomed
    """

    def __init__(
        self,
        url: str,
        credential: SimCredential,
        *,
        on_ack: OnAck = _ignore,
        on_job: Callable[[wire.RunJob], None] | None = None,
        heartbeat_seconds: float | None = None,
        reconnect_seconds: float = 60.0,
        timings: Timings | None = None,
        plans: tuple[wire.Plan, ...] = (),
    ) -> None:
        self.url = url
        self.credential = credential
        self.plans = plans
        self.spool: dict[int, Spooled] = {}
        self.spool_id = ids.new()
        self.connections = 0
        self.connected = False
        self.heartbeats = 0
        self.ended: str | None = None
        self.welcome: wire.Welcome | None = None
        self._instance = ids.new()
        self._hellos = 0
        self._next_seq = 1
        self._running: dict[str, None] = {}
        self._known_jobs: set[str] = set()
        self._on_ack = on_ack
        self._on_job = on_job
        self._heartbeat_seconds = heartbeat_seconds
        self._reconnect_seconds = reconnect_seconds
        self._timings = timings or Timings()
        self._routes = Routes()
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
            except LinkDown as down:
                self.ended = self._final(down)
            finally:
                self.connected = False
            attempt = 0 if self.connections > welcomed else attempt + 1
            ceiling = min(self._reconnect_seconds, 0.1 * 2 ** min(attempt, 20))
            if self.ended is None:
                await trio.sleep(random.uniform(0, ceiling))  # noqa: S311 - jitter, no secret

    def _final(self, down: LinkDown) -> str | None:
        """Why it is no use to come back; None if it is."""
        if down.status in (401, 403, 404):
            return f"{REJECTED}: HTTP {down.status}"
        return {wire.CLOSE_REVOKED: REVOKED, wire.CLOSE_PROTOCOL: PROTOCOL}.get(down.code or 0)

    async def _one_connection(self) -> None:
        """Raises LinkDown at its end."""
        dialled = dial(self.url, self.credential.token, None, self._timings, routes=self._routes)
        async with dialled as connection:
            await connection.send(self._hello())
            while not self.connected:
                self._take(await connection.receive())
            self._unsent = dict.fromkeys(self.spool)  # whatever has no ack goes again, in order
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._send, connection)
                while True:
                    self._take(await connection.receive())

    async def _send(self, connection: Connection) -> None:
        welcome = self.welcome
        pause = self._heartbeat_seconds or (welcome.heartbeat_seconds if welcome else 30.0)
        next_beat = trio.current_time() + random.uniform(0, pause)  # noqa: S311 - spreads a fleet
        while True:
            while self._unsent:
                seq = next(iter(self._unsent))
                del self._unsent[seq]
                if seq in self.spool:
                    self.spool[seq].sent_at = trio.current_time()
                    await connection.send(self.spool[seq].frame)
            with trio.move_on_at(next_beat):
                await self._work.wait()
                continue
            next_beat = max(next_beat + pause, trio.current_time())
            await connection.send(wire.Heartbeat(wire.utc_now()))
            self.heartbeats += 1
            await self._send_again_what_waits_too_long(connection)

    async def _send_again_what_waits_too_long(self, connection: Connection) -> None:
        oldest = next(iter(self.spool.values()), None)
        if oldest and oldest.sent_at is not None and trio.current_time() - oldest.sent_at > self._timings.ack:
            await connection.prove_alive()  # or nobody is there any more, and another node may be
            self._unsent = dict.fromkeys(self.spool)
            self._work.set()

    def _hello(self) -> wire.Hello:
        self._hellos += 1
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
            plans=list(self.plans),
            spooled=len(self.spool),
            connection=self._hellos,
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
            case _:
                pass  # a simulated job is over before it can be cancelled; schedules are not kept
