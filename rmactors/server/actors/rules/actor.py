"""The rules actor.

Owns      what is remembered of every (host, kind of alert, subject), the schedules, and what is due when.
Receives  `Request`s from host actors, the web part and the ticker; answers of the store.
Sends     `Commit`s to the store; answers to those who asked.
Restart   rebuilds from the store. What was in the mailbox is still there; what was asked before is answered.

It decides nothing: `core` says what is to be done about each message, and this loop does it.
"""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import assert_never

import trio
from msgspec import Struct

from rmactors.server.actors.rules.agenda import Agenda, Presence, Timing
from rmactors.server.actors.rules.core import Core, Find, LookAtChannels, Store
from rmactors.server.actors.rules.hosts import Hosts
from rmactors.server.actors.rules.pipeline import Reload, Respond, Send
from rmactors.server.messages.answers import Answer, Failed
from rmactors.server.messages.reasons import Reason
from rmactors.server.messages.requests import Asked, Request, Tick
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Mailbox, Outlet
from rmactors.server.state.host_state import HostState
from rmactors.server.store.channel_trouble import load_channel_trouble
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.load_rules import load_rules
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

AT_A_STRETCH = 64
"""Messages judged before others run: all reports come through here, and a busy host must not make them all slow."""


class Answered(Struct, frozen=True):
    """The store's answer to a decision. `generation` is the run of this actor that asked."""

    generation: int
    sent: Send
    answer: Answer


@dataclass(slots=True)
class RulesState:
    """What `/healthz` and `/metrics` read of the rules, and what outlives a restart of the actor."""

    ticked_at: float = 0.0
    generation: int = 0
    reloads: int = 0
    decisions: Counter[Reason] = field(default_factory=Counter)
    presence: dict[str, Presence] = field(default_factory=dict)


async def run(
    inbox: Mailbox[Request | Answered], to_store: Outlet[Commit], reader: Reader, timing: Timing, state: RulesState,
    most_open: int = 0,
) -> None:  # fmt: skip
    """Judge what comes. `most_open` is the bound of open alerts of a host; 0: none."""
    state.generation += 1
    core = Core(Hosts(timing.stale_grace_seconds, most_open), Agenda(timing, state.presence), state.decisions)
    actor = _Rules(inbox, to_store, reader, state, core)
    await actor.load()
    state.ticked_at = trio.current_time()
    taken: Request | Answered | None = None
    try:
        while True:
            taken = await inbox.receive(AT_A_STRETCH)
            await actor.take(taken)
            taken = None
    finally:
        unanswered = core.unanswered()
        if isinstance(taken, Asked) and all(taken is not request for request in unanswered):
            unanswered.append(taken)
        for request in unanswered:
            request.reply(Failed("the rules stopped"))


class _Rules(Struct, frozen=True):
    inbox: Mailbox[Request | Answered]
    to_store: Outlet[Commit]
    reader: Reader
    state: RulesState
    core: Core

    async def load(self) -> None:
        """Read every host, once what an earlier run of this actor had sent is on disk, or is known not to be."""
        answered = trio.Event()
        await self.to_store.send(Commit((), lambda _: answered.set()))
        await answered.wait()
        for host in (await self.reader.run(load_rules)).values():
            self.core.loaded(host)

    async def take(self, message: Request | Answered) -> None:
        match message:
            case Answered(generation, sent, answer):
                self.core.answered(sent, answer, late=generation != self.state.generation)
            case Tick():
                self.state.ticked_at = trio.current_time()
                for _ in self.core.tick(message):
                    await self.carry_out()
            case _:
                self.core.take(message)
        await self.carry_out()

    async def carry_out(self) -> None:
        while self.core.effects:
            match effect := self.core.effects.popleft():
                case Send():
                    await self.send(effect)
                case Respond(request, answer):
                    request.reply(answer)
                case Store(writes, reply):
                    await self.to_store.send(Commit(writes, reply))
                case LookAtChannels(tick):
                    if (channels := await self.reader.run_if_readable(load_channel_trouble)) is not None:
                        self.core.channels_seen(channels, tick)
                case Find(host_id, message):
                    await self.read(host_id, partial(self.core.found, message), partial(self.core.unread, message))
                case Reload(host_id):
                    self.state.reloads += 1
                    await self.read(host_id, partial(self.core.reread, host_id), partial(self.core.unreadable, host_id))
                case _:
                    assert_never(effect)

    async def send(self, send: Send) -> None:
        _log.debug("host %s: %s", send.host_id, ", ".join(send.reasons))
        generation = self.state.generation

        def reply(answer: Answer) -> None:
            self.inbox.put_unbounded(Answered(generation, send, answer))

        await self.to_store.send(Commit(send.writes, reply))

    async def read(self, host_id: str, use: Callable[[HostState | None], None], failed: Callable[[str], None]) -> None:
        try:
            use((await self.reader.run(load_rules, host_id)).get(host_id))
        except DatabaseError as error:
            _log.warning("cannot read host %s: %s", host_id, error)
            failed(str(error))
