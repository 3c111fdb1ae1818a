"""Looking into snapshots, from the API to the agent's link: the web application around real host actors. The clock is
virtual."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from msgspec import Raw
from quart_trio import QuartTrio
from trio.testing import MockClock

from rmactors.common import clock, ids, wire
from rmactors.server.channels.registry import preview
from rmactors.server.config import tokens
from rmactors.server.config.secrets import SecretBox
from rmactors.server.messages.made_tokens import CreateApiToken
from rmactors.server.messages.notifications import Attempt
from rmactors.server.runtime.mailbox import ask, ask_store
from rmactors.server.web.app import create_app
from rmactors.server.web.services import Health, Services
from tests.actors.works import Agent, Works, agent, enrolled, start_fleet, until
from tests.store.ledger import audit
from tests.web.conftest import CHEAP, settings_for


class Asked:
    """Somebody who browses over the API, and may leave."""

    def __init__(self, works: Works, app: QuartTrio, host: str, token: str) -> None:
        self.status = 0
        self.scope = trio.CancelScope()
        self._app, self._host, self._token = app, host, token
        works.nursery.start_soon(self._ask)

    async def _ask(self) -> None:
        body = json.dumps({"plan": "home", "snapshot": "latest", "path": "/"}).encode()
        headers = {"Authorization": f"Bearer {self._token}"}
        with self.scope:
            path = f"/api/hosts/{self._host}/browse"
            answer = await self._app.test_client().post(path, data=body, headers=headers)
            self.status = answer.status_code

    async def is_told(self) -> int:
        await until(lambda: self.status)
        return self.status


@asynccontextmanager
async def no_topics() -> AsyncIterator[trio.MemoryReceiveChannel[frozenset[str]]]:
    _, receive = trio.open_memory_channel[frozenset[str]](0)
    yield receive


async def no_channel(*_: object) -> Attempt:
    raise AssertionError("no channel is tried here")


@pytest.fixture
async def token() -> str:
    return tokens.make(tokens.API)


@pytest.fixture
async def app(works: Works, tmp_path: Path, token: str) -> QuartTrio:
    settings = settings_for(tmp_path)
    made = CreateApiToken(ids.new(), "ops", "operator", token[:12], tokens.digest(token), clock.now(), None, audit())
    await works.commit(made)
    return create_app(
        Services(
            settings, clock.now, works.reader, partial(ask_store, works.to_store), partial(ask, works.to_rules.send),
            SecretBox.load_or_create(settings.key_file), no_channel, partial(preview, base_url=settings.public_url),
            no_topics, lambda: Health({}), ask_agent=works.questions.ask,
        ),
        passwords=CHEAP,
    )  # fmt: skip


async def greeted(works: Works) -> tuple[str, Agent]:
    host = enrolled(works)
    far = agent(works, host)
    start_fleet(works)
    await far.hello()
    return host, far


async def request_to(far: Agent) -> str:
    await far.until(lambda: bool(far.all(wire.Request)))
    request_id: str = far.all(wire.Request)[-1].request_id
    return request_id


async def test_what_the_agent_answers_is_the_answer(
    works: Works, app: QuartTrio, token: str, mock_clock: MockClock
) -> None:
    host, far = await greeted(works)
    who = Asked(works, app, host, token)
    await far.says(wire.Response(await request_to(far), ok=True, items=Raw(b"[]")))
    assert await who.is_told() == 200


async def test_thirty_seconds_without_an_answer_are_a_504(
    works: Works, app: QuartTrio, token: str, mock_clock: MockClock
) -> None:
    host, far = await greeted(works)
    who = Asked(works, app, host, token)
    request_id = await request_to(far)
    mock_clock.jump(29)
    await trio.testing.wait_all_tasks_blocked(0.01)
    assert who.status == 0
    mock_clock.jump(1)
    assert await who.is_told() == 504
    await far.until(lambda: far.all(wire.CancelRequest) == [wire.CancelRequest(request_id)])


async def test_a_connection_that_breaks_is_a_409(
    works: Works, app: QuartTrio, token: str, mock_clock: MockClock
) -> None:
    host, far = await greeted(works)
    who = Asked(works, app, host, token)
    await request_to(far)
    far.hangs_up()
    assert await who.is_told() == 409


async def test_who_leaves_calls_the_question_off(
    works: Works, app: QuartTrio, token: str, mock_clock: MockClock
) -> None:
    host, far = await greeted(works)
    who = Asked(works, app, host, token)
    request_id = await request_to(far)
    who.scope.cancel()
    await far.until(lambda: far.all(wire.CancelRequest) == [wire.CancelRequest(request_id)])
    await until(lambda: len(works.questions) == 0)
