"""Looks after policies: what they say, and the tags of hosts, becomes schedules.

Owns      nothing: which schedules are to be made, changed or deleted is found by comparison with the database.
Receives  wake-ups: hosts that are new, tagged or paused; policies that were saved or deleted.
Sends     `Change`s to the rules, a few at a time, as an operator would.
Restart   looks at everything once. What an earlier run of it had asked for is done or is not; either way the next
          comparison finds what is missing, and the database refuses a second schedule of a policy on a host.

A sweep reads some hosts, compares, and sends what follows; what was refused because something changed meanwhile is
compared again. So it may be cut short at any instant.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, Literal

import trio

from rmactors.common import clock, ids
from rmactors.server.actors.policies.sweeps import Sweeps
from rmactors.server.messages.answers import Answer, Committed, Failed
from rmactors.server.messages.requests import Change
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.runtime.mailbox import Outlet, Signal, ask
from rmactors.server.state.policies import Difference, PolicyHost, Snapshot, differences, write_for
from rmactors.server.store.database import Database, DatabaseError
from rmactors.server.store.load_policies import next_hosts, of_hosts
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

AT_ONCE: Final = 4
"""Changes that the rules have at the same time: each makes them read its host again, and reports wait behind them."""
HOSTS_AT_ONCE: Final = 200
"""Hosts in one comparison. After so many, others have their turn."""
TRIES: Final = 4
"""Comparisons of the same hosts in a row, where some change was refused."""
AGAIN_SECONDS: Final = 2.0
"""While nothing can be stored, or read, it is tried again so often."""
ANSWER_SECONDS: Final = 60.0

LaneName = Literal["hosts", "policies"]


class PolicySweeps:
    """What is left for the actor, and how others wait until it is done. Never waits to be told."""

    def __init__(self) -> None:
        self.sweeps = Sweeps()
        self._news = Signal()
        self._progress = trio.lowlevel.ParkingLot()

    def wake(self, hosts: set[str], policies: set[str]) -> None:
        """After a commit: what it changed."""
        if hosts:
            self.sweeps.hosts.add(hosts)
        if policies:
            self.sweeps.policies.add(policies)
        if hosts or policies:
            self._news.set()

    async def settled(self, lane_name: LaneName, seconds: float) -> bool:
        """Wait until the schedules are as the changes committed so far want them; False if that takes longer."""
        lane = self.sweeps.hosts if lane_name == "hosts" else self.sweeps.policies
        wanted = lane.asked
        with trio.move_on_after(seconds):
            while lane.done < wanted:
                await self._progress.park()
            return True
        return False

    async def news(self) -> None:
        await self._news.wait()

    def tell_progress(self) -> None:
        self._progress.unpark_all()


async def run(
    to_rules: Outlet[Change], reader: Reader, wanted: PolicySweeps, now: Callable[[], int] = clock.now
) -> None:
    """Sweep everything once, then what is left."""
    sweeper, sweeps = _Sweeper(to_rules, reader, now), wanted.sweeps
    sweeps.begin_again()
    while True:
        if sweeps.hosts.ids:
            host_ids, until = sweeps.hosts.take()
            for part in _in_parts(sorted(host_ids)):
                await sweeper.sweep(partial(of_hosts, host_ids=part))
            sweeps.hosts.swept(until)
        if (walk := sweeps.next_walk()) is not None:
            page = await sweeper.sweep(
                partial(next_hosts, after=walk.after, most=HOSTS_AT_ONCE, policy_ids=walk.policies)
            )
            sweeps.went_on(walk, page[-1].id if len(page) == HOSTS_AT_ONCE else None)
        wanted.tell_progress()
        if sweeps.is_idle():
            await wanted.news()


def _in_parts(host_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (host_ids[start : start + HOSTS_AT_ONCE] for start in range(0, len(host_ids), HOSTS_AT_ONCE))


class _Sweeper:
    def __init__(self, to_rules: Outlet[Change], reader: Reader, now: Callable[[], int]) -> None:
        self._to_rules = to_rules
        self._reader = reader
        self._now = now
        self._places = trio.CapacityLimiter(AT_ONCE)

    async def sweep(self, read: Callable[[Database], Snapshot]) -> tuple[PolicyHost, ...]:
        """The hosts that were read, when what follows from it is on disk."""
        tries = 0
        while True:
            try:
                hosts, found = await self._reader.run(_compared, read)
            except DatabaseError as error:
                _log.warning("policies and hosts cannot be read: %s", error)
                await trio.sleep(AGAIN_SECONDS)
                continue
            answers = await self._carry_out(found)
            if any(isinstance(answer, Failed) for answer in answers):
                await trio.sleep(AGAIN_SECONDS)
                continue
            refused = [answer for answer in answers if not isinstance(answer, Committed)]
            tries += 1
            if not refused or tries == TRIES:
                for answer in refused:  # each comparison was about something new, or there is a bug
                    _log.warning("a schedule of a policy cannot be saved: %s", answer)
                return hosts

    async def _carry_out(self, found: Sequence[Difference]) -> list[Answer]:
        answers: list[Answer] = []

        async def carry_out(difference: Difference) -> None:
            async with self._places:
                answers.append(await self._ask(write_for(difference, self._now(), ids.new)))

        async with trio.open_nursery() as nursery:
            for difference in found:
                nursery.start_soon(carry_out, difference)
        return answers

    async def _ask(self, write: SaveSchedule | DeleteSchedule) -> Answer:
        return await ask(self._to_rules.send, partial(Change, write), ANSWER_SECONDS, shield=False)


def _compared(db: Database, read: Callable[[Database], Snapshot]) -> tuple[tuple[PolicyHost, ...], list[Difference]]:
    """In the reader's thread: it is work for the processor."""
    snapshot = read(db)
    return snapshot.hosts, list(differences(snapshot))
