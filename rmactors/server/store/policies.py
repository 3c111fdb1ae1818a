"""Policies. What they make is in `schedules`."""

import json

from rmactors.server.messages.policies import DeletePolicy, SavePolicy
from rmactors.server.store import audit
from rmactors.server.store.transaction import RefusedWrite, Transaction, handles


@handles
def save_policy(tx: Transaction, write: SavePolicy) -> None:
    name_key = write.name.casefold()
    taken = tx.row(
        "SELECT 1 FROM policies WHERE name_key = ? AND deleted_at IS NULL AND id <> ?", (name_key, write.policy_id)
    )
    if taken is not None:
        raise RefusedWrite("name_taken", f"a policy named {write.name!r} exists already")
    saved = tx.changed(
        "INSERT INTO policies (id, name, name_key, host_tags, kind, cron, on_calendar, every_hours, timezone, enabled,"
        " mode, grace_seconds, max_runtime_seconds, max_age_hours, on_partial, params, spread_minutes, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET name = excluded.name, name_key = excluded.name_key,"
        " host_tags = excluded.host_tags, kind = excluded.kind, cron = excluded.cron,"
        " on_calendar = excluded.on_calendar, every_hours = excluded.every_hours, timezone = excluded.timezone,"
        " enabled = excluded.enabled, mode = excluded.mode, grace_seconds = excluded.grace_seconds,"
        " max_runtime_seconds = excluded.max_runtime_seconds, max_age_hours = excluded.max_age_hours,"
        " on_partial = excluded.on_partial, params = excluded.params, spread_minutes = excluded.spread_minutes"
        " WHERE policies.deleted_at IS NULL",
        (
            write.policy_id, write.name, name_key, json.dumps(write.host_tags), write.kind, write.cron,
            write.on_calendar, write.every_hours, write.timezone, int(write.enabled), write.mode, write.grace_seconds,
            write.max_runtime_seconds, write.max_age_hours, write.on_partial, write.params, write.spread_minutes,
            write.at,
        ),
    )  # fmt: skip
    if not saved:
        raise RefusedWrite("not_found", "there is no such policy")
    audit.append(tx, write.audit)
    _changed(tx, write.policy_id)


@handles
def delete_policy(tx: Transaction, write: DeletePolicy) -> None:
    deleted = tx.changed(
        "UPDATE policies SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL", (write.at, write.policy_id)
    )
    if not deleted:
        raise RefusedWrite("not_found", "there is no such policy")
    audit.append(tx, write.audit)
    _changed(tx, write.policy_id)


def _changed(tx: Transaction, policy_id: str) -> None:
    tx.wake.policies.add(policy_id)
    tx.wake.topics |= {"policies", "hosts"}
