"""Store and rules actors on a real database, and host actors around them; agents are links that note what they get.

Time in messages is what tests say. Commits fail because another connection holds the database's lock.
"""

import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import trio

from rmactors.common import clock, wire
from rmactors.server.actors.delivery import supervisor as post
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host import supervisor as fleet
from rmactors.server.actors.host.core import HostSettings
from rmactors.server.actors.host.events import HostInbox
from rmactors.server.actors.policies import actor as policies
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.actors.store import actor as store
from rmactors.server.edges import gateway
from rmactors.server.messages.answers import Answer, Committed, Duplicate, Failed, Reply
from rmactors.server.messages.connections import AgentConnection, ConnectionClosed, FrameReceived, UnreadableReport
from rmactors.server.messages.jobs import SaveStart
from rmactors.server.messages.reports import EndReport, StartReport
from rmactors.server.messages.requests import JudgeEnd, JudgeStart, Request, Resolve
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, ask, ask_store
from rmactors.server.runtime.supervision import ActorStatus, Budget, supervise
from rmactors.server.store.engines.opening import open_writer
from rmactors.server.store.load_hosts import load_pending_work
from rmactors.server.store.place import Place
from rmactors.server.store.read_together import ReadTogether
from rmactors.server.store.reader import Reader
from rmactors.server.store.transaction import Wakeups
from tests.store.ledger import Ledger, audit, save_start, start

BUSY_SECONDS = 0.05


@dataclass
class Works:
    """What runs. `ledger` is a connection of the test's own, beside the store's."""

    ledger: Ledger
    to_store: Mailbox[Commit]
    to_rules: Mailbox[Request | rules.Answered]
    reader: Reader
    timing: Timing
    nursery: trio.Nursery
    status: ActorStatus = field(default_factory=ActorStatus)
    store_state: store.StoreState = field(default_factory=store.StoreState)
    rules_state: rules.RulesState = field(default_factory=rules.RulesState)
    directory: fleet.Directory = field(default_factory=lambda: fleet.Directory(64))
    heartbeats: fleet.Heartbeats = field(default_factory=fleet.Heartbeats)
    channel_wakeups: post.ChannelWakeups = field(default_factory=post.ChannelWakeups)
    policy_sweeps: policies.PolicySweeps = field(default_factory=policies.PolicySweeps)
    gateway_state: gateway.GatewayState = field(default_factory=gateway.GatewayState)
    woken: Wakeups = field(default_factory=Wakeups)
    progress: list[wire.JobProgress] = field(default_factory=list)
    left_out: Counter[tuple[str, ...]] = field(default_factory=Counter)
    questions: fleet.LiveQuestions = field(init=False)

    def __post_init__(self) -> None:
        self.questions = fleet.LiveQuestions(self.directory)

    def wake(self, woken: Wakeups) -> None:
        self.woken.merge(woken)
        self.directory.changed.add(woken.hosts)
        self.gateway_state.changed.add(woken.hosts)
        self.channel_wakeups.wake(woken.channels, woken.channel_list, woken.deliveries)
        self.policy_sweeps.wake(woken.tagged, woken.policies)

    async def ask(self, request: Callable[[Reply], Any]) -> Answer:
        return await ask(self.to_rules.send, request)

    async def start(self, report: StartReport) -> Answer:
        return await self.ask(partial(JudgeStart, report))

    async def end(self, report: EndReport) -> Answer:
        return await self.ask(partial(JudgeEnd, report))

    async def commit(self, *writes: object) -> None:
        await committed(lambda: ask_store(self.to_store, *writes))

    async def settle(self) -> None:
        """Wait until rules and store have done all that they were given, and what that led to.

        Each round goes through the rules to the store and back, behind whatever waits there.
        """
        for _ in range(4):
            await trio.testing.wait_all_tasks_blocked(0.002)
            await self.ask(partial(Resolve, "no such alert", "nobody", None, 0, audit()))

    async def crash_rules(self) -> None:
        """A bug: a message that the rules cannot take."""
        generation = self.rules_state.generation
        self.to_rules.put_unbounded(Poison())  # type: ignore[arg-type]
        await until(lambda: self.rules_state.generation > generation)


async def committed(ask: Callable[[], Awaitable[Answer]]) -> None:
    """Ask until it is on disk, as who asks does: where nothing gets its turn for seconds, PostgreSQL gives up on a
    transaction."""
    answer: Answer = Failed("not asked yet")
    for _ in range(3):
        if isinstance(answer, Failed):
            answer = await ask()
    assert isinstance(answer, Committed | Duplicate), answer


async def works_idle() -> None:
    """Wait until nobody does anything any more; what the store has to try again later it may not have done."""
    await trio.testing.wait_all_tasks_blocked(0.02)


async def until(so: Callable[[], object], why: Callable[[], str] = str, seconds: float = 120.0) -> None:
    """Wait until something is so, for at most that many seconds of real time, whatever clock the test has."""
    end = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < end, f"it never came {why()}"
        await trio.testing.wait_all_tasks_blocked(0.001)
        await trio.lowlevel.checkpoint()


class Poison:
    """Nothing that an actor could know."""

    def reply(self, _: Answer) -> None:
        """Nobody waits."""


@asynccontextmanager
async def open_works(place: Place, timing: Timing | None = None) -> AsyncIterator[Works]:
    """At the end, the store outlives the rules, and these all others: who asks one of them waits for its answer, also
    when told to stop."""
    with closing(Ledger(place)) as ledger, closing(Reader(place)) as reader:
        async with trio.open_nursery() as of_store:
            to_store, to_rules = Mailbox[Commit]("store", 1024, aside=256), Mailbox[Any]("rules", 1024)
            async with trio.open_nursery() as of_rules:
                async with trio.open_nursery() as nursery:
                    works = Works(ledger, to_store, to_rules, reader, timing or Timing(0, 0, 300.0), nursery)
                    _start(works, place, of_store, of_rules)
                    yield works
                    nursery.cancel_scope.cancel()
                of_rules.cancel_scope.cancel()
            of_store.cancel_scope.cancel()


def _start(works: Works, place: Place, of_store: trio.Nursery, of_rules: trio.Nursery) -> None:
    budget, opened = Budget(50, 60), partial(open_writer, place, busy_seconds=BUSY_SECONDS)
    of_store.start_soon(
        supervise, "store",
        lambda: store.run(works.to_store, opened, works.wake, works.store_state),
        budget, works.status,
    )  # fmt: skip
    of_rules.start_soon(
        supervise, "rules",
        lambda: rules.run(works.to_rules, works.to_store, works.reader, works.timing, works.rules_state),
        budget, works.status,
    )  # fmt: skip


# ---- hosts


@dataclass
class Agent:
    """The other end of a link to one host's actor."""

    box: Mailbox[HostInbox]
    number: int
    token_hash: str
    instance: str = "instance"
    got: list[wire.FromServer] = field(default_factory=list)
    closed: tuple[int, str] | None = None
    seq: int = 0

    @property
    def connection(self) -> AgentConnection:
        if not hasattr(self, "_connection"):
            self._connection = AgentConnection(self.number, "192.0.2.7", self.got.append, self._close, self.token_hash)
        return self._connection

    def _close(self, code: int, reason: str) -> None:
        self.closed = self.closed or (code, reason)

    async def says(self, frame: wire.FromAgent) -> None:
        await self.box.send(FrameReceived(self.connection, frame, clock.now()))

    async def says_rubbish(self, problem: wire.Unreadable) -> None:
        await self.box.send(UnreadableReport(self.connection, problem, clock.now()))

    async def hello(self, **changes: Any) -> None:
        given = {"protocol": wire.ProtocolRange(1, 1), "instance_id": self.instance, "spool_id": "spool", **changes}
        await self.says(wire.Hello(**given))
        await self.until(lambda: bool(self.all(wire.Welcome)))

    async def starts(self, job_id: str, **changes: Any) -> int:
        self.seq += 1
        frame = wire.JobStarted(
            **{"seq": self.seq, "job_id": job_id, "kind": "backup", "started_at": ago(1), **changes}
        )
        await self.says(frame)
        return frame.seq

    async def ends(self, job_id: str, status: Any = "failed", **changes: Any) -> int:
        self.seq += 1
        given = {
            "seq": self.seq, "job_id": job_id, "kind": "backup", "status": status,
            "reason": "ok" if status == "succeeded" else "error",
            "started_at": ago(2), "finished_at": ago(1), **changes,
        }  # fmt: skip
        await self.says(wire.JobFinished(**given))
        return int(given["seq"])

    def hangs_up(self) -> None:
        self.box.put_unbounded(ConnectionClosed(self.connection, clock.now()))

    def all(self, kind: type[Any]) -> list[Any]:
        return [frame for frame in self.got if isinstance(frame, kind)]

    def acked(self) -> list[int]:
        return [ack.seq for ack in self.all(wire.Ack) if ack.refused is None]

    async def until(self, so: Callable[[], bool]) -> None:
        """Wait until something is so, for at most a few seconds of real time."""
        await until(so, lambda: str(self.got))


def agent(works: Works, host: str, number: int = 1, instance: str = "instance", token_hash: str | None = None) -> Agent:
    return Agent(works.directory.mailbox_of(host), number, token_hash or f"hash of {host}", instance)


def enrolled(works: Works, **changes: Any) -> str:
    """A host that is known since now."""
    return works.ledger.host(at=clock.now(), **changes)


def running(host: str, job: str, for_seconds: float = 86_400) -> SaveStart:
    """The start of a job that may run for so long from now."""
    now = clock.now()
    return save_start(start(host, job, at=now), deadline_at=now + clock.seconds(for_seconds))


def ago(seconds: float) -> Any:
    return clock.to_datetime(clock.now() - clock.seconds(seconds))


def settings(**changes: Any) -> HostSettings:
    given = {"heartbeat": 30.0, "offline_alert": 900.0, "stale_grace": 300.0, **changes}
    return HostSettings(**given)


def start_fleet(
    works: Works, flush_seconds: float = 1000.0, to_rules: Mailbox[Any] | None = None,
    grace_until: Callable[[], float] = lambda: 0.0, **changes: Any,
) -> None:  # fmt: skip
    """Run a host actor for every host in the database; `to_rules` is another mailbox than that of the rules."""
    ports = host.HostPorts(
        works.to_rules if to_rules is None else to_rules, works.to_store, works.reader,
        ReadTogether(works.reader, load_pending_work), works.progress.append, works.heartbeats.note,
        works.heartbeats.note_clock, grace_until, works.questions.answer, works.left_out.update,
    )  # fmt: skip
    works.nursery.start_soon(
        fleet.run,
        works.directory,
        works.questions,
        works.heartbeats,
        ports,
        settings(**changes),
        flush_seconds,
        Budget(5, 60),
        works.status,
    )
