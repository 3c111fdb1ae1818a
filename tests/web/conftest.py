"""The web application in this process, around a real database, the real store actor and the real rules actor.

Nothing of our own is replaced. At the outer edge, a channel's one attempt is made by `Postman`, which says what
the test wants, and time is the real clock plus what a test adds to it.

The tests of a module that says `ON_BOTH_ENGINES = True` run on SQLite and on PostgreSQL, others on SQLite alone. With
`RM_WEB_TESTS_ON=postgresql` all run there, but for those that open a site of their own.
"""

import json
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from argon2 import PasswordHasher
from msgspec import Raw
from quart.testing.client import QuartClient
from quart.wrappers import Response
from quart_trio import QuartTrio

from rmactors.common import clock, ids
from rmactors.common.tls import verifying_context
from rmactors.common.vocabulary import ROLES, LiveRequest, Role
from rmactors.server.actors.policies import actor as policies
from rmactors.server.actors.rules import actor as rules
from rmactors.server.actors.rules.agenda import Timing
from rmactors.server.actors.store import actor as store
from rmactors.server.channels.base import ChannelSpec
from rmactors.server.channels.registry import preview
from rmactors.server.config import tokens
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.messages.accounts import CreateUser
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.messages.hosts import RecordHello
from rmactors.server.messages.live_requests import AgentAnswered, AgentAway, LiveAnswer
from rmactors.server.messages.made_tokens import CreateApiToken, CreateEnrollmentToken
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.messages.requests import Request
from rmactors.server.messages.writes import Commit
from rmactors.server.openid.provider import provider_of
from rmactors.server.runtime.mailbox import Mailbox, ask, ask_store
from rmactors.server.store.database import Row
from rmactors.server.store.engines.opening import connect, open_writer
from rmactors.server.store.offline import prepare
from rmactors.server.store.reader import Reader
from rmactors.server.store.transaction import Wakeups
from rmactors.server.web.api.description import describe
from rmactors.server.web.app import create_app
from rmactors.server.web.auth.passwords import Passwords
from rmactors.server.web.services import Health, Services
from tests.actors.works import committed
from tests.databases import ENGINES, PostgresDatabases
from tests.web.described import Description

PASSWORD = "a long enough phrase"
CHEAP = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))


@dataclass
class Clock:
    """The real clock, and what the test added to it."""

    added: int = 0

    def __call__(self) -> int:
        return clock.now() + self.added

    def advance(self, micros: int) -> None:
        self.added += micros


@dataclass
class Postman:
    """Stands for the network: every attempt ends as `answer` says."""

    answer: Attempt = field(default_factory=lambda: Attempt("delivered", 204, 12.5))
    sent: list[tuple[ChannelSpec, Notification]] = field(default_factory=list)

    async def try_channel(self, spec: ChannelSpec, notification: Notification) -> Attempt:
        self.sent.append((spec, notification))
        return self.answer


@dataclass
class FarAgent:
    """Stands for the agents of all hosts: what is asked of them ends as `answer` says."""

    answer: LiveAnswer = field(default_factory=AgentAway)
    asked: list[tuple[str, LiveRequest, Mapping[str, object]]] = field(default_factory=list)

    async def ask(self, host_id: str, kind: LiveRequest, params: Mapping[str, object]) -> LiveAnswer:
        self.asked.append((host_id, kind, params))
        return self.answer

    def answers(self, items: object, next_cursor: str | None = None) -> None:
        self.answer = AgentAnswered(Raw(json.dumps(items).encode()), next_cursor)


@dataclass
class Reply:
    """An answer with its body."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        location: str = self.headers["Location"]
        return location


@dataclass
class Site:
    """The application and what surrounds it."""

    app: QuartTrio
    services: Services
    clock: Clock
    postman: Postman
    health: dict[str, str]
    topics: trio.MemorySendChannel[frozenset[str]]
    agent: FarAgent
    tokens: dict[Role, str] = field(default_factory=dict)

    async def commit(self, *writes: object) -> None:
        await committed(lambda: self.services.ask_store(*writes))

    def sql(self, query: str, *parameters: object) -> list[Row]:
        with closing(connect(self.services.settings.place)) as connection:
            found: list[Row] = connection.execute(query, parameters).fetchall()
            return found

    def all_that_is_stored(self) -> bytes:
        """To look for what must not be there: the files of SQLite, or what every table of PostgreSQL has."""
        place = self.services.settings.place
        if isinstance(place, Path):
            log = place.with_name(f"{place.name}-wal")
            return place.read_bytes() + (log.read_bytes() if log.exists() else b"")
        names = self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        return repr([tuple(row) for (name,) in names for row in self.sql(f"SELECT * FROM {name}")]).encode()

    def audit(self, action: str, target_id: str = "") -> Audit:
        return Audit(self.clock(), "the test", "system", action, "test", target_id)

    async def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        role: Role = "admin",
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> Reply:
        """A request with the API token of `role`. What comes must be as the API's own description says."""
        sent = {"Authorization": f"Bearer {self.tokens[role]}", **(headers or {})}
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        answer = await reply(await self.app.test_client().open(path, method=method, headers=sent, data=data))
        if path.startswith("/api/") and "HX-Request" not in sent:
            content_type = answer.headers.get("Content-Type", "")
            self.description.judge(method, path, data, answer.status, content_type, answer.body)
        return answer

    @cached_property
    def description(self) -> Description:
        return Description(msgspec.json.decode(msgspec.json.encode(describe(self.app))))

    async def get(self, path: str, role: Role = "viewer") -> Any:
        """The JSON at `path`, which must be there."""
        answer = await self.api("GET", path, role=role)
        assert answer.status == 200, answer.body
        return answer.json

    async def post(self, path: str, body: Any = None, role: Role = "admin") -> Any:
        """The JSON that a POST answers, which must go well."""
        answer = await self.api("POST", path, body, role=role)
        assert answer.status in (200, 201, 202), answer.body
        return answer.json

    async def user(self, username: str = "anna", role: Role = "admin", password: str = PASSWORD) -> str:
        user_id = ids.new()
        password_hash = CHEAP.hash_here(password)
        await self.commit(CreateUser(user_id, username, password_hash, role, self.clock(), self.audit("user.create")))
        return user_id

    async def enroll(self, name: str = "nas1", *, hello: bool = True) -> str:
        """A host, as the gateway would enroll it."""
        enrollment_id, host_id, at = ids.new(), ids.new(), self.clock()
        digest = tokens.digest(tokens.make(tokens.ENROLLMENT))
        audit = self.audit("enrollment_token.create", enrollment_id)
        await self.commit(
            CreateEnrollmentToken(enrollment_id, digest, at, at + clock.HOUR, audit),
            EnrollHost(
                enrollment_id, host_id, name, "nas1.lan", "linux", "x86_64", "0.1", tokens.digest(host_id), at, ""
            ),
        )
        if hello:
            await self.commit(
                RecordHello(host_id, at, False, "0.1", "nas1.lan", "linux", "x86_64", "UTC", "0.14.0", "[]")
            )
        return host_id

    def browser(self) -> QuartClient:
        return self.app.test_client()

    async def log_in(self, username: str = "anna", password: str = PASSWORD) -> QuartClient:
        """A browser that signed in."""
        browser = self.browser()
        answer = await browser.post("/login", form={"username": username, "password": password, "next": "/"})
        assert answer.status_code == 303, await answer.get_data(as_text=True)
        return browser


async def reply(response: Response) -> Reply:
    return Reply(response.status_code, response.headers, await response.get_data(as_text=False))


def settings_for(path: Path, **changes: Any) -> Settings:
    return Settings(
        **{"data_dir": str(path), "base_url": "http://localhost:8080", "cookie_secure": False, **changes}  # type: ignore[arg-type]
    )


@asynccontextmanager
async def open_site(settings: Settings) -> AsyncIterator[Site]:
    """A site on an empty data dir, with an API token for each role."""
    place = prepare(settings)
    time, postman, agent, health = Clock(), Postman(), FarAgent(), {"store": "ok", "rules": "ok", "delivery": "ok"}
    to_store: Mailbox[Commit] = Mailbox("store", 100)
    to_rules: Mailbox[Request | rules.Answered] = Mailbox("rules", 100)
    reader = Reader(place)
    send_topics, receive_topics = trio.open_memory_channel[frozenset[str]](100)

    sweeps = policies.PolicySweeps()

    def wake(wakeups: Wakeups) -> None:
        """Nobody else is waiting here."""
        sweeps.wake(wakeups.tagged, wakeups.policies)

    @asynccontextmanager
    async def subscribe() -> AsyncIterator[trio.MemoryReceiveChannel[frozenset[str]]]:
        yield receive_topics

    services = Services(
        settings, time, reader, partial(ask_store, to_store), partial(ask, to_rules.send),
        SecretBox.load_or_create(settings.key_file), postman.try_channel,
        partial(preview, base_url=settings.public_url), subscribe, lambda: Health(dict(health)), ask_agent=agent.ask,
        policies_settled=sweeps.settled,
        provider=provider_of(settings, verifying_context()),
    )  # fmt: skip
    timing = Timing(clock.now(), 0, 300.0)
    with closing(reader):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(store.run, to_store, lambda: open_writer(place), wake, store.StoreState())
            nursery.start_soon(rules.run, to_rules, to_store, reader, timing, rules.RulesState())
            nursery.start_soon(policies.run, to_rules, reader, sweeps)
            site = Site(
                create_app(services, passwords=CHEAP, keep_alive_seconds=0.05), services, time, postman, health,
                send_topics, agent,
            )  # fmt: skip
            for role in ROLES:
                token = tokens.make(tokens.API)
                site.tokens[role] = token
                digest, by = tokens.digest(token), site.audit("x.x")
                await site.commit(CreateApiToken(ids.new(), f"the {role}", role, token[:12], digest, time(), None, by))
            yield site
            nursery.cancel_scope.cancel()


on_sqlite_alone = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For a test that is about SQLite's file."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if any("database_url" in mark.args for mark in metafunc.definition.iter_markers("parametrize")):
        return
    both = getattr(metafunc.module, "ON_BOTH_ENGINES", False)
    engines = ENGINES if both else (os.environ.get("RM_WEB_TESTS_ON", "sqlite"),)
    if "database_url" in metafunc.fixturenames and engines != ("sqlite",):
        metafunc.parametrize("database_url", engines, indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Of a PostgreSQL that the test's site is on; empty for SQLite."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield ""
        return
    databases: PostgresDatabases = request.getfixturevalue("postgres_databases")
    place = databases.new()
    yield place.url
    databases.give_back(place)


@pytest.fixture
async def site(tmp_path: Path, database_url: str) -> AsyncIterator[Site]:
    async with open_site(settings_for(tmp_path / "data", database_url=database_url)) as opened:
        yield opened
