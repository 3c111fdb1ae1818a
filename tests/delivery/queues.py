"""A channel's queue, what waits in it and what receivers answer. Jitter always takes the longer pause."""

from dataclasses import replace

from rmactors.common.clock import DAY, MINUTE
from rmactors.server.actors.delivery.breaker import Breaker
from rmactors.server.actors.delivery.queue import AttemptResult, Batch, DeliveryQueue
from rmactors.server.calendars.quiet_hours import QuietHours
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Delivery

OK = Attempt("delivered", 204, 1.0)
AGAIN = Attempt("retry", 503, 1.0, "unavailable")
NEVER = Attempt("dead", 400, 1.0, "bad request")
PERHAPS = Attempt("dead", 404, 1.0, "not found", in_doubt=True)


def longest(low: float, high: float) -> float:
    assert low <= high
    return high


def queue(
    *,
    takes_resolved: bool = True,
    failing_since: int | None = None,
    retry_max: int = DAY,
    quiet: QuietHours | None = None,
) -> DeliveryQueue:
    return DeliveryQueue(Breaker(longest, failing_since), retry_max, takes_resolved, quiet)


def delivery(seq: int, alert: str = "a", event: str = "alert.raised", **changes: object) -> Delivery:
    made = Delivery(f"d{seq}", alert, "host", event, seq, "{}", 0, 0, 0, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def failing(*, retry_max: int) -> DeliveryQueue:
    """A queue of a channel whose probe has just failed."""
    waiting = queue(retry_max=retry_max, failing_since=0)
    waiting.breaker.failures = 1
    return waiting


def names(batch: Batch | None) -> list[str]:
    return [each.id for each in batch.deliveries] if batch is not None else []


def end(waiting: DeliveryQueue, batch: Batch | None, attempt: Attempt, now: int) -> AttemptResult:
    assert batch is not None
    result = waiting.settle(batch, attempt, now)
    waiting.release(batch, result)
    return result


def pick_all(waiting: DeliveryQueue, now: int) -> list[Batch]:
    picked = []
    while (batch := waiting.pick(now)) is not None:
        picked.append(batch)
    return picked


def grouped(seq: int, alert: str, host: str = "host", **changes: object) -> Delivery:
    return delivery(seq, alert, due_at=MINUTE, grouped=True, host_id=host, **changes)
