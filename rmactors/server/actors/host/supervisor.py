"""The fleet: one actor for each enrolled host.

Owns      the mailboxes of the host actors, and the newest sign of life of each host until it is flushed.
Receives  wake-ups with the names of hosts that are new, changed or gone.
Sends     `HostChanged` to host actors; signs of life to the store, all at once every few seconds.
Restart   all host actors start again.
"""

import logging
from dataclasses import dataclass, field
from functools import partial

import trio

from rmactors.common import clock
from rmactors.common.clock import SECOND
from rmactors.server.actors.host import actor as host
from rmactors.server.actors.host.core import HostSettings
from rmactors.server.actors.host.events import HostChanged, HostInbox
from rmactors.server.messages.answers import Answer, Failed
from rmactors.server.messages.hosts import RecordSigns
from rmactors.server.messages.requests import HostGone
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, Outlet, WakeupSet
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


class Heartbeats:
    """Newest signs of life, and clocks that have changed, kept in memory and flushed together: one write each would
    cost more than they are worth."""

    def __init__(self) -> None:
        self._fresh: dict[str, int] = {}
        self._clocks: dict[str, float] = {}

    def note(self, host_id: str, at: int) -> None:
        self._fresh[host_id] = at

    def note_clock(self, host_id: str, offset_seconds: float) -> None:
        self._clocks[host_id] = offset_seconds

    def take(self) -> RecordSigns | None:
        """What is new since the last time; None if nothing is."""
        fresh, self._fresh = self._fresh, {}
        clocks, self._clocks = self._clocks, {}
        return RecordSigns(tuple(fresh.items()), tuple(clocks.items())) if fresh or clocks else None

    def put_back(self, signs: RecordSigns) -> None:
        """They did not get to disk. What came since is newer."""
        self._fresh = {**dict(signs.signs), **self._fresh}
        self._clocks = {**dict(signs.clock_offsets), **self._clocks}


async def run(
    directory: Directory,
    heartbeats: Heartbeats,
    ports: host.HostPorts,
    settings: HostSettings,
    flush_seconds: float,
    budget: Budget,
    status: ActorStatus,
) -> None:
    """Keep one actor going for each enrolled host."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_flush, heartbeats, ports.to_store, flush_seconds)
        children: Children[str] = Children("host", budget, status, nursery)

        def start(facts: HostFacts, has_running_jobs: bool) -> None:
            run_once = _Host(facts, has_running_jobs, directory, ports, settings).run
            children.start(facts.id, facts.id, run_once, ended=lambda: directory.forget(facts.id))

        facts, busy = await ports.reader.run(
            lambda connection: (load_hosts(connection), load_hosts_running(connection))
        )
        for found in facts:
            start(found, found.id in busy)
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
        await host.run(facts, jobs, self.directory.mailbox_of(facts.id), self.ports, self.settings, last_sign)


async def _flush(heartbeats: Heartbeats, to_store: Outlet[Commit], every: float) -> None:
    while True:
        await trio.sleep(every)
        fresh = heartbeats.take()
        if fresh is not None:
            await to_store.send(Commit((fresh,), partial(_flushed, heartbeats, fresh)))


def _flushed(heartbeats: Heartbeats, flushed: RecordSigns, answer: Answer) -> None:
    if isinstance(answer, Failed):
        heartbeats.put_back(flushed)
