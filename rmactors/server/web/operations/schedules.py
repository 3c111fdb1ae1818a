"""Schedules of a host: checked, saved, deleted."""

from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from rmactors.common import cron, ids
from rmactors.common.vocabulary import DEFAULT_MAX_RUNTIME_SECONDS, JobKind, OnPartial, ScheduleMode
from rmactors.server.calendars import on_calendar
from rmactors.server.messages.audit import Audit
from rmactors.server.messages.requests import Change
from rmactors.server.messages.schedules import DeleteSchedule, SaveSchedule
from rmactors.server.state.slots import TIMING
from rmactors.server.store.queries import policies as policy_queries
from rmactors.server.store.queries import schedules as queries
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.operations import hosts
from rmactors.server.web.operations import params as job_params
from rmactors.server.web.problems import conflict, invalid, invalid_field, not_found, raise_for_answer
from rmactors.server.web.validation import one_line_each

MOST_PARAMS_BYTES = 16_384
Name = Annotated[str, Meta(min_length=1, max_length=100)]
Grace = Annotated[float, Meta(ge=0, le=30 * 86_400)]
Runtime = Annotated[float, Meta(gt=0, le=30 * 86_400)]
Hours = Annotated[float, Meta(gt=0, le=87_600)]
WAYS = ("cron", "on_calendar", "every_hours")
"""How a schedule says when it runs: exactly one of these."""


class ScheduleBody(Struct, forbid_unknown_fields=True):
    """A new schedule, with exactly one of `cron`, `on_calendar` and `every_hours`. Durations in seconds."""

    name: Name
    kind: JobKind
    cron: str | None = None
    on_calendar: str | None = None
    every_hours: Hours | None = None
    timezone: str = "UTC"
    enabled: bool = True
    mode: ScheduleMode = "agent"
    grace_seconds: Grace = 0.0
    max_runtime_seconds: Runtime = DEFAULT_MAX_RUNTIME_SECONDS
    max_age_hours: Hours | None = None
    on_partial: OnPartial = "alert"
    params: dict[str, Any] = {}


class ScheduleChange(Struct, forbid_unknown_fields=True):
    """What is left out stays. One of `cron`, `on_calendar` and `every_hours` takes the place of what stood there."""

    name: Name | UnsetType = UNSET
    kind: JobKind | UnsetType = UNSET
    cron: str | UnsetType | None = UNSET
    on_calendar: str | UnsetType | None = UNSET
    every_hours: Hours | UnsetType | None = UNSET
    timezone: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    mode: ScheduleMode | UnsetType = UNSET
    grace_seconds: Grace | UnsetType = UNSET
    max_runtime_seconds: Runtime | UnsetType = UNSET
    max_age_hours: Hours | UnsetType | None = UNSET
    on_partial: OnPartial | UnsetType = UNSET
    params: dict[str, Any] | UnsetType = UNSET


B = TypeVar("B", bound=ScheduleBody)


async def create(host_id: str, body: ScheduleBody) -> str:
    """The new schedule's id. Raises Problem 404 or 422."""
    check(body)
    await check_job(host_id, body.kind, body.params, by_agent=body.mode == "agent")
    schedule_id, at = ids.new(), services().now()
    record = audit("schedule.create", "schedule", schedule_id, body.name)
    await _save(_write(schedule_id, host_id, body, at, at, record))
    return schedule_id


async def change(row: ScheduleRow, body: ScheduleChange) -> None:
    """Raises Problem 404, 409 or 422."""
    await check_no_policy(row)
    before = body_of(row)
    after = changed(before, body)
    check(after, before)
    # What is stored and not touched may be older than this rule.
    if any(given is not UNSET for given in (body.params, body.kind, body.mode)):
        await check_job(row.host_id, after.kind, after.params, by_agent=after.mode == "agent")
    at = services().now()
    # After a change of what decides about them, slots count from here.
    anchor_at = at if any(getattr(before, name) != getattr(after, name) for name in TIMING) else row.anchor_at
    record = audit("schedule.update", "schedule", row.id, differing(before, after))
    await _save(_write(row.id, row.host_id, after, at, anchor_at, record))


def changed(before: B, body: Struct) -> B:
    """What it says once the fields that are given in a change have taken their place."""
    fields = {name: getattr(body, name) for name in before.__struct_fields__}
    if any(fields[name] not in (UNSET, None) for name in WAYS):  # another way takes the place of the one so far
        fields |= {name: None for name in WAYS if fields[name] is UNSET}
    return msgspec.structs.replace(before, **{name: value for name, value in fields.items() if value is not UNSET})


def differing(before: Struct, after: Struct) -> str:
    """Names of fields, for the audit trail."""
    return ", ".join(name for name in before.__struct_fields__ if getattr(before, name) != getattr(after, name))


async def check_no_policy(row: ScheduleRow) -> None:
    """Raises the 409 for a schedule that a policy made: the next sweep would change it back."""
    if row.policy_id is not None:
        name = await services().reader.run(policy_queries.policy_name, row.policy_id)
        raise conflict(f"This schedule is changed through its policy “{name}”.")


async def remove(row: ScheduleRow) -> None:
    """Raises Problem 404 or 409."""
    await check_no_policy(row)
    write = DeleteSchedule(row.id, services().now(), audit("schedule.delete", "schedule", row.id))
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "schedule")


async def require(schedule_id: str) -> ScheduleRow:
    """The schedule, or the 404."""
    row = await services().reader.run(queries.schedule, schedule_id) if is_id(schedule_id) else None
    if row is None:
        raise not_found("schedule")
    return row


def check(body: ScheduleBody, before: ScheduleBody | None = None) -> None:
    """What the types do not say. Raises the 422. What is so already stays, also where it has come to its end."""
    for name in ("name", "cron", "on_calendar"):
        if before is None or getattr(body, name) != getattr(before, name):
            one_line_each(f"/{name}", (getattr(body, name) or "").replace("\t", " "))  # crontabs have tabs
    check_zone(body.timezone, "/timezone")
    given = [name for name in WAYS if getattr(body, name) is not None]
    if not given:
        raise invalid_field("/cron", "is required, or on_calendar or every_hours instead")
    if len(given) > 1:
        raise invalid_field(f"/{given[1]}", f"cannot be given together with {given[0]}")
    if body.cron is not None:
        check_cron(body.cron, body.timezone, "/cron", "/timezone")
    if body.on_calendar is not None:
        if body.mode != "external":
            raise invalid_field("/on_calendar", "is only for mode external (started by a systemd timer); use cron")
        if before is None or (body.on_calendar, body.timezone) != (before.on_calendar, before.timezone):
            check_on_calendar(body.on_calendar, body.timezone)
    if body.max_age_hours is not None and body.kind != "backup":
        raise invalid_field("/max_age_hours", "is only for backups")
    check_params(body.params)


def check_zone(zone: str, pointer: str) -> None:
    """A zone that exists. Raises the 422."""
    try:
        cron.check_zone(zone)
    except ValueError as error:
        raise invalid_field(pointer, str(error)) from None


def check_on_calendar(expression: str, zone: str) -> None:
    """systemd's syntax, something that fires from now on. Raises the 422."""
    try:
        on_calendar.check(expression, zone, services().now())
    except ValueError as error:
        raise invalid_field("/on_calendar", str(error)) from None


def check_cron(expression: str, zone: str, cron_pointer: str, zone_pointer: str) -> None:
    """Five fields or an alias, something that fires, a zone that exists. Raises the 422."""
    check_zone(zone, zone_pointer)
    try:
        cron.check(expression, zone)
    except ValueError as error:
        raise invalid_field(cron_pointer, str(error)) from None


def check_params(params: dict[str, Any]) -> None:
    """What a job is asked to do: small, and a plan is a name. Raises the 422."""
    if len(msgspec.json.encode(params)) > MOST_PARAMS_BYTES:
        raise invalid_field("/params", f"must be at most {MOST_PARAMS_BYTES} bytes")
    if not isinstance(params.get("plan", ""), str):
        raise invalid_field("/params/plan", "must be the name of a plan")


async def check_job(host_id: str, kind: JobKind, params: dict[str, Any], *, by_agent: bool = True) -> None:
    """What the agent would refuse later: each parameter, and which plan, where the host has several. Raises the 422."""
    if errors := job_params.problems(kind, params):
        raise invalid(errors)
    if by_agent:
        missing = job_params.plan_missing(params, job_params.plan_names((await hosts.require(host_id)).host.plans))
        if missing is not None:
            raise invalid([missing])


def body_of(row: ScheduleRow) -> ScheduleBody:
    """What is stored, as it would be sent."""
    return ScheduleBody(
        row.name, row.kind, row.cron, row.on_calendar, row.every_hours, row.timezone, row.wanted, row.mode,
        row.grace_seconds, row.max_runtime_seconds, row.max_age_hours, row.on_partial, msgspec.json.decode(row.params),
    )  # fmt: skip


def _write(schedule_id: str, host_id: str, body: ScheduleBody, at: int, anchor_at: int, record: Audit) -> SaveSchedule:
    return SaveSchedule(
        schedule_id, host_id, body.name, body.kind, body.cron, body.timezone, body.enabled, body.mode,
        body.grace_seconds, body.max_runtime_seconds, body.on_partial, msgspec.json.encode(body.params).decode(), at,
        anchor_at, record, body.on_calendar, body.every_hours, body.max_age_hours,
    )  # fmt: skip


async def _save(write: SaveSchedule) -> None:
    raise_for_answer(await services().ask_rules(lambda reply: Change(write, reply)), "schedule")
