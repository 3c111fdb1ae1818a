"""The actor of one channel.

Owns      the channel's queue in memory, its breaker, its connection to the receiver.
Receives  a wake-up: something is queued; it sweeps the store, and once at its start.
Sends     the end of each attempt to the store.
Restart   sweeps again. An attempt whose end was not on disk is made again: at least once.

A receiver that has a message and takes minutes to answer is waited for in the background (`Awaited`), also by an actor
that is to stop because its channel changed: the next one starts beside it and leaves that message's alerts alone.

A message that cannot even be made or sent, because of a bug, is dead and says so: visible, and tried again by hand.
"""

import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

import trio

from rmactors.common import clock, ids
from rmactors.common.clock import SECOND
from rmactors.common.logs import fields
from rmactors.server.actors.delivery import notification
from rmactors.server.actors.delivery.backlog import Backlog
from rmactors.server.actors.delivery.batch import AttemptResult, Batch, ended_by
from rmactors.server.actors.delivery.breaker import Breaker
from rmactors.server.actors.delivery.over_hosts import NAMED
from rmactors.server.actors.delivery.queue import CONCURRENT, DeliveryQueue
from rmactors.server.channels.base import Channel
from rmactors.server.messages.answers import Answer, Failed
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.notifications import Attempt
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, Signal, ask_later
from rmactors.server.state.delivery import NONE_OPEN, ChannelFacts, Delivery, OpenAlerts
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.load_channels import load_due, load_open, load_places
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

WINDOW = 5_000
"""Queued deliveries kept in memory, and read from the store at once. The rest of a longer queue waits in the store;
hosts share the memory, see `backlog`."""
SEND_SECONDS = 10.0
"""What a message takes at most until its receiver has it; not what the answer may take after that."""
LEASE_PAUSE = 0.2
AGAIN_SECONDS = 1.0
"""Pause after the store could not be read or written."""


def no_act_link(channel_id: str, alert_id: str, at: int) -> str:
    """For a server that gives out none."""
    return ""


def always(seconds: float) -> bool:
    """For a server that is alone."""
    return True


@dataclass(frozen=True, slots=True)
class DeliveryPorts:
    """Whom a delivery actor talks to. `retry_max` in microseconds; `base_url` without a slash at the end.

    `act_link` gives the link with which an alert is acted on from a message: of a channel and an alert, by their ids,
    and when the event was. It never raises; empty: there is none. `outlasts`: whether this server may send for so many
    seconds, because no other takes over meanwhile.
    """

    to_store: Outlet[Commit]
    reader: Reader
    retry_max: int
    base_url: str
    act_link: Callable[[str, str, int], str] = no_act_link
    outlasts: Callable[[float], bool] = always


@dataclass(slots=True)
class Awaited:
    """Alerts of one channel with a message that its receiver has and has not answered yet, and whose that is.

    The actors of a channel that follow one another share it. `newest` is the one that sends what comes.
    """

    newest: "Wakeup"
    of: dict[str, "Wakeup"] = field(default_factory=dict)

    def of_others(self, wakeup: "Wakeup") -> frozenset[str]:
        """Alerts for which actors other than this one wait."""
        return frozenset(alert_id for alert_id, whose in self.of.items() if whose is not wakeup)

    def elsewhere(self, alert_id: str, wakeup: "Wakeup") -> bool:
        """Whether an actor other than this one waits."""
        return self.of.get(alert_id, wakeup) is not wakeup

    def free(self, alert_ids: Iterable[str]) -> None:
        """The answers are there and on disk, or they are not awaited any more."""
        for alert_id in alert_ids:
            self.of.pop(alert_id, None)
        self.newest.signal.set()


@dataclass(slots=True)
class Wakeup:
    """Wakes a delivery actor, or hands over what is new; `stopping` asks it to let what is in flight finish and return.
    `left`: it has done so, but for answers that are awaited."""

    signal: Signal
    sweep: bool = True
    handed: list[Delivery] = field(default_factory=list)
    """What was queued since the store was read last, in the order of the commits."""
    stopping: bool = False
    left: trio.Event = field(default_factory=trio.Event)
    awaited: Awaited = field(init=False)

    def __post_init__(self) -> None:
        self.awaited = Awaited(self)

    def follow(self, before: "Wakeup") -> None:
        """It wakes the actor that comes after another one."""
        self.awaited = before.awaited
        self.awaited.newest = self

    def wake(self) -> None:
        self.sweep = True
        self.signal.set()

    def hand_over(self, deliveries: Sequence[Delivery]) -> None:
        """These are new in the store. Where it is to be read anyway, or where there are too many, they are read."""
        if self.sweep or len(self.handed) + len(deliveries) > WINDOW:
            self.handed.clear()
            self.sweep = True
        else:
            self.handed += deliveries
        self.signal.set()

    def stop(self) -> None:
        self.stopping = True
        self.signal.set()


async def run(facts: ChannelFacts, channel: Channel, wakeup: Wakeup, ports: DeliveryPorts) -> None:
    """Send what is queued on this channel until asked to stop."""
    actor = _Sender(facts, channel, wakeup, ports)
    wakeup.sweep = True
    try:
        async with trio.open_nursery() as sends:
            while True:
                if wakeup.stopping:
                    break
                await actor.sweep()
                for send in actor.due():
                    sends.start_soon(send)
                with trio.move_on_after(actor.patience()):
                    await wakeup.signal.wait()
            while actor.holds_up_others():
                await wakeup.signal.wait()
            wakeup.left.set()
    finally:
        actor.forget_answers()
        with trio.move_on_after(1, shield=True):
            await channel.aclose()


class _Sender:
    def __init__(self, facts: ChannelFacts, channel: Channel, wakeup: Wakeup, ports: DeliveryPorts) -> None:
        self._facts = facts
        self._channel = channel
        self._wakeup = wakeup
        self._ports = ports
        breaker = Breaker(
            random.uniform, facts.failing_since, probe_at=facts.not_before or 0, quiet_until=facts.held_until or 0
        )
        self._queue = DeliveryQueue(breaker, ports.retry_max, "alert.resolved" in facts.events, facts.quiet)
        self._backlog = Backlog(WINDOW, least=CONCURRENT, apart=facts.quiet is not None)
        self._more = False
        self._aside: list[Delivery] = []
        """Of alerts with a message whose answer the actor before this one awaits, in their order."""

    async def sweep(self) -> None:
        """Take what is new, as it was handed over or from the store, a page of it; and what there is room for again."""
        # From before it is read: what an earlier actor is answered meanwhile may still be queued in what is read.
        others = self._wakeup.awaited.of_others(self._wakeup)
        if self._wakeup.sweep or self._more:
            self._wakeup.sweep = False
            self._wakeup.handed.clear()  # on the disk before it is read
            found = await self._read(load_due, self._backlog.seen, WINDOW)
            if found is None:
                return
            self._more = len(found) == WINDOW
            self._take(self._backlog.found(found), others)
        handed, self._wakeup.handed = self._wakeup.handed, []
        if not self._more:  # else something before it is still to be read, and then it is read, too
            fresh = sorted((each for each in handed if each.seq > self._backlog.seen), key=lambda each: each.seq)
            self._take(self._backlog.found(fresh), others)
        wanted = self._backlog.wanted()
        if wanted:
            places = sorted(place for of_host in wanted.values() for place in of_host)
            found = await self._read(load_places, places)
            if found is not None:
                self._backlog.read(wanted, found)
                self._take(found, others)
        await self._look_aside()

    def _take(self, deliveries: Iterable[Delivery], others: frozenset[str]) -> None:
        """These are to be sent; but what an earlier actor may have delivered, only when that is known."""
        aside = others | {delivery.alert_id for delivery in self._aside}
        for delivery in deliveries:
            if delivery.alert_id in aside:
                self._aside.append(delivery)
            else:
                self._queue.add([delivery])

    async def _look_aside(self) -> None:
        """What was put aside and is not awaited any more, as it is in the store now."""
        free = [
            delivery for delivery in self._aside if not self._wakeup.awaited.elsewhere(delivery.alert_id, self._wakeup)
        ]
        found = await self._read(load_places, sorted(delivery.seq for delivery in free)) if free else None
        if found is None:
            return
        known, queued = {delivery.id for delivery in free}, {delivery.id for delivery in found}
        self._aside = [delivery for delivery in self._aside if delivery.id not in known]
        for delivery in free:
            if delivery.id not in queued:
                self._backlog.ended(delivery.host_id, delivery.loud)
        self._queue.add(found)

    async def _read(self, query: Callable[..., list[Delivery]], *about: object) -> list[Delivery] | None:
        """Deliveries of this channel; None if the store cannot be read: then another sweep is due."""
        try:
            return await self._ports.reader.run(query, self._facts.id, *about)
        except DatabaseError as error:
            said = fields("delivery.unreadable", channel_id=self._facts.id, channel=self._facts.name)
            _log.warning("the queue cannot be read: %s", error, extra=said)
            self._wakeup.sweep = True
            return None

    def due(self) -> list[Callable[[], Awaitable[None]]]:
        """What is to be sent or given up now, each as a task to start."""
        now = clock.now()
        tasks: list[Callable[[], Awaitable[None]]] = [
            partial(self._give_up, delivery) for delivery in self._queue.expired(now)
        ]
        while (batch := self._queue.pick(now)) is not None:
            tasks.append(partial(self._send, batch))
        return tasks

    def patience(self) -> float:
        """Seconds to wait for a wake-up."""
        if self._wakeup.sweep:
            return AGAIN_SECONDS
        if self._more:
            return 0.0
        at = self._queue.next_at()
        return float("inf") if at is None else max(0.0, (at - clock.now()) / SECOND)

    def holds_up_others(self) -> bool:
        """Whether anything is in flight but answers that are awaited."""
        return self._queue.places > 0

    def forget_answers(self) -> None:
        """No answer is awaited any more: what is not on disk is sent again, at least once."""
        self._wakeup.awaited.free(
            [alert_id for alert_id, wakeup in self._wakeup.awaited.of.items() if wakeup is self._wakeup]
        )

    async def _send(self, batch: Batch) -> None:
        def overdue() -> None:
            self._queue.set_aside(batch)
            self._wakeup.awaited.of.update({delivery.alert_id: self._wakeup for delivery in batch.deliveries})
            self._wakeup.signal.set()

        try:
            message = notification.of_batch(
                batch,
                self._ports.base_url,
                partial(self._ports.act_link, self._facts.id),
                await self._still_open(batch),
            )
            # Until the lease is renewed, or this server ends.
            while not self._ports.outlasts(SEND_SECONDS):  # noqa: ASYNC110 - a question of time
                await trio.sleep(LEASE_PAUSE)
            attempt = await self._channel.send(message, batch.main.recipients_left, overdue)
        except Exception as error:
            # A bug, and it would come back with every restart: one message must not take all the others along.
            said = fields(
                "delivery.bug", channel_id=self._facts.id, channel=self._facts.name, delivery_id=batch.main.id
            )
            _log.exception("a message cannot be made or sent", extra=said)
            attempt = Attempt("dead", None, 0.0, f"a bug in restic-manager: {type(error).__name__}, see its log")
        result = self._queue.settle(batch, attempt, clock.now())
        if self._queue.next_at() is not None:
            self._wakeup.signal.set()  # its place is free, although its end is not on disk yet
        await self._end(batch, result)

    async def _still_open(self, batch: Batch) -> OpenAlerts:
        """What of the group whose end is told is not resolved; nothing is said of it where it cannot be read."""
        if not batch.group or batch.night or batch.main.event != "alert.resolved":
            return NONE_OPEN
        try:
            key = batch.main.group_key
            return await self._ports.reader.run(load_open, self._facts.id, key, NAMED)
        except DatabaseError:
            return NONE_OPEN

    async def _give_up(self, delivery: Delivery) -> None:
        seconds = self._ports.retry_max / SECOND
        attempt = Attempt("dead", None, 0.0, f"gave up after {seconds:g} s: its channel was failing all the time")
        await self._end(Batch(delivery), AttemptResult(attempt, None))

    async def _end(self, batch: Batch, result: AttemptResult) -> None:
        """Put the end of an attempt on disk, however long that takes: only then may its alert's next message go."""
        ended = () if result.attempt.verdict == "retry" else ended_by(batch, result.attempt)
        ends = {delivery.id for delivery in ended}
        write = SettleAttempt(
            ids.new(), batch.main.id, self._facts.id, batch.main.alert_id, batch.main.event,
            batch.main.attempts + 1, result.attempt, clock.now(), result.due_at,
            tuple((delivery.id, end) for delivery, end in batch.carried if delivery.id in ends),
            self._facts.updated_at,
        )  # fmt: skip

        answer: Answer = Failed("not asked yet")
        while isinstance(answer, Failed):
            answer = await ask_later(self._ports.to_store, write)
            if isinstance(answer, Failed):
                await trio.sleep(AGAIN_SECONDS)
        self._queue.release(batch, result)
        for delivery in ended:
            self._backlog.ended(delivery.host_id, delivery.loud)
        self._wakeup.awaited.free([delivery.alert_id for delivery in batch.deliveries])
        self._wakeup.signal.set()
