"""A channel's queue, what waits in it and what receivers answer. Jitter always takes the longer pause."""

from dataclasses import replace

from rmactors.common.clock import DAY, MINUTE
from rmactors.server.actors.delivery.queue import Parcel, Queue, Settlement
from rmactors.server.messages.notifications import Attempt
from rmactors.server.state.delivery import Item

OK = Attempt("delivered", 204, 1.0)
AGAIN = Attempt("retry", 503, 1.0, "unavailable")
NEVER = Attempt("dead", 400, 1.0, "bad request")
PERHAPS = Attempt("dead", 404, 1.0, "not found", in_doubt=True)


def longest(low: float, high: float) -> float:
    assert low <= high
    return high


def queue(*, takes_resolved: bool = True, failing_since: int | None = None, retry_max: int = DAY) -> Queue:
    return Queue(longest, retry_max, takes_resolved, failing_since)


def item(seq: int, alert: str = "a", event: str = "alert.raised", **changes: object) -> Item:
    made = Item(f"d{seq}", alert, "host", event, seq, "{}", 0, 0, 0, False)
    return replace(made, **changes)  # type: ignore[arg-type]


def failing(*, retry_max: int) -> Queue:
    """A queue of a channel whose probe has just failed."""
    waiting = queue(retry_max=retry_max, failing_since=0)
    waiting.failures = 1
    return waiting


def names(parcel: Parcel | None) -> list[str]:
    return [each.id for each in parcel.items] if parcel is not None else []


def end(waiting: Queue, parcel: Parcel | None, result: Attempt, now: int) -> Settlement:
    assert parcel is not None
    settlement = waiting.settle(parcel, result, now)
    waiting.release(parcel, settlement)
    return settlement


def pick_all(waiting: Queue, now: int) -> list[Parcel]:
    picked = []
    while (parcel := waiting.pick(now)) is not None:
        picked.append(parcel)
    return picked


def grouped(seq: int, alert: str, host: str = "host", **changes: object) -> Item:
    return item(seq, alert, due_at=MINUTE, grouped=True, host_id=host, **changes)
