"""Short words for policies, hosts and schedules of tests."""

from dataclasses import replace
from typing import Any

from rmactors.server.messages.policies import SavePolicy
from rmactors.server.state.policies import Policy, PolicyHost, Standing, Terms
from tests.store.ledger import NOON, audit

TERMS = Terms("Nightly", "backup", "0 2 * * *", None, None, "UTC", True, "agent", 0.0, 86_400.0, None, "alert", "{}")


def policy(id: str = "p", *tags: str, spread: int = 0, **terms: Any) -> Policy:
    return Policy(id, frozenset(tags or ("db",)), spread, replace(TERMS, **terms))


def host(id: str = "h", *tags: str, plans: tuple[str, ...] = (), paused: bool = False) -> PolicyHost:
    return PolicyHost(id, f"host {id}", frozenset(tags or ("db",)), plans, paused)


def standing(
    id: str = "s", host_id: str = "h", policy_id: str | None = "p", *, anchor_at: int = 5, paused: bool = False,
    **terms: Any,
) -> Standing:  # fmt: skip
    return Standing(id, host_id, policy_id, replace(TERMS, **terms), anchor_at, paused)


def saved(policy_id: str, name: str = "Nightly", tags: tuple[str, ...] = ("db",), **changes: Any) -> SavePolicy:
    """The write that saves a policy."""
    given: dict[str, Any] = {
        "policy_id": policy_id, "name": name, "host_tags": tags, "kind": "backup", "cron": "0 2 * * *",
        "on_calendar": None, "every_hours": None, "timezone": "UTC", "enabled": True, "mode": "agent",
        "grace_seconds": 0.0, "max_runtime_seconds": 86_400.0, "max_age_hours": None, "on_partial": "alert",
        "params": "{}", "spread_minutes": 0, "at": NOON, "audit": audit("policy.save", policy_id), **changes,
    }  # fmt: skip
    return SavePolicy(**given)
