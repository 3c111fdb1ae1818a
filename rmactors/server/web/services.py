"""What the web part may use of the rest. Built by the tree; routes know nothing else of the server."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

import trio

from rmactors.common.vocabulary import LiveRequest
from rmactors.common.wire import JobProgress
from rmactors.server.channels.base import ChannelSpec, Preview
from rmactors.server.config.secrets import SecretBox
from rmactors.server.config.settings import Settings
from rmactors.server.health import Health
from rmactors.server.messages.answers import Answer, Reply
from rmactors.server.messages.live_requests import AgentAway, AskAgent, LiveAnswer
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.messages.requests import Request
from rmactors.server.messages.writes import Write
from rmactors.server.openid.provider import Provider
from rmactors.server.store.reader import Reader
from rmactors.server.web.views.storage import ServerStorage


class AskStore(Protocol):
    async def __call__(self, *writes: Write) -> Answer:
        """Commit the writes together, all or none."""
        ...


class PoliciesSettled(Protocol):
    async def __call__(self, lane_name: Literal["hosts", "policies"], seconds: float) -> bool:
        """Wait until schedules are as the changes of hosts, or of policies, that are committed want them; False if
        that takes longer."""
        ...


class AskRules(Protocol):
    async def __call__(self, request: Callable[[Reply], Request]) -> Answer:
        """Ask for something that touches alerts: `ask_rules(lambda reply: Acknowledge(…, reply))`."""
        ...


async def _nobody_there(host_id: str, kind: LiveRequest, params: Mapping[str, object]) -> LiveAnswer:
    return AgentAway()


async def _nothing_to_wait_for(lane_name: Literal["hosts", "policies"], seconds: float) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the routes use. `now` gives microseconds.

    reader         runs a query on a read-only connection in a thread: `await reader.run(function, *arguments)`
                   calls `function(connection, *arguments)`
    ask_store      commit writes (messages.writes); the answer is never an exception
    ask_rules      acknowledge, resolve, and changes of schedules, silences and the deletion of a host
    box            encrypts and decrypts channel configs
    try_channel    one real attempt, for a test send
    preview        what a notification would look like on a channel
    subscribe      topics as they change (`alerts`, `hosts`, `jobs`, `channels`, `job:<id>` …), coalesced: an async
                   context manager that gives a receive channel of sets of topic names
    progress       how far a running job is, None where nothing is known
    health         what `/healthz` says
    policies_settled   policies have made the schedules that follow from what is committed
    ask_agent      a question to the agent of a host (messages.live_requests)
    provider       the OpenID provider that users sign in through, if the settings name one
    server_storage     how large a PostgreSQL's database is, for the menu
    """

    settings: Settings
    now: Callable[[], int]
    reader: Reader
    ask_store: AskStore
    ask_rules: AskRules
    box: SecretBox
    try_channel: Callable[[ChannelSpec, Notification], Awaitable[Attempt]]
    preview: Callable[[ChannelSpec, Notification], Preview]
    subscribe: Callable[[], AbstractAsyncContextManager["trio.MemoryReceiveChannel[frozenset[str]]"]]
    health: Callable[[], Health]
    progress: Callable[[str], JobProgress | None] = lambda _: None
    ask_agent: AskAgent = _nobody_there
    policies_settled: PoliciesSettled = _nothing_to_wait_for
    provider: Provider | None = None
    server_storage: ServerStorage = field(default_factory=ServerStorage)
