"""How a column is filled for which its table says nothing else."""

from collections.abc import Mapping
from random import Random
from typing import Final

from rmactors.common.vocabulary import ALERTS, JOB_KINDS
from tests.store.asked.pools import (
    ALERT_IDS,
    CHANNELS,
    HOSTS,
    JOBS,
    NAMES,
    PARAMS,
    PLANS,
    REPOSITORIES,
    SCHEDULES,
    STATS,
    TAGS,
    TIMES,
    USERS,
    Make,
    any_of,
)


def number(_lot: Random, number: int) -> int:
    return number + 1


any_time, maybe_time = any_of(*TIMES), any_of(None, *TIMES)
flag, any_name = any_of(0, 1), any_of(*NAMES)
host = any_of(*HOSTS)
small = any_of(0, 1, 2, 7, (1 << 40) + 1)
maybe_text = any_of(None, "", "why", "Größe")
kind, alert_kind = any_of(*JOB_KINDS, "backup", "backup", "backup"), any_of(*ALERTS)
subject = any_of(*SCHEDULES[:20], "", "plan:home", "plan:größe", "plan:", "channel:C1", "channel:C9")
failed = any_of("backup_failed", "backup_failed", "check_failed", "prune_failed", "agent_offline")
status = any_of("queued", "running", "succeeded", "succeeded", "succeeded", "partial", "failed", "cancelled", "skipped")

_COMMON: Final[Mapping[str, Make]] = {
    "host_id": host,
    "name": any_name,
    "kind": kind,
    "plan": any_of(*PLANS),
    "subject": subject,
    "timezone": any_of("UTC", "Europe/Berlin"),
    "enabled": flag,
    "params": any_of(*PARAMS),
    "stats": any_of(*STATS),
    "channel_id": any_of(*CHANNELS),
    "alert_id": any_of(*ALERT_IDS, "A999"),
    "job_id": any_of(*JOBS, "J999"),
    "user_id": any_of(*USERS),
    "repository_id": any_of(*REPOSITORIES),
    "host_tags": any_of("[]", '["prod"]', '["Prod"]'),
    "tags": any_of(*TAGS),
    "role": any_of("viewer", "operator", "admin"),
    "mode": any_of("agent", "external"),
    "on_partial": any_of("alert", "ok"),
    "address": any_of("192.0.2.1", "2001:db8::1"),
    "event": any_of("alert.raised", "alert.resolved", "alert.digest"),
}
"""By the name of a column, in whichever table."""
_FLAGS: Final = {
    "disabled", "second_factor", "given_up", "grouped", "dismissed", "loud", "silenced", "quiet", "ok", "dead",
    "known_partial", "paused",
}  # fmt: skip
_TIMES: Final = {"at", "failing_since", "held_until", "scheduled_for", "spool_problem_since"}


def usual(name: str, kind: str, needed: bool) -> Make:
    """By the column's name, else by its type."""
    if name in _COMMON:
        return _COMMON[name]
    if name in _FLAGS:
        return flag
    if name in _TIMES or name.endswith("_at"):
        return any_time if needed else maybe_time
    match kind:
        case "BIGINT":
            return small if needed else any_of(None, 0, 5)
        case "DOUBLE PRECISION":
            return any_of(0.0, 0.1, 3600.0)
        case _:
            return any_of("", "text", "Größe") if needed else maybe_text
