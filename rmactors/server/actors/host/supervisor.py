"""The fleet: one actor for each enrolled host.

Owns      the mailboxes of the host actors, who waits for an answer of which agent, and the newest sign of life of each
          host until it is flushed.
Receives  wake-ups with the names of hosts that are new, changed or gone.
Sends     `HostChanged` to host actors; signs of life to the store, many at once, each a few seconds after it came.
Restart   all host actors start again.
"""

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Final

import trio

from rmactors.common import clock, ids
from rmactors.common.clock import SECOND
from rmactors.common.vocabulary import LiveRequest
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host.core import HostSettings
from rmactors.server.actors.host.events import HostChanged, HostInbox, NobodyWaits, Question
from rmactors.server.messages.answers import Failed
from rmactors.server.messages.hosts import RecordSigns
from rmactors.server.messages.live_requests import AgentAway, AgentRefused, AgentSlow, LiveAnswer
from rmactors.server.messages.requests import HostGone
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, Outlet, WakeupSet, ask
from rmactors.server.runtime.supervision import ActorStatus, Budget, Children
from rmactors.server.state.host import HostFacts
from rmactors.server.store.load_hosts import load_hosts, load_hosts_running, load_running

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Directory:
    """Where to find a host's actor, whose mailbox takes `frames`. The mailbox is made for the first who asks, the actor
    follows."""

    frames: int
    mailboxes: dict[str, Mailbox[HostInbox]] = field(default_factory=dict)
    changed: WakeupSet = field(default_factory=WakeupSet)
    """Hosts that have something to look at, or are new."""

    def mailbox_of(self, host_id: str) -> Mailbox[HostInbox]:
        if host_id not in self.mailboxes:
            self.mailboxes[host_id] = Mailbox(f"host:{host_id}", self.frames)
        return self.mailboxes[host_id]

    def forget(self, host_id: str) -> None:
        """The host is deleted and its actor has ended."""
        self.mailboxes.pop(host_id, None)


QUESTION_SECONDS: Final = 30.0
QUESTIONS_OF_A_HOST: Final = 16
"""That are open at once. An agent asks restic one after the other: more would only wait longer."""


@dataclass(slots=True)
class _Waiting:
    host_id: str
    answered: trio.Event = field(default_factory=trio.Event)
    answer: LiveAnswer = field(default_factory=AgentSlow)


class LiveQuestions:
    """Asks agents for those who wait, through the actors of their hosts.

    A question stays open until its host's actor has ended it, also where nobody waits any more: so what lies in the
    mailbox of an actor that is busy is bounded, however often somebody asks and leaves.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._open: dict[str, _Waiting] = {}
        self._of_host: dict[str, set[str]] = {}

    def __len__(self) -> int:
        """How many are open."""
        return len(self._open)

    async def ask(
        self, host_id: str, kind: LiveRequest, params: Mapping[str, object], seconds: float = QUESTION_SECONDS
    ) -> LiveAnswer:
        """See `AskAgent`. Waits for at most so many seconds."""
        mailbox = self._directory.mailboxes.get(host_id)
        if mailbox is None:
            return AgentAway()
        if len(self._of_host.get(host_id, ())) >= QUESTIONS_OF_A_HOST:
            return AgentRefused("busy", "this host is asked for as much as it may be at once; try again in a moment")
        request_id, waiting = ids.new(), _Waiting(host_id)
        self._open[request_id] = waiting
        self._of_host.setdefault(host_id, set()).add(request_id)
        mailbox.put_unbounded(Question(request_id, kind, params))
        try:
            with trio.move_on_after(seconds):
                await waiting.answered.wait()
        finally:
            if not waiting.answered.is_set():
                mailbox.put_unbounded(NobodyWaits(request_id))
        return waiting.answer

    def answer(self, request_id: str, answer: LiveAnswer) -> None:
        """The end of this question; another end of it counts for nothing."""
        waiting = self._open.pop(request_id, None)
        if waiting is None:
            return
        of_host = self._of_host[waiting.host_id]
        of_host.remove(request_id)
        if not of_host:
            del self._of_host[waiting.host_id]
        waiting.answer = answer
        waiting.answered.set()

    def host_stopped(self, host_id: str) -> None:
        """Its actor has ended, for good or for a restart, and with it the agent's session."""
        for request_id in list(self._of_host.get(host_id, ())):
            self.answer(request_id, AgentAway())


STARTED_AT_ONCE: Final = 10
"""Actors, before others run: ten thousand take a second, and pages are there already."""
SIGNS_AT_ONCE: Final = 100
"""In one transaction. A host's row is on a page of its own, as good as always: these are some 400 KB for the disk."""


class Heartbeats:
    """Newest signs of life, and clocks that have changed, kept in memory and written together: one write each would
    cost more than they are worth, and thousands at once would keep the reports waiting that come behind them."""

    def __init__(self) -> None:
        self._fresh: dict[str, tuple[float, int]] = {}
        """Since when a host's sign waits, on trio's clock, and the newest. The one that waits longest comes first."""
        self._clocks: dict[str, float] = {}

    def note(self, host_id: str, at: int) -> None:
        waiting = self._fresh.get(host_id)
        self._fresh[host_id] = (trio.current_time() if waiting is None else waiting[0], at)

    def note_clock(self, host_id: str, offset_seconds: float) -> None:
        self._clocks[host_id] = offset_seconds

    def due_at(self, every: float) -> float:
        """When the first has waited so many seconds, on trio's clock."""
        waiting = next(iter(self._fresh.values()), None)
        return every + (trio.current_time() if waiting is None else waiting[0])

    def take(self) -> RecordSigns | None:
        """Those that have waited longest, as many as are written at once; None if there are none."""
        hosts = list(islice(self._fresh, SIGNS_AT_ONCE))
        signs = tuple((host_id, self._fresh.pop(host_id)[1]) for host_id in hosts)
        clocks, self._clocks = self._clocks, {}
        return RecordSigns(signs, tuple(clocks.items())) if signs or clocks else None

    def put_back(self, signs: RecordSigns) -> None:
        """They did not get to disk. What came since is newer."""
        now = trio.current_time()
        self._fresh = {**{host_id: (now, at) for host_id, at in signs.signs}, **self._fresh}
        self._clocks = {**dict(signs.clock_offsets), **self._clocks}


async def run(
    directory: Directory,
    questions: LiveQuestions,
    heartbeats: Heartbeats,
    ports: host.HostPorts,
    settings: HostSettings,
    flush_seconds: float,
    budget: Budget,
    status: ActorStatus,
) -> None:
    """Keep one actor going for each enrolled host."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(ports.pending_work.run)
        nursery.start_soon(_flush, heartbeats, ports.to_store, flush_seconds)
        children: Children[str] = Children("host", budget, status, nursery)

        def start(facts: HostFacts, has_running_jobs: bool) -> None:
            one = _Host(facts, has_running_jobs, directory, ports, settings, partial(questions.host_stopped, facts.id))
            children.start(facts.id, facts.id, one.run, ended=lambda: directory.forget(facts.id))

        facts, busy = await ports.reader.run(
            lambda connection: (load_hosts(connection), load_hosts_running(connection))
        )
        for number, found in enumerate(facts):
            start(found, found.id in busy)
            if number % STARTED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()
        while True:
            changed = await directory.changed.take()
            for host_id in changed & children.running.keys():
                directory.mailbox_of(host_id).put_unbounded(HostChanged())
            if unknown := changed - children.running.keys():
                for found in await ports.reader.run(load_hosts, unknown):
                    if found.id not in children.running:
                        start(found, False)


@dataclass(slots=True)
class _Host:
    """One host's actor, and what it starts from."""

    facts: HostFacts
    has_running_jobs: bool
    directory: Directory
    ports: host.HostPorts
    settings: HostSettings
    stopped: Callable[[], None]
    crashed: bool = False

    async def run(self) -> None:
        """Serve the host until it is deleted, or until a crash."""
        if self.crashed:  # what was true at the start may not be any more
            found = await self.ports.reader.run(load_hosts, {self.facts.id})
            if not found:
                return
            self.facts, self.has_running_jobs = found[0], True
            # Its sockets are closed: agents say hello again.
            await self.ports.to_rules.send(HostGone(self.facts.id, clock.now()))
        self.crashed = True
        facts = self.facts
        jobs = await self.ports.reader.run(load_running, facts.id) if self.has_running_jobs else []
        silent_for = max(0, clock.now() - facts.last_seen_at) / SECOND if facts.last_seen_at is not None else 0.0
        last_sign = trio.current_time() - silent_for
        try:
            await host.run(facts, jobs, self.directory.mailbox_of(facts.id), self.ports, self.settings, last_sign)
        finally:
            self.stopped()


async def _flush(heartbeats: Heartbeats, to_store: Outlet[Commit], every: float) -> None:
    while True:
        await trio.sleep_until(heartbeats.due_at(every))
        if (signs := heartbeats.take()) is not None:
            # What is due next waits for the answer, and so others have their turn between two.
            answer = await ask(to_store.send, partial(Commit, (signs,)), math.inf, shield=False)
            if isinstance(answer, Failed):
                heartbeats.put_back(signs)
