"""What `/healthz` says of the server, from what is known of its actors. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ALWAYS: Final = ("store", "rules", "delivery")
"""Checks that are always named. What is down and belongs to none of them is named beside them."""
STORE_OVERDUE: Final = 30.0
"""Seconds without a commit after which the store counts as stuck: three pulses."""
_COUNTS_FOR: Final[Mapping[str, str]] = {
    "pulse": "store", "post": "delivery", "delivery": "delivery", "host": "hosts", "fleet": "hosts",
}  # fmt: skip
"""Actors, by the first part of their name, that have no check of their own name: a thousand hosts are one check."""


@dataclass(frozen=True, slots=True)
class Health:
    """`checks` maps `store`, `rules`, `delivery` and whatever else is down to `ok` or to what is wrong."""

    checks: dict[str, str]

    @property
    def ok(self) -> bool:
        return all(state == "ok" for state in self.checks.values())


def health(
    store_failing: str | None, since_commit: float, since_tick: float, tick_seconds: float, down: Mapping[str, str]
) -> Health:
    """`down` is what the supervision says: actor → why. Times in seconds."""
    checks = dict.fromkeys(ALWAYS, "ok")
    if store_failing is not None:
        checks["store"] = f"cannot commit: {store_failing}"
    elif since_commit > STORE_OVERDUE:
        checks["store"] = f"no commit for {since_commit:.0f} s"
    if since_tick > 3 * tick_seconds + 5:
        checks["rules"] = f"no tick for {since_tick:.0f} s"
    crashed: dict[str, list[str]] = {}
    for name, why in down.items():
        actor = name.partition(":")[0]
        crashed.setdefault(_COUNTS_FOR.get(actor, actor), []).append(why)
    for check, reasons in crashed.items():
        more = f" and {len(reasons) - 1} more" if len(reasons) > 1 else ""
        checks[check] = reasons[0] + more
    return Health(checks)
