"""Policies: checked, saved, deleted; what one would change. The schedules follow by themselves."""

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from rmactors.common import cron, ids
from rmactors.server.calendars import spread
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.policies import DeletePolicy, SavePolicy
from rmactors.server.state.policies import Policy, PolicyHost, Standing, Terms
from rmactors.server.store.load_policies import of_policy
from rmactors.server.store.queries import policies as queries
from rmactors.server.store.queries.policies import PolicyRow
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.operations import hosts, schedules
from rmactors.server.web.operations import params as job_params
from rmactors.server.web.operations.schedules import ScheduleBody, ScheduleChange
from rmactors.server.web.problems import invalid, invalid_field, not_found, raise_for_answer

FOLLOW_SECONDS: Final = 30.0
"""An answer waits so long for the schedules that follow from a change. With thousands of hosts the rest comes later."""
Tags = Annotated[list[Annotated[str, Meta(min_length=1, max_length=100)]], Meta(max_length=100)]
Minutes = Annotated[int, Meta(ge=0, le=spread.LONGEST_MINUTES)]


class PolicyBody(ScheduleBody, kw_only=True, forbid_unknown_fields=True):
    """A new policy: a schedule for each host that has any of `host_tags`. `spread_minutes` gives each host its own
    minute in a window of this length, which begins when `cron` says."""

    host_tags: Tags
    spread_minutes: Minutes = 0


class PolicyChange(ScheduleChange, kw_only=True, forbid_unknown_fields=True):
    """What is left out stays. One of `cron`, `on_calendar` and `every_hours` takes the place of what stood there."""

    host_tags: Tags | UnsetType = UNSET
    spread_minutes: Minutes | UnsetType = UNSET


async def create(body: PolicyBody) -> str:
    """The new policy's id, once its schedules are there. Raises Problem 409 or 422."""
    check(body)
    policy_id = ids.new()
    await _save(_write(policy_id, body, services().now(), audit("policy.create", "policy", policy_id, body.name)))
    return policy_id


async def change(row: PolicyRow, body: PolicyChange) -> None:
    """Comes back once its schedules have followed. Raises Problem 404, 409 or 422."""
    after = changed(row, body)
    record = audit("policy.update", "policy", row.id, schedules.differing(body_of(row), after))
    await _save(_write(row.id, after, services().now(), record))


def changed(row: PolicyRow, body: PolicyChange) -> PolicyBody:
    """What it will say. Raises Problem 422."""
    before = body_of(row)
    after = schedules.changed(before, body)
    check(after, before)
    return after


async def remove(policy_id: str) -> None:
    """Comes back once its schedules are deleted. Raises Problem 404."""
    write = DeletePolicy(policy_id, services().now(), audit("policy.delete", "policy", policy_id))
    raise_for_answer(await services().ask_store(write), "policy")
    await services().policies_settled("policies", FOLLOW_SECONDS)


async def require(policy_id: str) -> PolicyRow:
    """The policy, or the 404."""
    row = await services().reader.run(queries.policy, policy_id) if is_id(policy_id) else None
    if row is None:
        raise not_found("policy")
    return row


def check(body: PolicyBody, before: PolicyBody | None = None) -> None:
    """What the types do not say. Raises the 422."""
    if not body.host_tags:
        raise invalid_field("/host_tags", "must name at least one tag: a policy is for the hosts that have any of them")
    if before is None or body.host_tags != before.host_tags:
        hosts.check_tags(body.host_tags, "/host_tags")
    schedules.check(body, before)
    if errors := job_params.problems(body.kind, body.params):
        raise invalid(errors)
    _check_spread(body)


def _check_spread(body: PolicyBody) -> None:
    if not body.spread_minutes:
        return
    if body.mode != "agent":
        raise invalid_field(
            "/spread_minutes",
            "is only for mode agent: what a host starts by itself runs when the host says. Use grace_seconds for its"
            " delay",
        )
    if body.cron is None:
        raise invalid_field("/spread_minutes", "is only for cron: with every_hours each host counts from its own runs")
    most, why = spread.widest(body.cron, body.spread_minutes)
    if most < body.spread_minutes:
        allowed = f"at most {most} minutes" if most > 1 else "not at all"
        raise invalid_field(
            "/spread_minutes", f"{cron.five_fields(body.cron)!r} can be spread over {allowed}: beyond that, {why}"
        )


# ---- what one would change


@dataclass(frozen=True, slots=True)
class Now:
    """Every host by name, and the schedules that the policy has made."""

    hosts: list[PolicyHost]
    standing: list[Standing]


async def now_of(policy_id: str) -> Now:
    return Now(*await services().reader.run(of_policy, policy_id))


def as_policy(policy_id: str, body: PolicyBody) -> Policy:
    """What it says, as what follows from it is found. For a body that `check` takes."""
    fields: dict[str, Any] = {name: getattr(body, name) for name in ScheduleBody.__struct_fields__}
    fields["params"] = msgspec.json.encode(body.params).decode()
    return Policy(policy_id, frozenset(body.host_tags), body.spread_minutes, Terms(**fields))


# ---- inside


def body_of(row: PolicyRow) -> PolicyBody:
    return PolicyBody(
        row.name, row.kind, row.cron, row.on_calendar, row.every_hours, row.timezone, bool(row.enabled), row.mode,
        row.grace_seconds, row.max_runtime_seconds, row.max_age_hours, row.on_partial, msgspec.json.decode(row.params),
        host_tags=json.loads(row.host_tags), spread_minutes=row.spread_minutes,
    )  # fmt: skip


def _write(policy_id: str, body: PolicyBody, at: int, record: Audit) -> SavePolicy:
    return SavePolicy(
        policy_id, body.name, tuple(dict.fromkeys(body.host_tags)), body.kind, body.cron, body.on_calendar,
        body.every_hours, body.timezone, body.enabled, body.mode, body.grace_seconds, body.max_runtime_seconds,
        body.max_age_hours, body.on_partial, msgspec.json.encode(body.params).decode(), body.spread_minutes, at, record,
    )  # fmt: skip


async def _save(write: SavePolicy) -> None:
    raise_for_answer(await services().ask_store(write), "policy")
    await services().policies_settled("policies", FOLLOW_SECONDS)
