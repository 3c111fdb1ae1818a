"""What the actor that looks after policies compares, and what a page shows of it beforehand. Read-only."""

# ruff: noqa: S608 - what is put into the SQL here are names of columns and question marks; values are always bound

import json
from collections.abc import Collection, Sequence
from typing import Any

from rmactors.server.state.policies import TERMS, Policy, PolicyHost, Snapshot, Standing, Terms
from rmactors.server.store.database import Database, Row
from rmactors.server.store.queries.rows import placeholders

_TERMS = ", ".join(TERMS)
_OF_A_PAUSE = (
    "schedules.policy_id IS NULL AND (schedules.paused = 1 OR schedules.enabled = 1 AND EXISTS"
    " (SELECT 1 FROM hosts WHERE hosts.id = schedules.host_id AND hosts.paused_at IS NOT NULL))"
)
"""Schedules of people that a pause has turned off, or is to turn off."""


def of_hosts(db: Database, host_ids: Collection[str]) -> Snapshot:
    """All policies on these hosts, those of them that are there. At most some thousand."""
    marks, bound = placeholders(host_ids), list(host_ids)
    hosts = _hosts(db, f"id IN ({marks}) ORDER BY id", bound)
    standing = _standing(
        db, f"host_id IN ({marks}) AND (policy_id IS NOT NULL OR {_OF_A_PAUSE}) ORDER BY host_id, id", bound
    )
    return Snapshot(tuple(policies(db)), tuple(hosts), tuple(standing))


def next_hosts(db: Database, after: str, most: int, policy_ids: Collection[str] | None) -> Snapshot:
    """Some of the policies (None: all, and pauses) on the next hosts after the id `after`, at most so many: fewer where
    there are no more."""
    hosts = _hosts(db, "id > ? ORDER BY id LIMIT ?", [after, most])
    if not hosts:
        return Snapshot((), (), ())
    between: list[Any] = [hosts[0].id, hosts[-1].id]
    if policy_ids is None:
        where = f"host_id >= ? AND host_id <= ? AND (policy_id IS NOT NULL OR {_OF_A_PAUSE})"
    else:
        where = f"host_id >= ? AND host_id <= ? AND policy_id IN ({placeholders(policy_ids)})"
        between += policy_ids
    standing = _standing(db, f"{where} ORDER BY host_id, id", between)
    return Snapshot(tuple(policies(db, policy_ids)), tuple(hosts), tuple(standing))


def of_policy(db: Database, policy_id: str) -> tuple[list[PolicyHost], list[Standing]]:
    """Every host by name, and the schedules that the policy has made: for a page that shows them."""
    hosts = _hosts(db, "1 = 1 ORDER BY name_key, id", [])
    return hosts, _standing(db, "policy_id = ? ORDER BY host_id", [policy_id])


def policies(db: Database, only: Collection[str] | None = None) -> list[Policy]:
    """Those that are not deleted, or those of `only`, in the order of their ids."""
    where, bound = "", []
    if only is not None:
        where, bound = f" AND id IN ({placeholders(only)})", list(only)
    rows = db.execute(
        f"SELECT id, host_tags, spread_minutes, {_TERMS} FROM policies WHERE deleted_at IS NULL{where} ORDER BY id",
        bound,
    )
    return [
        Policy(row["id"], frozenset(json.loads(row["host_tags"])), row["spread_minutes"], _terms(row)) for row in rows
    ]


def _hosts(db: Database, where: str, bound: Sequence[Any]) -> list[PolicyHost]:
    """One whose tags cannot be read is left out: nothing is changed there."""
    rows = db.execute(
        f"SELECT id, name, tags, plans, paused_at FROM hosts WHERE deleted_at IS NULL AND json_valid(tags) AND {where}",
        bound,
    )
    return [
        PolicyHost(
            row["id"], row["name"], frozenset(json.loads(row["tags"])), _plan_names(row["plans"]),
            row["paused_at"] is not None,
        )
        for row in rows
    ]  # fmt: skip


def _plan_names(plans: str) -> tuple[str, ...]:
    if plans == "[]":
        return ()
    try:
        return tuple(str(plan["name"]) for plan in json.loads(plans))
    except (ValueError, TypeError, KeyError):
        return ()


def _standing(db: Database, where: str, bound: Sequence[Any]) -> list[Standing]:
    rows = db.execute(
        f"SELECT id, host_id, policy_id, anchor_at, paused, {_TERMS} FROM schedules"
        f" WHERE deleted_at IS NULL AND {where}",
        bound,
    )
    return [
        Standing(
            row["id"], row["host_id"], row["policy_id"], _terms(row), row["anchor_at"], bool(row["paused"])
        )
        for row in rows
    ]  # fmt: skip


def _terms(row: Row) -> Terms:
    return Terms(**{name: row[name] for name in TERMS} | {"enabled": bool(row["enabled"])})
