"""The actor that asks about repositories, over a real store and days of virtual time. Agents are functions that answer,
or do not.

Time goes as virtual time does: `Round.later` lets it pass, and waits until everybody has done what was due.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import trio
from msgspec import Raw
from trio.testing import MockClock

from rmactors.common import clock
from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.common.vocabulary import LiveRequest
from rmactors.server.actors.repositories import actor as repositories
from rmactors.server.actors.repositories.actor import AT_ONCE, IDENTIFY_SECONDS, MEASURE_SECONDS
from rmactors.server.messages.hosts import RecordHello, RecordSigns
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
    LiveAnswer,
)
from rmactors.server.messages.repositories import RefreshRepository
from rmactors.server.runtime.mailbox import Signal
from tests.actors.works import Works, until
from tests.store.ledger import NOON, audit

A, B = "aa" * 32, "bb" * 32
Agent = Callable[[Mapping[str, object]], Awaitable[LiveAnswer]]


class Watched(Signal):
    """The actor waits for it between two looks at who is due, and each look at a host sets it at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = 0
        self.ended = 0

    @property
    def waited_for(self) -> bool:
        return self.waits > 0 and not self._event.is_set()

    def set(self) -> None:
        self.ended += 1
        super().set()

    def ring(self) -> None:
        """The test's own."""
        super().set()

    async def wait(self) -> None:
        self.waits += 1
        try:
            await super().wait()
        finally:
            self.waits -= 1


@dataclass
class Round:
    """A round of the actor. `asked` is (host, `identify` or the repository's name), in order."""

    works: Works
    mock_clock: MockClock
    agents: dict[str, Agent] = field(default_factory=dict)
    hosts: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    wanted: Watched = field(default_factory=Watched)
    began: float = field(default_factory=trio.current_time)
    begun: int = 0
    busy: int = 0
    most_busy: int = 0

    def now(self) -> int:
        return NOON + clock.seconds(trio.current_time() - self.began)

    def host(self, name: str, agent: Agent) -> str:
        host_id = self.works.ledger.host(name, at=NOON - HOUR)
        self.agents[host_id], self.hosts[host_id] = agent, name
        return host_id

    async def ask(
        self, host_id: str, kind: LiveRequest, params: Mapping[str, object], seconds: float
    ) -> LiveAnswer:  # fmt: skip
        assert kind == "stats"
        self.asked.append((self.hosts[host_id], str(params.get("repository", "identify"))))
        self.waited.append(seconds)
        self.begun += bool(params.get("identify"))
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        try:
            return await self.agents[host_id](params)
        finally:
            self.busy -= 1

    async def alive(self) -> None:
        """All hosts are there."""
        await self.works.commit(RecordSigns(tuple((host_id, self.now()) for host_id in self.agents), ()))

    async def run(self) -> None:
        works = self.works
        await repositories.run(works.to_store, works.reader, self.ask, self.wanted, 90.0, 0.0, self.now)

    async def settled(self) -> None:
        """Those that were due were asked, and what became of it is written down."""
        await until(lambda: self.wanted.waited_for and self.wanted.ended == self.begun)

    async def later(self, micros: int) -> None:
        self.mock_clock.jump(micros / clock.SECOND)
        await self.alive()
        self.wanted.ring()  # the actor may have looked before the hosts were there
        await trio.testing.wait_all_tasks_blocked()
        await self.settled()

    def take(self) -> list[tuple[str, str]]:
        taken, self.asked[:] = list(self.asked), []
        return taken

    def column(self, host: str, name: str) -> Any:
        return self.works.ledger.value(f"SELECT {name} FROM hosts WHERE name = ?", host)


def item(name: str = "main", repository_id: str | None = A, size: int | None = None, **more: Any) -> dict[str, Any]:
    return {
        "name": name, "repository_id": repository_id, "location": f"/srv/{name}", "plans": ["home"], "version": 2,
        "own_host": "nas", "size_bytes": size, "snapshots": None if size is None else 1, "measured": size is not None,
        "hosts": [{"host": "nas", "snapshots": 1, "bytes": size, "unique_bytes": size}], "locks": [], "error": None,
        **more,
    }  # fmt: skip


def answered(*items: dict[str, Any]) -> LiveAnswer:
    return AgentAnswered(Raw(json.dumps(items).encode()), None)


def agent(sizes: Callable[[], int] | None = None, **repositories: str) -> Agent:
    """One that tells of these, by name, and of the size of each."""

    async def answer(params: Mapping[str, object]) -> LiveAnswer:
        if params.get("identify"):
            return answered(*(item(name, identifier) for name, identifier in repositories.items()))
        name = str(params["repository"])
        return answered(item(name, repositories[name], 1000 if sizes is None else sizes()))

    return answer


async def always(found: LiveAnswer, _: Mapping[str, object]) -> LiveAnswer:
    return found


def start(round_: Round) -> None:
    round_.works.nursery.start_soon(round_.run)


async def test_a_repository_that_two_hosts_share_is_measured_once_a_day_and_seen_at_both(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)
    grows = iter(range(1000, 10_000, 10))
    round_.host("nas", agent(lambda: next(grows), main=A))
    round_.host("web", agent(lambda: next(grows), shared=A))
    await round_.alive()
    start(round_)
    await round_.settled()
    for _ in range(6):
        await round_.later(DAY)
    assert round_.asked.count(("nas", "identify")) == 7
    assert round_.asked.count(("web", "identify")) == 7
    assert len([what for _, what in round_.asked if what != "identify"]) == 7
    rows = works.ledger.rows("SELECT at, bytes FROM repository_sizes ORDER BY day")
    assert [size for _, size in rows] == [1000, 1010, 1020, 1030, 1040, 1050, 1060]
    assert all(later - earlier >= 23 * HOUR for (earlier, _), (later, _) in pairwise(rows))
    assert works.ledger.rows("SELECT DISTINCT repository_id FROM repository_uses") == [(A,)]
    assert works.ledger.value("SELECT count(*) FROM repository_uses") == 2
    assert set(round_.waited) == {IDENTIFY_SECONDS, MEASURE_SECONDS}


async def test_within_a_day_nobody_is_asked_again(works: Works, mock_clock: MockClock) -> None:
    round_ = Round(works, mock_clock)
    round_.host("nas", agent(main=A))
    await round_.alive()
    start(round_)
    await round_.settled()
    assert round_.take() == [("nas", "identify"), ("nas", "main")]
    for _ in range(3):
        await round_.later(7 * HOUR)
    assert round_.take() == []


async def test_where_a_host_fails_another_that_has_the_repository_measures_it(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)

    async def fails(params: Mapping[str, object]) -> LiveAnswer:
        return answered(item()) if params.get("identify") else answered(item(error="connection refused"))

    round_.host("a-fails", fails)
    await round_.alive()
    start(round_)
    await round_.settled()
    round_.host("b-works", agent(main=A))
    await round_.later(MINUTE)
    assert sorted(round_.take()) == [
        ("a-fails", "identify"), ("a-fails", "main"), ("b-works", "identify"), ("b-works", "main"),
    ]  # fmt: skip
    assert works.ledger.value("SELECT size_bytes FROM repositories") == 1000
    assert round_.column("a-fails", "repositories_failures") == 1
    await round_.later(16 * MINUTE)
    assert round_.take() == [("a-fails", "identify")], "it was measured today"
    assert round_.column("a-fails", "repositories_failures") == 0


async def test_one_that_fails_again_and_again_is_asked_more_and_more_seldom(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)
    round_.host("nas", partial(always, answered(item(repository_id=None, error="wrong password"))))
    await round_.alive()
    start(round_)
    await round_.settled()
    tries = 0
    for _ in range(12):
        await round_.later(HOUR)
        tries += len(round_.take())
    assert 4 <= tries <= 6
    assert works.ledger.value("SELECT error FROM repository_uses") == "wrong password"


async def test_a_host_that_is_not_there_is_left_alone_and_asked_when_it_comes(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)
    nas = round_.host("nas", partial(always, AgentAway()))
    start(round_)
    await round_.settled()
    assert round_.take() == [], "not heard of since the server started"
    await round_.alive()
    await round_.later(0)
    assert round_.take() == [("nas", "identify")]
    assert (round_.column("nas", "repositories_problem"), round_.column("nas", "repositories_failures")) == (None, 0)
    await round_.later(5 * MINUTE)
    assert round_.take() == []
    round_.agents[nas] = agent(main=A)
    await round_.later(6 * MINUTE)
    assert round_.take() == [("nas", "identify"), ("nas", "main")]


async def test_one_that_leaves_while_it_measures_is_asked_again_without_blame(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)

    async def leaves(params: Mapping[str, object]) -> LiveAnswer:
        return answered(item()) if params.get("identify") else AgentAway()

    nas = round_.host("nas", leaves)
    await round_.alive()
    start(round_)
    await round_.settled()
    assert works.ledger.value("SELECT error FROM repository_uses") is None
    round_.agents[nas] = agent(main=A)
    await round_.later(11 * MINUTE)
    assert works.ledger.value("SELECT size_bytes FROM repositories") == 1000


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (AgentTooOld(), "too_old"),
        (AgentRefused("not_allowed", "no browse"), "not_allowed"),
        (AgentSlow(), "slow"),
        (AgentRefused("failed", "no restic"), "failed"),
    ],
)
async def test_why_an_agent_does_not_tell_is_kept(
    works: Works, mock_clock: MockClock, answer: LiveAnswer, problem: str
) -> None:
    round_ = Round(works, mock_clock)
    nas = round_.host("nas", partial(always, answer))
    await round_.alive()
    start(round_)
    await round_.settled()
    assert round_.column("nas", "repositories_problem") == problem
    round_.agents[nas] = agent(main=A)
    hello = RecordHello(nas, round_.now(), False, "9.9", "nas", "linux", "x86_64", "UTC", None, "[]")
    await works.commit(hello)
    await round_.later(MINUTE)
    assert round_.column("nas", "repositories_problem") is None, "it was upgraded"


async def test_a_slow_measurement_is_an_error_of_that_repository_alone(works: Works, mock_clock: MockClock) -> None:
    round_ = Round(works, mock_clock)

    async def slow(params: Mapping[str, object]) -> LiveAnswer:
        if params.get("identify"):
            return answered(item("big", A), item("small", B))
        if params["repository"] == "big":
            return AgentSlow()
        return answered(item("small", B, 5))

    round_.host("nas", slow)
    await round_.alive()
    start(round_)
    await round_.settled()
    assert works.ledger.rows("SELECT name, error FROM repository_uses ORDER BY name") == [
        ("big", "its agent did not answer in time"), ("small", None),
    ]  # fmt: skip
    assert works.ledger.rows("SELECT size_bytes FROM repositories ORDER BY id") == [(None,), (5,)]


async def test_one_that_the_agent_does_not_know_any_more_is_an_error(works: Works, mock_clock: MockClock) -> None:
    round_ = Round(works, mock_clock)

    async def forgets(params: Mapping[str, object]) -> LiveAnswer:
        return answered(item()) if params.get("identify") else answered()

    round_.host("nas", forgets)
    await round_.alive()
    start(round_)
    await round_.settled()
    assert works.ledger.value("SELECT error FROM repository_uses") == "its agent does not know it any more"


async def test_only_a_few_hosts_are_asked_at_once_and_one_repository_by_one_host(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)
    go_on = trio.Event()

    async def hangs(params: Mapping[str, object]) -> LiveAnswer:
        if params.get("identify"):
            return answered(item())
        await go_on.wait()
        return answered(item(size=7))

    async def hangs_at_once(_: Mapping[str, object]) -> LiveAnswer:
        await go_on.wait()
        return answered()

    round_.host("shares-1", hangs)
    round_.host("shares-2", hangs)
    for n in range(10):
        round_.host(f"other-{n}", hangs_at_once)
    await round_.alive()
    start(round_)
    await until(lambda: round_.busy == AT_ONCE and round_.wanted.waited_for)
    round_.wanted.ring()
    await until(lambda: round_.wanted.waited_for)
    assert round_.most_busy == AT_ONCE
    assert [what for _, what in round_.asked if what == "main"] == ["main"]
    go_on.set()
    await until(lambda: len(round_.asked) == 13)
    await round_.settled()
    assert [what for _, what in round_.asked].count("main") == 1
    assert round_.most_busy == AT_ONCE


async def test_a_look_that_was_cut_short_is_done_again_and_nothing_is_measured_twice(
    works: Works, mock_clock: MockClock
) -> None:
    round_ = Round(works, mock_clock)
    measured: list[str] = []

    async def dies_with_the_server(params: Mapping[str, object]) -> LiveAnswer:
        if params.get("identify"):
            return answered(item("a", A), item("b", B))
        measured.append(str(params["repository"]))
        if len(measured) == 2:
            await trio.sleep_forever()
        return answered(item(str(params["repository"]), A if params["repository"] == "a" else B, 5))

    round_.host("nas", dies_with_the_server)
    await round_.alive()
    async with trio.open_nursery() as server:
        server.start_soon(round_.run)
        await until(lambda: len(measured) == 2)
        server.cancel_scope.cancel()
    start(round_)
    await until(lambda: len(measured) == 3)
    await round_.settled()
    assert measured == ["a", "b", "b"]
    assert works.ledger.rows("SELECT size_bytes FROM repositories") == [(5,), (5,)]
    assert round_.column("nas", "repositories_due_at") >= NOON + DAY


async def test_what_somebody_wants_to_know_is_asked_at_once(works: Works, mock_clock: MockClock) -> None:
    round_ = Round(works, mock_clock)
    sizes = iter((10, 20))
    round_.host("nas", agent(lambda: next(sizes), main=A))
    await round_.alive()
    start(round_)
    await round_.settled()
    await round_.later(HOUR)
    round_.take()
    await works.commit(RefreshRepository(A, round_.now(), audit("repository.refresh", A)))
    assert works.woken.repositories
    round_.wanted.ring()
    await until(lambda: works.ledger.value("SELECT size_bytes FROM repositories") == 20)
    assert round_.take() == [("nas", "identify"), ("nas", "main")]


async def test_while_the_store_takes_nothing_nobody_is_asked_in_a_circle(works: Works, mock_clock: MockClock) -> None:
    round_ = Round(works, mock_clock)
    round_.host("nas", agent(main=A))
    await round_.alive()
    with works.ledger.locked():
        start(round_)
        await until(lambda: round_.asked)
        await trio.testing.wait_all_tasks_blocked(0.2)
        for _ in range(3):
            round_.wanted.ring()
            await trio.testing.wait_all_tasks_blocked(0.1)
        assert round_.asked == [("nas", "identify")]
    await round_.later(2 * MINUTE)
    await until(lambda: works.ledger.value("SELECT count(*) FROM repository_sizes") == 1)
