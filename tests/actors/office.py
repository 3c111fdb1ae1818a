"""The post actor with its delivery actors, on a real store, and words for what happens to channels and alerts.

Receivers are listeners on loopback. Channels are the real ones; their config is in the open here.
"""

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import trio

from rmactors.common import clock, ids
from rmactors.common.clock import DAY
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.actors.delivery import supervisor as post
from rmactors.server.channels.base import Channel, ChannelSpec
from rmactors.server.channels.net.egress import OutboundPolicy
from rmactors.server.channels.registry import make_channel
from rmactors.server.messages.alerts import AcknowledgeAlert, RaiseAlert, ResolveAlert
from rmactors.server.messages.channels import DeleteChannel
from rmactors.server.runtime.supervision import Budget
from rmactors.server.state.delivery import ChannelFacts
from rmactors.server.store.place import Place
from tests.actors.works import Works, open_works, until
from tests.channels.receivers import Receiver, Request, Script, Stream, replies
from tests.store.ledger import audit, channel

BASE = "https://rm.example.org"
DOWN = replies("503 Service Unavailable")
FINE = replies("204 No Content")


@dataclass
class Office:
    """One post at work on `works`; it may be crashed and started again."""

    works: Works
    trust: ssl.SSLContext
    retry_max: int = DAY
    closing: trio.Event = field(default_factory=trio.Event)
    scope: trio.CancelScope = field(default_factory=trio.CancelScope)
    ended: trio.Event = field(default_factory=trio.Event)

    def start(self) -> None:
        self.closing, self.scope, self.ended = trio.Event(), trio.CancelScope(), trio.Event()
        self.works.nursery.start_soon(self._run)

    async def _run(self) -> None:
        ports = delivery.DeliveryPorts(self.works.to_store, self.works.reader, self.retry_max, BASE)
        try:
            with self.scope:
                await post.run(
                    self.works.channel_wakeups, self._make, ports, Budget(10, 60), self.works.status, self.closing
                )
        finally:
            self.ended.set()

    def _make(self, facts: ChannelFacts) -> Channel:
        spec = ChannelSpec(facts.id, facts.kind, facts.name, json.loads(facts.config), facts.default_priority)
        return make_channel(spec, OutboundPolicy.parse("loopback"), self.trust, BASE)

    async def crash(self) -> None:
        """As SIGKILL does: whatever is in flight is cut off, nothing is written."""
        self.scope.cancel()
        await self.ended.wait()

    # ---- what operators and hosts do

    async def save(self, url: str, channel_id: str | None = None, **changes: Any) -> str:
        """Make a webhook channel, or change one."""
        return await self.save_config({"url": url}, channel_id, **changes)

    async def save_config(self, config: dict[str, Any], channel_id: str | None = None, **changes: Any) -> str:
        made = {"config": json.dumps(config).encode(), "at": clock.now(), "create": channel_id is None, **changes}
        write = channel(channel_id or ids.new(), **made)
        await self.works.commit(write)
        return write.channel_id

    async def delete(self, channel_id: str) -> None:
        await self.works.commit(DeleteChannel(channel_id, clock.now(), audit()))

    async def raise_(self, host_id: str, subject: str) -> str:
        write = raising(host_id, subject)
        await self.works.commit(write)
        return write.alert_id

    async def acknowledge(self, alert_id: str) -> None:
        await self.works.commit(AcknowledgeAlert(alert_id, clock.now(), "anna", None, audit()))

    async def resolve(self, alert_id: str) -> None:
        await self.works.commit(ResolveAlert(alert_id, clock.now(), "rule", None, "it succeeded"))

    # ---- what became of it

    async def until_states(self, *states: str) -> None:
        """Wait until the deliveries, in the order in which they were queued, have come to these states."""
        await until(lambda: self.states() == list(states), lambda: f"to {states}: {self.states()}")

    def states(self) -> list[str]:
        return [state for (state,) in self.works.ledger.rows("SELECT state FROM deliveries ORDER BY created_at, seq")]

    async def until_done(self) -> None:
        """Wait until nothing is queued."""
        await until(lambda: "queued" not in self.states(), lambda: f"to an end: {self.states()}")


def raising(host_id: str, subject: str) -> RaiseAlert:
    return RaiseAlert(ids.new(), host_id, "backup_failed", subject, "warning", f"{subject} failed", clock.now())


@dataclass
class Gate:
    """Answers nobody until it is opened, then everybody, as the script says."""

    script: Script = FINE
    opened: trio.Event = field(default_factory=trio.Event)

    async def __call__(self, stream: Stream, request: Request) -> None:
        await self.opened.wait()
        await self.script(stream, request)


def bodies(receiver: Receiver) -> list[dict[str, Any]]:
    return [json.loads(request.body) for request in receiver.requests]


def told(receiver: Receiver) -> list[tuple[str, str]]:
    """(event, subject) of everything that came, in order."""
    return [(body["event"].removeprefix("alert."), body["subject"]) for body in bodies(receiver)]


async def arrived(receiver: Receiver, count: int) -> None:
    await until(lambda: len(receiver.requests) >= count, lambda: f"to {count} requests: {told(receiver)}")


@asynccontextmanager
async def open_office(place: Place, trust: ssl.SSLContext, **changes: Any) -> AsyncIterator[Office]:
    async with open_works(place) as works:
        office = Office(works, trust, **changes)
        office.start()
        yield office
        office.scope.cancel()
