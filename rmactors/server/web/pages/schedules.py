"""Schedules of a host: making, changing and deleting one, with when it runs in plain words."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from quart import Blueprint, Response, request

from rmactors.common.vocabulary import JOB_KINDS
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web.access import route
from rmactors.server.web.html import go
from rmactors.server.web.operations import hosts, schedules
from rmactors.server.web.operations.params import plan_names
from rmactors.server.web.operations.schedules import ScheduleBody, ScheduleChange
from rmactors.server.web.pages.rendering import field_errors, fragment, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.validation import convert
from rmactors.server.web.views import restore_tests, words
from rmactors.server.web.views import schedules as views
from rmactors.server.web.views.texts import _

blueprint = Blueprint("schedules", __name__)

_NEW = {
    "name": "", "kind": "backup", "way": "cron", "cron": "0 2 * * *", "on_calendar": "", "every_hours": "",
    "timezone": "UTC", "enabled": "1", "mode": "agent", "grace_minutes": "0", "max_runtime_hours": "24",
    "max_age_hours": "", "on_partial": "alert", "plan": "", "params": "{}",
}  # fmt: skip


@route(blueprint, "/hosts/<host_id>/schedules/new", role="operator")
async def new_schedule(host_id: str) -> Response:
    """`kind` restore_test, and `plan`, say what the form begins with."""
    host = (await hosts.require(host_id)).host
    plans = plan_names(host.plans)
    asked = request.args.get("plan", "")
    begun = restore_tests.NEW_SCHEDULE if request.args.get("kind") == restore_tests.KIND else {}
    plan = asked if asked in plans else plans[0] if len(plans) == 1 else ""
    return await _form(host.id, {**_NEW, **begun, "timezone": host.timezone or "UTC", "plan": plan}, {}, None)


@route(blueprint, "/hosts/<host_id>/schedules/new", role="operator", methods=["POST"])
async def create_schedule(host_id: str) -> Response:
    host = (await hosts.require(host_id)).host
    form = await request.form
    try:
        await schedules.create(host.id, convert(_body(form), ScheduleBody))
    except Problem as problem:
        return await _form(host.id, _typed(form), field_errors(problem), None, status=422)
    return go(f"/hosts/{host.id}")


@route(blueprint, "/schedules/preview", role="operator")
async def preview() -> Response:
    """When it runs in words, and its next five fires: the part below the fields."""
    given = request.args
    return await fragment("schedules/words.html", cron=views.explained_when(given.get("way", "cron"), given, moment()))


@route(blueprint, "/schedules/<schedule_id>", role="operator")
async def edit_schedule(schedule_id: str) -> Response:
    row = await schedules.require(schedule_id)
    return await _form(row.host_id, _stored(row), {}, row)


@route(blueprint, "/schedules/<schedule_id>", role="operator", methods=["POST"])
async def change_schedule(schedule_id: str) -> Response:
    row = await schedules.require(schedule_id)
    form = await request.form
    try:
        await schedules.change(row, convert(_body(form), ScheduleChange))
    except Problem as problem:
        return await _form(row.host_id, _typed(form), field_errors(problem), row, status=422)
    return go(f"/hosts/{row.host_id}")


@route(blueprint, "/schedules/<schedule_id>/delete", role="operator", methods=["POST"], fresh=True)
async def delete_schedule(schedule_id: str) -> Response:
    """With its name typed (form `confirm`)."""
    row = await schedules.require(schedule_id)
    if ((await request.form).get("confirm") or "").strip() != row.name.strip():
        errors = {"confirm": _("This is not the schedule's name.")}
        return await _form(row.host_id, _stored(row), errors, row, status=422)
    await schedules.remove(row)
    return go(f"/hosts/{row.host_id}")


async def _form(
    host_id: str, typed: Mapping[str, str], errors: dict[str, str], row: ScheduleRow | None, *, status: int = 200
) -> Response:
    host = (await hosts.require(host_id)).host
    cron = views.explained_when(typed["way"], typed, moment())
    plans = plan_names(host.plans)
    of_params = [text for name, text in errors.items() if name.startswith("params.") and name != "params.plan"]
    errors = {**errors, **({"params": "; ".join(of_params)} if of_params else {})}
    return await page(
        "schedule.html", "hosts", status=status, host=host, typed=typed, errors=errors, plans=plans,
        schedule_id=row.id if row is not None else None, schedule_name=row.name if row is not None else "",
        kinds=[(kind, words.kind_name(kind)) for kind in JOB_KINDS], cron=cron, exec_lines=_exec_lines(row),
    )  # fmt: skip


def _exec_lines(row: ScheduleRow | None) -> views.ExecLines | None:
    """Of what something else starts: how its runs are reported."""
    if row is None or row.mode != "external":
        return None
    plan = msgspec.json.decode(row.params).get("plan", "")
    return views.exec_lines(row.name, row.kind, plan if isinstance(plan, str) else "", row.when)


def _body(form: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the API takes it."""
    try:
        params = msgspec.json.decode(form.get("params") or "{}")
    except msgspec.DecodeError:
        params = {}
    if plan := (form.get("plan") or "").strip():
        params["plan"] = plan
    else:
        params.pop("plan", None)
    return {
        "name": (form.get("name") or "").strip(),
        "kind": form.get("kind", ""),
        **_way(form),
        "timezone": (form.get("timezone") or "UTC").strip(),
        "enabled": form.get("enabled") == "1",
        "mode": form.get("mode", "agent"),
        "grace_seconds": _number(form.get("grace_minutes", ""), 60),
        "max_runtime_seconds": _number(form.get("max_runtime_hours", ""), 3600),
        "max_age_hours": _number(form["max_age_hours"], 1) if form.get("max_age_hours", "").strip() else None,
        "on_partial": form.get("on_partial", "alert"),
        "params": params,
    }


def _way(form: Mapping[str, str]) -> dict[str, Any]:
    """The way that was chosen to say when it runs; what stands in the others' fields does not count."""
    way = form.get("way", "cron")
    text = (form.get(way) or "").strip()
    return {
        name: (_number(text, 1) if name == "every_hours" else text) if name == way else None for name in schedules.WAYS
    }


def _number(text: str, unit: int) -> float | str:
    try:
        return float(text.strip().replace(",", ".") or "0") * unit
    except ValueError:
        return text


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    return {**{name: form.get(name, "") for name in _NEW}, "way": form.get("way", "cron")}


def _stored(row: ScheduleRow) -> dict[str, str]:
    params = json.loads(row.params)
    way = next(name for name in schedules.WAYS if getattr(row, name) is not None)
    return {
        "name": row.name, "kind": row.kind, "way": way, "cron": row.cron or "", "on_calendar": row.on_calendar or "",
        "every_hours": _hours(row.every_hours), "timezone": row.timezone, "enabled": "1" if row.enabled else "",
        "mode": row.mode, "grace_minutes": f"{row.grace_seconds / 60:g}",
        "max_runtime_hours": _hours(row.max_runtime_seconds / 3600), "max_age_hours": _hours(row.max_age_hours),
        "on_partial": row.on_partial,
        "plan": str(params.get("plan", "")), "params": row.params,
    }  # fmt: skip


def _hours(hours: float | None) -> str:
    return "" if hours is None else f"{hours:.10g}"
