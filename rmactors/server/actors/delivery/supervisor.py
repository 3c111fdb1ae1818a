"""The post: one delivery actor for each enabled channel.

Owns      which channels have an actor, and what wakes them.
Receives  wake-ups: these channels have something to send; the list of channels changed.
Sends     wake-ups.
Restart   all delivery actors start anew and sweep.

A channel that changed gets a new actor when the sends under way of the old one have ended, so that nothing is
lost or sent twice by the change. So does one that was disabled and enabled again at once. Where the old one still
awaits the answer of a slow receiver, that message's alerts alone wait for it.
"""

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from rmactors.common.logs import fields
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.channels.base import Channel
from rmactors.server.config.secrets import SecretError
from rmactors.server.runtime.mailbox import Signal
from rmactors.server.runtime.supervision import ActorStatus, Budget, supervise
from rmactors.server.state.delivery import ChannelFacts
from rmactors.server.store.load_channels import load_channels

_log = logging.getLogger(__name__)

DELIVERY_BUDGET = Budget(restarts=10, seconds=60)
AGAIN_SECONDS = 1.0
"""Pause after the list of channels could not be read."""
UNUSABLE_SECONDS = 60.0
"""Pause after a channel's settings could not be used: its key file may be back, if nobody saves the channel before."""
LEAVE_SECONDS = 2.0
"""At the end of the process, sends under way get so long to finish: what is cut off is sent again after the start."""


@dataclass(slots=True)
class ChannelWakeups:
    """Where others leave word for the post. Never waits."""

    signal: Signal = field(default_factory=Signal)
    list_changed: bool = True
    channels: set[str] = field(default_factory=set)

    def wake(self, channels: set[str], list_changed: bool) -> None:
        if channels or list_changed:
            self.channels |= channels
            self.list_changed |= list_changed
            self.signal.set()


@dataclass(slots=True)
class _Running:
    """One actor, also while it lets its last sends finish. `leaving`: nobody's any more, but not gone yet."""

    facts: ChannelFacts
    wakeup: delivery.Wakeup = field(default_factory=lambda: delivery.Wakeup(Signal()))
    leaving: bool = False

    def leave(self) -> None:
        self.leaving = True
        self.wakeup.stop()


async def run(
    wakeups: ChannelWakeups,
    make_channel: Callable[[ChannelFacts], Channel],
    ports: delivery.DeliveryPorts,
    status: ActorStatus,
    closing: trio.Event,
) -> None:
    """Keep one delivery actor going for each enabled channel, until `closing`."""
    running: dict[str, _Running] = {}
    wakeups.list_changed = True

    async def one(facts: ChannelFacts, mine: _Running, before: _Running | None) -> None:
        if before is not None:
            before.leave()
            mine.wakeup.follow(before.wakeup)
            await before.wakeup.left.wait()
        try:
            # By id: names need not be unique, and /healthz shows this to anybody.
            name = f"delivery:{facts.id}"
            await supervise(name, lambda: deliver(name, facts, mine.wakeup), DELIVERY_BUDGET, status)
        finally:
            mine.wakeup.left.set()
            if running.get(facts.id) is mine:
                del running[facts.id]

    async def deliver(name: str, facts: ChannelFacts, wakeup: delivery.Wakeup) -> None:
        while not wakeup.stopping:
            try:
                channel = make_channel(facts)
            except (SecretError, ValueError, KeyError) as error:
                # What it has queued waits, and the other channels go on: somebody has to look after this one.
                said = fields("channel.unusable", channel_id=facts.id, channel=facts.name)
                _log.error("the settings of this channel cannot be used: %s", error, extra=said)
                status.down[name] = f"the settings of channel {facts.id} cannot be used"
                with trio.move_on_after(UNUSABLE_SECONDS):
                    while not wakeup.stopping:
                        await wakeup.signal.wait()
                status.down.pop(name, None)
            else:
                await delivery.run(facts, channel, wakeup, ports)

    async def enabled() -> dict[str, ChannelFacts]:
        while True:
            try:
                return {facts.id: facts for facts in await ports.reader.run(load_channels)}
            except sqlite3.Error as error:
                _log.warning("cannot read the list of channels: %s", error)
                await trio.sleep(AGAIN_SECONDS)

    async def watch_closing() -> None:
        await closing.wait()
        wakeups.signal.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(watch_closing)
        while not closing.is_set():
            if wakeups.list_changed:
                wakeups.list_changed = False
                found = await enabled()
                for channel_id in running.keys() - found.keys():
                    running[channel_id].leave()
                for facts in found.values():
                    before = running.get(facts.id)
                    if before is None or before.leaving or before.facts.updated_at != facts.updated_at:
                        mine = running[facts.id] = _Running(facts)
                        nursery.start_soon(one, facts, mine, before)
            woken, wakeups.channels = wakeups.channels, set()
            for channel_id in woken & running.keys():
                running[channel_id].wakeup.wake()
            await wakeups.signal.wait()
        for left in running.values():
            left.wakeup.stop()
        nursery.cancel_scope.deadline = trio.current_time() + LEAVE_SECONDS
