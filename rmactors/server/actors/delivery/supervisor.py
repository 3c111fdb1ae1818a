"""The post: one delivery actor for each enabled channel.

Owns      which channels have an actor, and what wakes them.
Receives  wake-ups: these channels have something to send; the list of channels changed.
Sends     wake-ups.
Restart   all delivery actors start again and sweep.

A channel that changed gets a new actor when the sends in progress of the old one have ended, so that nothing is
lost or sent twice by the change. So does one that was disabled and enabled again at once. Where the old one still
awaits the answer of a slow receiver, that message's alerts alone wait for it.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import trio

from rmactors.common.logs import fields
from rmactors.server.actors.delivery import actor as delivery
from rmactors.server.channels.base import Channel
from rmactors.server.config.secrets import SecretError
from rmactors.server.runtime.mailbox import Signal
from rmactors.server.runtime.supervision import ActorStatus, Budget, Children
from rmactors.server.state.delivery import ChannelFacts, Delivery
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.load_channels import load_channels
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

AGAIN_SECONDS = 1.0
"""Pause after the list of channels could not be read."""
UNUSABLE_SECONDS = 60.0
"""Pause after a channel's settings could not be used: its key file may be back, unless the channel is saved before."""
LEAVE_SECONDS = 2.0
"""At the end of the process, sends in progress get so long to finish: what is cut off is sent again after the start."""


@dataclass(slots=True)
class ChannelWakeups:
    """What others ask of the supervisor and of its actors. Never waits. `actors`: the newest of each channel."""

    signal: Signal = field(default_factory=Signal)
    list_changed: bool = True
    actors: dict[str, delivery.Wakeup] = field(default_factory=dict)
    _later: set[str] = field(default_factory=set)
    """Channels with something new, since the list changed: for the actors that there are then."""
    _settled: bool = False

    def wake(self, channels: set[str], list_changed: bool, deliveries: Mapping[str, Sequence[Delivery]]) -> None:
        """These channels have something to read, or were just queued this. One that has no actor sweeps once it has
        one."""
        if list_changed:
            self.list_changed, self._settled = True, False
            self.signal.set()
        if not self._settled:
            self._later |= channels | deliveries.keys()
            return
        for channel_id in self.actors.keys() & channels:
            self.actors[channel_id].wake()
        for channel_id in self.actors.keys() & deliveries.keys():
            self.actors[channel_id].hand_over(deliveries[channel_id])

    def settled(self) -> None:
        """The actors are those of the list, unless it has changed again."""
        if self.list_changed:
            return
        self._settled = True
        later, self._later = self._later, set()
        self.wake(later, False, {})


@dataclass(frozen=True, slots=True)
class _Running:
    """One actor, also while it lets its last sends finish."""

    facts: ChannelFacts
    wakeup: delivery.Wakeup

    def is_for(self, facts: ChannelFacts) -> bool:
        return not self.wakeup.stopping and self.facts.updated_at == facts.updated_at


async def run(
    wakeups: ChannelWakeups,
    make_channel: Callable[[ChannelFacts], Channel],
    ports: delivery.DeliveryPorts,
    budget: Budget,
    status: ActorStatus,
    closing: trio.Event,
) -> None:
    """Keep one delivery actor going for each enabled channel, until `closing`."""
    wakeups.actors.clear()
    wakeups.wake(set(), True, {})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_wake_when, closing, wakeups)
        children: Children[_Running] = Children("delivery", budget, status, nursery)

        def start(facts: ChannelFacts) -> None:
            wakeup, before = delivery.Wakeup(Signal()), children.running.get(facts.id)
            if before is not None:
                before.wakeup.stop()
                wakeup.follow(before.wakeup)
            after = before.wakeup.left if before is not None else None
            deliver = partial(_deliver, facts, wakeup, after, make_channel, ports, status)
            wakeups.actors[facts.id] = wakeup

            def ended() -> None:
                wakeup.left.set()
                if wakeups.actors.get(facts.id) is wakeup:
                    del wakeups.actors[facts.id]

            children.start(facts.id, _Running(facts, wakeup), deliver, ended=ended)

        while not closing.is_set():
            if wakeups.list_changed:
                wakeups.list_changed = False
                enabled = await _load_enabled(ports.reader)
                for channel_id in children.running.keys() - enabled.keys():
                    children.running[channel_id].wakeup.stop()
                for facts in enabled.values():
                    before = children.running.get(facts.id)
                    if before is None or not before.is_for(facts):
                        start(facts)
                wakeups.settled()
            await wakeups.signal.wait()
        for running in children.running.values():
            running.wakeup.stop()
        nursery.cancel_scope.deadline = trio.current_time() + LEAVE_SECONDS


async def _wake_when(closing: trio.Event, wakeups: ChannelWakeups) -> None:
    await closing.wait()
    wakeups.signal.set()


async def _load_enabled(reader: Reader) -> dict[str, ChannelFacts]:
    while True:
        try:
            return {facts.id: facts for facts in await reader.run(load_channels)}
        except DatabaseError as error:
            _log.warning("cannot read the list of channels: %s", error)
            await trio.sleep(AGAIN_SECONDS)


async def _deliver(
    facts: ChannelFacts,
    wakeup: delivery.Wakeup,
    after: trio.Event | None,
    make_channel: Callable[[ChannelFacts], Channel],
    ports: delivery.DeliveryPorts,
    status: ActorStatus,
) -> None:
    """Run the channel's actor until it is to stop. `after`: when the channel's actor before this one has left."""
    if after is not None:
        await after.wait()
    name = f"delivery:{facts.id}"  # by id: names need not be unique, and /healthz shows this to all
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
