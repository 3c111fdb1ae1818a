"""The actor that looks after policies, over the real store and the real rules; stopped and started at any instant."""

from dataclasses import dataclass, field
from functools import partial

import pytest
import trio
from trio.testing import MockClock

from rmactors.common import ids
from rmactors.server.actors.policies import actor as policies
from rmactors.server.actors.policies.actor import AGAIN_SECONDS
from rmactors.server.messages.answers import Answer, Committed, Refused
from rmactors.server.messages.hosts import DeleteHost, PauseHost, TagHost
from rmactors.server.messages.policies import DeletePolicy
from rmactors.server.messages.requests import Change
from rmactors.server.runtime.supervision import Budget, supervise
from rmactors.server.state.policies import Made, Policy, PolicyHost, Terms, write_for
from tests.actors.works import Works, until
from tests.policies.things import TERMS, saved
from tests.store.ledger import NOON, audit, end

FAST = 100.0
PATIENCE = 120 * FAST
"""Seconds of the clock of the tests: two minutes for the disk, also where that clock runs fast."""


@dataclass
class Tapped:
    """The way to the rules, and what to do when so many changes have gone that way."""

    works: Works
    sent: int = 0
    at: dict[int, trio.Event] = field(default_factory=dict)

    async def send(self, change: Change) -> None:
        self.sent += 1
        if (event := self.at.get(self.sent)) is not None:
            event.set()
        await self.works.to_rules.send(change)

    def offer(self, change: Change) -> bool:
        raise AssertionError("a change is waited for")

    put_aside = put_once = offer

    def put_unbounded(self, change: Change) -> None:
        raise AssertionError("a change is waited for")


async def tagged(works: Works, number: int, tag: str = "db") -> list[str]:
    hosts = [works.ledger.host(f"nas{n}") for n in range(number)]
    for host_id in hosts:
        works.ledger.commit(TagHost(host_id, tag, True, audit()))
    return hosts


def start(works: Works, way: Tapped | None = None) -> None:
    run = partial(policies.run, way or works.to_rules, works.reader, works.policy_sweeps)
    works.nursery.start_soon(supervise, "policies", run, Budget(50, 60), works.status)


async def settled(works: Works) -> None:
    assert await works.policy_sweeps.settled("policies", PATIENCE)
    assert await works.policy_sweeps.settled("hosts", PATIENCE)


def schedules(works: Works) -> list[tuple[str, str, int]]:
    """(policy, host, how often) of the schedules that are there."""
    rows = works.ledger.rows(
        "SELECT policy_id, host_id, count(*) FROM schedules WHERE deleted_at IS NULL GROUP BY policy_id, host_id"
    )
    return sorted(tuple(row) for row in rows)


def one_each(policy_id: str, hosts: list[str]) -> list[tuple[str, str, int]]:
    return sorted((policy_id, host_id, 1) for host_id in hosts)


async def test_what_was_committed_before_the_start_is_found(works: Works) -> None:
    hosts, policy_id = await tagged(works, 5), ids.new()
    works.ledger.commit(saved(policy_id))
    start(works)
    await until(lambda: len(schedules(works)) == 5)
    assert schedules(works) == one_each(policy_id, hosts)


async def test_each_change_that_matters_is_followed(works: Works) -> None:
    hosts, policy_id = await tagged(works, 3), ids.new()
    start(works)
    await works.commit(saved(policy_id))
    await settled(works)
    assert schedules(works) == one_each(policy_id, hosts)
    await works.commit(TagHost(hosts[0], "db", False, audit()))
    await settled(works)
    assert schedules(works) == one_each(policy_id, hosts[1:])
    assert isinstance(await works.ask(partial(Change, DeleteHost(hosts[1], NOON, audit()))), Committed)
    await works.commit(PauseHost(hosts[2], True, NOON, audit()))
    await settled(works)
    assert schedules(works) == one_each(policy_id, hosts[2:])
    assert works.ledger.value("SELECT enabled FROM schedules WHERE host_id = ?", hosts[2]) == 0
    await works.commit(DeletePolicy(policy_id, NOON, audit()))
    await settled(works)
    assert schedules(works) == []


async def test_stopped_at_any_instant_it_leaves_one_schedule_of_a_policy_on_each_host(works: Works) -> None:
    """What the earlier run had asked for is still in flight when the next one compares: the database takes one."""
    hosts, policy_id = await tagged(works, 40), ids.new()
    works.ledger.commit(saved(policy_id))
    for sends in (1, 2, 5, 9, 17):
        way = Tapped(works, at={sends: trio.Event()})
        async with trio.open_nursery() as nursery:
            nursery.start_soon(policies.run, way, works.reader, works.policy_sweeps)
            await way.at[sends].wait()
            nursery.cancel_scope.cancel()
    assert len(schedules(works)) < 40
    start(works)
    await settled(works)
    await until(lambda: len(schedules(works)) == 40)
    await works.settle()
    assert schedules(works) == one_each(policy_id, hosts)
    assert works.status.down == {}


async def test_rules_that_crash_in_the_middle_are_asked_again(works: Works, mock_clock: MockClock) -> None:
    hosts, policy_id = await tagged(works, 30), ids.new()
    way = Tapped(works, at={10: trio.Event()})
    start(works, way)
    await works.commit(saved(policy_id))
    await way.at[10].wait()
    await works.crash_rules()
    mock_clock.rate = FAST
    await settled(works)
    assert schedules(works) == one_each(policy_id, hosts)


async def test_while_nothing_can_be_stored_it_tries_again_until_something_can(
    works: Works, mock_clock: MockClock
) -> None:
    hosts, policy_id = await tagged(works, 3), ids.new()
    works.ledger.commit(saved(policy_id))
    with works.ledger.locked():
        start(works)
        await until(lambda: works.store_state.failing is not None)
        assert schedules(works) == []
    mock_clock.jump(AGAIN_SECONDS)
    mock_clock.rate = FAST
    await until(lambda: len(schedules(works)) == 3)
    assert schedules(works) == one_each(policy_id, hosts)


async def test_a_host_has_its_turn_in_the_midst_of_a_long_walk(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policies, "HOSTS_AT_ONCE", 10)
    hosts, big, small = await tagged(works, 100), ids.new(), ids.new()
    works.ledger.commit(saved(small, "Small", ("x",)))
    way = Tapped(works, at={5: trio.Event()})
    start(works, way)
    await works.commit(saved(big))
    await way.at[5].wait()
    await works.commit(TagHost(hosts[-1], "x", True, audit()))
    assert await works.policy_sweeps.settled("hosts", PATIENCE)
    assert (small, hosts[-1], 1) in schedules(works)
    assert len(schedules(works)) < 101, "the walk was not over"
    await settled(works)
    assert schedules(works) == sorted([*one_each(big, hosts), (small, hosts[-1], 1)])


async def test_who_waits_longer_than_they_want_to_is_told_so(works: Works) -> None:
    await works.commit(saved(ids.new()))
    assert not await works.policy_sweeps.settled("policies", 0.01), "nobody sweeps"


async def test_alerts_of_a_schedule_are_over_with_it(works: Works) -> None:
    (host_id,), policy_id = await tagged(works, 1), ids.new()
    start(works)
    await works.commit(saved(policy_id))
    await settled(works)
    schedule_id = works.ledger.value("SELECT id FROM schedules")
    assert isinstance(await works.end(end(host_id, ids.new(), schedule_id=schedule_id, status="failed")), Committed)
    assert works.ledger.value("SELECT count(*) FROM alerts WHERE resolved_at IS NULL") == 1
    await works.commit(TagHost(host_id, "db", False, audit()))
    await settled(works)
    assert works.ledger.rows("SELECT resolved_by, resolved_note FROM alerts") == [("rule", "the schedule was deleted")]


# ---- what the database takes


async def saves(works: Works, policy_id: str, host_id: str) -> Answer:
    """What an actor asks that compared something older."""
    host = PolicyHost(host_id, "nas", frozenset({"db"}))
    terms: Terms = TERMS
    write = write_for(Made(host, Policy(policy_id, frozenset({"db"}), 0, terms), terms), NOON, ids.new)
    return await works.ask(partial(Change, write))


async def test_a_second_schedule_and_one_of_a_deleted_policy_are_refused(works: Works) -> None:
    (host_id,), policy_id = await tagged(works, 1), ids.new()
    works.ledger.commit(saved(policy_id))
    assert isinstance(await saves(works, policy_id, host_id), Committed)
    assert await saves(works, policy_id, host_id) == Refused(
        "conflict", "the policy has a schedule on this host already"
    )
    works.ledger.commit(DeletePolicy(policy_id, NOON, audit()))
    assert await saves(works, policy_id, host_id) == Refused("conflict", "the policy was deleted")
    assert len(schedules(works)) == 1
