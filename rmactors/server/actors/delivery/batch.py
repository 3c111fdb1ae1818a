"""One message of a channel: what it covers, and what became of it. Pure."""

from dataclasses import dataclass
from typing import Literal

from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Delivery

End = Literal["delivered", "superseded"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One message to send: `main`, and what it covers as well, with how those end when it arrives. `night`: all that
    quiet hours held back, of each alert one or more."""

    main: Delivery
    carried: tuple[tuple[Delivery, End], ...] = ()
    group: bool = False
    night: bool = False

    @property
    def deliveries(self) -> tuple[Delivery, ...]:
        return (self.main, *(delivery for delivery, _ in self.carried))

    @property
    def in_order(self) -> tuple[Delivery, ...]:
        """All that it covers, of each alert in the order in which it happened, the alerts as they are told."""
        alerts = {delivery.alert_id: number for number, delivery in reversed(list(enumerate(self.deliveries)))}
        return tuple(sorted(self.deliveries, key=lambda each: (alerts[each.alert_id], each.seq)))

    @property
    def members(self) -> tuple[Delivery, ...]:
        """Those of a group that it tells: one of each alert."""
        return (self.main, *(delivery for delivery, end in self.carried if end == "delivered"))


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """What becomes of a batch after an attempt. `due_at` is when it is tried again, `at` when the attempt ended,
    `opened` how often its main delivery has opened the breaker."""

    attempt: Attempt
    due_at: int | None
    at: int = 0
    opened: int = 0


def ended_by(batch: Batch, attempt: Attempt) -> tuple[Delivery, ...]:
    """The deliveries that end with this attempt. A resolution that dies takes the raise that it covers along; the
    members of a group whose first message is refused are tried without it."""
    if attempt.verdict == "delivered" or not batch.group:
        return batch.deliveries
    return tuple(delivery for delivery in batch.deliveries if delivery.alert_id == batch.main.alert_id)
