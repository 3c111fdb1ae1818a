"""One channel from the outbox to its receiver, under a clock of its own: the real store, the real queue."""

from dataclasses import dataclass, field

from rmactors.common import ids
from rmactors.common.clock import DAY
from rmactors.server.actors.delivery.batch import Batch, ended_by
from rmactors.server.actors.delivery.notification import of_batch
from rmactors.server.actors.delivery.over_hosts import NAMED
from rmactors.server.actors.delivery.queue import DeliveryQueue
from rmactors.server.messages.channels import SettleAttempt
from rmactors.server.messages.notifications import Attempt, Notification
from rmactors.server.store.load_channels import load_due, load_open
from tests.delivery.queues import OK, queue
from tests.store.ledger import NOON, Ledger


@dataclass
class Post:
    """Sends what is due; `messages` is what arrived, and when. `crash_at`: the number of a message after which the
    process is killed, before the end of the attempt is on disk. `answers` are those of the next attempts, then OK."""

    ledger: Ledger
    channel_id: str
    now: int = NOON
    messages: list[tuple[int, Notification]] = field(default_factory=list)
    crash_at: int | None = None
    answers: list[Attempt] = field(default_factory=list)
    _queue: DeliveryQueue = field(default_factory=queue)
    _seen: int = 0
    _attempts: int = 0

    def until(self, at: int) -> None:
        """Let the time pass, and send what is due meanwhile."""
        while True:
            self._sweep()
            while (batch := self._queue.pick(self.now)) is not None:
                self._send(batch)
            next_at = self._queue.next_at()
            if next_at is None or next_at > at:
                self.now = at
                return
            self.now = max(self.now, next_at)

    def told(self, event: str) -> list[Notification]:
        return [told for _, told in self.messages if told.event == f"alert.{event}"]

    def alerts(self, event: str) -> list[str]:
        """Ids of all alerts that the messages of this event are about."""
        return [alert_id for told in self.told(event) for alert_id in self.members(told)]

    def members(self, told: Notification) -> list[str]:
        return [member.alert_id for member in told.group] or [told.alert_id]

    def restart(self) -> None:
        """SIGKILL, and a new start on what is on disk."""
        self._queue, self._seen = queue(), 0

    def begin(self) -> None:
        """The receiver has what is due now, and takes its time to answer."""
        self._sweep()
        while (batch := self._queue.pick(self.now)) is not None:
            self._queue.set_aside(batch)

    def _sweep(self) -> None:
        found = load_due(self.ledger.connection, self.channel_id, self._seen, 10_000)
        if found:
            self._seen = found[-1].seq
            self._queue.add(found)

    def _send(self, batch: Batch) -> None:
        key = batch.main.group_key if batch.group else ""
        still_open = load_open(self.ledger.connection, self.channel_id, key, NAMED)
        told = of_batch(batch, "http://x", still_open=still_open)
        attempt = self.answers.pop(0) if self.answers else OK
        self._attempts += 1
        if attempt is OK:
            self._arrive(told)
        if self._attempts == self.crash_at:
            self.restart()
            self._sweep()
            return
        result = self._queue.settle(batch, attempt, self.now)
        ends = {each.id for each in ended_by(batch, result.attempt)} if result.attempt.verdict != "retry" else set()
        self.ledger.apply(
            SettleAttempt(
                ids.new(), batch.main.id, self.channel_id, batch.main.alert_id, batch.main.event,  # type: ignore[arg-type]
                batch.main.attempts + 1, result.attempt, self.now, result.due_at,
                tuple((each.id, how) for each, how in batch.carried if each.id in ends),
            )
        )  # fmt: skip
        self._queue.release(batch, result)

    def _arrive(self, told: Notification) -> None:
        """A receiver drops an id that it knows: what comes under it must be nothing new."""
        for _, known in self.messages:
            if known.delivery_id == told.delivery_id:
                assert set(self.members(told)) <= set(self.members(known)), "a known id tells something new"
        self.messages.append((self.now, told))

    def is_done(self) -> bool:
        """Nothing is queued any more, however long it is waited."""
        self.until(self.now + DAY)
        return not self.ledger.rows("SELECT 1 FROM deliveries WHERE state = 'queued'")
