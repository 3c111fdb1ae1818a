"""The fleet: one actor for each enrolled host.

Owns      the mailboxes of the host actors, and the newest sign of life of each host until it is flushed.
Receives  wake-ups with the names of hosts that are new, changed or gone.
Sends     `HostChanged` to host actors; signs of life to the store, all at once every few seconds.
Restart   all host actors start anew.
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
from rmactors.server.runtime.mailbox import Mailbox, Outlet, Signal
from rmactors.server.runtime.supervision import ActorStatus, Budget, supervise
from rmactors.server.state.host import HostFacts
from rmactors.server.store.load_hosts import load_hosts, load_hosts_running, load_running

_log = logging.getLogger(__name__)

HOST_MAILBOX = 64
"""Frames of one host that wait for its actor. Past it, the gateway stops reading its socket: TCP holds the rest."""
HOST_BUDGET = Budget(restarts=5, seconds=60)


@dataclass(slots=True)
class Directory:
    """Where to find a host's actor. The mailbox is made by whoever asks first, the actor follows."""

    mailboxes: dict[str, Mailbox[HostInbox]] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    signal: Signal = field(default_factory=Signal)

    def mailbox_of(self, host_id: str) -> Mailbox[HostInbox]:
        if host_id not in self.mailboxes:
            self.mailboxes[host_id] = Mailbox(f"host:{host_id}", HOST_MAILBOX)
        return self.mailboxes[host_id]

    def wake(self, host_ids: set[str]) -> None:
        """These hosts have something to look at, or are new."""
        self.changed |= host_ids
        self.signal.set()


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
        """What is new since the last time; None where nothing is."""
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
    status: ActorStatus,
) -> None:
    """Keep one actor going for each enrolled host."""
    running: set[str] = set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_flush, heartbeats, ports.to_store, flush_seconds)

        def start(facts: HostFacts, has_running_jobs: bool) -> None:
            running.add(facts.id)
            nursery.start_soon(_host, facts, has_running_jobs, directory, ports, settings, status, running)

        facts, busy = await ports.reader.run(
            lambda connection: (load_hosts(connection), load_hosts_running(connection))
        )
        for found in facts:
            start(found, found.id in busy)
        while True:
            await directory.signal.wait()
            changed, directory.changed = directory.changed, set()
            for host_id in changed & running:
                directory.mailbox_of(host_id).put_unbounded(HostChanged())
            if unknown := changed - running:
                for found in await ports.reader.run(load_hosts, unknown):
                    if found.id not in running:
                        start(found, False)


async def _host(
    facts: HostFacts,
    has_running_jobs: bool,
    directory: Directory,
    ports: host.HostPorts,
    settings: HostSettings,
    status: ActorStatus,
    running: set[str],
) -> None:
    """One host's actor, from its enrollment to its deletion."""
    current: tuple[HostFacts, bool] | None = (facts, has_running_jobs)

    async def once() -> None:
        nonlocal current
        if current is None:  # after a crash: what was true at the start may not be any more
            found = await ports.reader.run(load_hosts, {facts.id})
            if not found:
                return
            current = (found[0], True)
            # Its sockets are closed: whoever was here says hello again.
            await ports.to_rules.send(HostGone(facts.id, clock.now()))
        mine, busy = current
        current = None
        jobs = await ports.reader.run(load_running, mine.id) if busy else []
        silent_for = max(0, clock.now() - mine.last_seen_at) / SECOND if mine.last_seen_at is not None else 0.0
        last_sign = trio.current_time() - silent_for
        await host.run(mine, jobs, directory.mailbox_of(mine.id), ports, settings, last_sign)

    await supervise(f"host:{facts.id}", once, HOST_BUDGET, status)
    running.discard(facts.id)
    directory.mailboxes.pop(facts.id, None)


async def _flush(heartbeats: Heartbeats, to_store: Outlet[Commit], every: float) -> None:
    while True:
        await trio.sleep(every)
        fresh = heartbeats.take()
        if fresh is not None:
            await to_store.send(Commit((fresh,), partial(_flushed, heartbeats, fresh)))


def _flushed(heartbeats: Heartbeats, flushed: RecordSigns, answer: Answer) -> None:
    if isinstance(answer, Failed):
        heartbeats.put_back(flushed)
