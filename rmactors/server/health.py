"""What `/healthz` says of the server, from what is known of its actors. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

ALWAYS: Final = ("store", "rules", "delivery")
"""Checks that are always named. What is down and belongs to none of them is named beside them."""
STORE_OVERDUE: Final = 30.0
"""Seconds without a commit after which the store counts as stuck: three pulses."""


@dataclass(frozen=True, slots=True)
class Health:
    """`checks` maps `store`, `rules`, `delivery` and whatever else is down to `ok` or to what is wrong."""

    checks: dict[str, str]

    @property
    def ok(self) -> bool:
        return all(state == "ok" for state in self.checks.values())


def health(
    store_failing: str | None,
    since_commit: float,
    since_tick: float,
    tick_seconds: float,
    down: Mapping[str, str],
    check_of: Mapping[str, str],
) -> Health:
    """`down` is what the supervision says: actor → why. `check_of` names an actor's check, by the first part of its
    name: a thousand hosts are one check. Times in seconds."""
    reasons: dict[str, list[str]] = {check: [] for check in ALWAYS}
    if store_failing is not None:
        reasons["store"].append(f"cannot commit: {store_failing}")
    elif since_commit > STORE_OVERDUE:
        reasons["store"].append(f"no commit for {since_commit:.0f} s")
    if since_tick > 3 * tick_seconds + 5:
        reasons["rules"].append(f"no tick for {since_tick:.0f} s")
    crashed: dict[str, list[str]] = {}
    for name, why in down.items():
        actor = name.partition(":")[0]
        crashed.setdefault(check_of.get(actor, actor), []).append(why)
    for check, (first, *others) in crashed.items():
        reasons.setdefault(check, []).append(first + (f" and {len(others)} more" if others else ""))
    return Health({check: "; ".join(why) or "ok" for check, why in reasons.items()})
