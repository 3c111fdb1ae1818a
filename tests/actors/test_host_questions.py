"""Host actors: questions for agents while somebody waits. The clock is virtual."""

import pytest
import trio
from msgspec import Raw
from trio.testing import MockClock

from rmactors.common import wire
from rmactors.server.actors.host.supervisor import QUESTION_SECONDS, QUESTIONS_OF_A_HOST
from rmactors.server.messages.hosts import DeleteHost
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    LiveAnswer,
)
from tests.actors.works import Agent, Poison, Works, agent, enrolled, start_fleet, until
from tests.store.ledger import audit


class Asked:
    """Somebody who asks, and may leave."""

    def __init__(self, works: Works, host: str) -> None:
        self.answer: LiveAnswer | None = None
        self.scope = trio.CancelScope()
        self._works, self._host = works, host
        works.nursery.start_soon(self._ask)

    async def _ask(self) -> None:
        with self.scope:
            self.answer = await self._works.questions.ask(self._host, "browse", {"plan": "home", "path": "/"})

    async def is_told(self) -> LiveAnswer:
        await until(lambda: self.answer is not None)
        assert self.answer is not None
        return self.answer


async def here(works: Works, name: str = "nas1", number: int = 1) -> tuple[str, Agent]:
    host = enrolled(works, name=name)
    return host, agent(works, host, number)


async def asked_of(far: Agent, number: int = 1) -> list[wire.Request]:
    await far.until(lambda: len(far.all(wire.Request)) == number)
    requests: list[wire.Request] = far.all(wire.Request)
    return requests


async def one_question(works: Works) -> tuple[Agent, Asked, wire.Request]:
    """The agent of a host, somebody who asks it, and the request that it got."""
    host, far = await here(works)
    start_fleet(works)
    await far.hello()
    who = Asked(works, host)
    [request] = await asked_of(far)
    return far, who, request


async def test_the_agents_answer_comes_to_who_asked(works: Works, mock_clock: MockClock) -> None:
    far, who, request = await one_question(works)
    assert (request.kind, request.params) == ("browse", {"plan": "home", "path": "/"})
    await far.says(wire.Response(request.request_id, ok=True, items=Raw(b"[1]"), next_cursor="1"))
    assert await who.is_told() == AgentAnswered(Raw(b"[1]"), "1")
    assert len(works.questions) == 0


async def test_after_thirty_seconds_it_was_too_slow_and_the_agent_is_told(works: Works, mock_clock: MockClock) -> None:
    far, who, request = await one_question(works)
    mock_clock.jump(QUESTION_SECONDS - 1)
    await trio.testing.wait_all_tasks_blocked()
    assert who.answer is None
    mock_clock.jump(1)
    assert await who.is_told() == AgentSlow()
    await far.until(lambda: far.all(wire.CancelRequest) == [wire.CancelRequest(request.request_id)])
    await far.says(wire.Response(request.request_id, ok=True))
    await until(lambda: works.left_out["left_out", "responses"] == 1)
    assert len(works.questions) == 0


async def test_the_agent_is_told_that_who_asked_has_left(works: Works, mock_clock: MockClock) -> None:
    far, who, request = await one_question(works)
    who.scope.cancel()
    await far.until(lambda: far.all(wire.CancelRequest) == [wire.CancelRequest(request.request_id)])
    assert who.answer is None
    await until(lambda: len(works.questions) == 0)


async def test_a_connection_that_breaks_is_told_at_once(works: Works, mock_clock: MockClock) -> None:
    host, far = await here(works)
    start_fleet(works)
    await far.hello()
    who = Asked(works, host)
    await asked_of(far)
    far.hangs_up()
    assert await who.is_told() == AgentAway()


async def test_a_host_that_nobody_serves_is_away(works: Works, mock_clock: MockClock) -> None:
    start_fleet(works)
    assert await works.questions.ask("01ARZ3NDEKTSV4RRFFQ69G5FAV", "browse", {}) == AgentAway()
    assert len(works.questions) == 0


async def test_a_deleted_host_is_away_at_once(works: Works, mock_clock: MockClock) -> None:
    host, far = await here(works)
    start_fleet(works)
    await far.hello()
    who = Asked(works, host)
    await asked_of(far)
    await works.commit(DeleteHost(host, 0, audit()))
    assert await who.is_told() == AgentAway()
    await until(lambda: host not in works.directory.mailboxes)
    assert await works.questions.ask(host, "browse", {}) == AgentAway()


async def test_when_the_actor_restarts_all_who_wait_are_told(works: Works, mock_clock: MockClock) -> None:
    host, far = await here(works)
    start_fleet(works)
    await far.hello()
    sent = Asked(works, host)
    await asked_of(far)
    far.box.put_unbounded(Poison())  # type: ignore[arg-type]
    waiting = Asked(works, host)
    assert await sent.is_told() == AgentAway()
    mock_clock.jump(1)
    assert await waiting.is_told() == AgentAway()
    again = agent(works, host, 2)
    await again.hello()
    assert again.all(wire.Request) == [], "a question of before is not asked now"


async def test_so_many_questions_are_open_and_the_next_is_told_to_come_back(
    works: Works, mock_clock: MockClock
) -> None:
    host, far = await here(works)
    other, quiet = await here(works, "nas2", 2)
    start_fleet(works)
    await far.hello()
    await quiet.hello()
    crowd = [Asked(works, host) for _ in range(QUESTIONS_OF_A_HOST)]
    requests = await asked_of(far, QUESTIONS_OF_A_HOST)
    one_more = await works.questions.ask(host, "browse", {})
    assert isinstance(one_more, AgentRefused)
    assert one_more.code == "busy"
    elsewhere = Asked(works, other)
    [request] = await asked_of(quiet)
    await quiet.says(wire.Response(request.request_id, ok=True))
    assert isinstance(await elsewhere.is_told(), AgentAnswered)
    await far.says(wire.Response(requests[3].request_id, ok=True))
    await until(lambda: sum(who.answer is not None for who in crowd) == 1)
    Asked(works, host)
    await asked_of(far, QUESTIONS_OF_A_HOST + 1)


@pytest.mark.parametrize("times", [1000])
async def test_asking_and_leaving_fills_no_mailbox_of_an_actor_that_is_busy(
    works: Works, mock_clock: MockClock, times: int
) -> None:
    host, _ = await here(works)  # no actor takes anything out of its mailbox
    for _ in range(times):
        with trio.move_on_after(0):
            await works.questions.ask(host, "browse", {})
    assert len(works.directory.mailbox_of(host)) == 2 * QUESTIONS_OF_A_HOST
    start_fleet(works)
    await until(lambda: len(works.questions) == 0)
