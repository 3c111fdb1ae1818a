"""Schedules of a host: making, changing and deleting one, with when it runs in plain words."""

from collections.abc import Mapping

import msgspec
from quart import Blueprint, Response, request

from rmactors.common.vocabulary import JOB_KINDS
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web.access import route
from rmactors.server.web.html import go
from rmactors.server.web.operations import hosts, policies, schedules
from rmactors.server.web.operations.params import plan_names
from rmactors.server.web.operations.schedules import ScheduleBody, ScheduleChange
from rmactors.server.web.pages import schedule_forms
from rmactors.server.web.pages.rendering import field_errors, fragment, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.validation import convert
from rmactors.server.web.views import restore_tests, words
from rmactors.server.web.views import schedules as views
from rmactors.server.web.views.texts import _

blueprint = Blueprint("schedules", __name__)


@route(blueprint, "/hosts/<host_id>/schedules/new", role="operator")
async def new_schedule(host_id: str) -> Response:
    """`kind` restore_test, and `plan`, say what the form begins with."""
    host = (await hosts.require(host_id)).host
    plans = plan_names(host.plans)
    asked = request.args.get("plan", "")
    begun = restore_tests.NEW_SCHEDULE if request.args.get("kind") == restore_tests.KIND else {}
    plan = asked if asked in plans else plans[0] if len(plans) == 1 else ""
    return await _form(
        host.id, {**schedule_forms.NEW, **begun, "timezone": host.timezone or "UTC", "plan": plan}, {}, None
    )


@route(blueprint, "/hosts/<host_id>/schedules/new", role="operator", methods=["POST"])
async def create_schedule(host_id: str) -> Response:
    host = (await hosts.require(host_id)).host
    form = await request.form
    try:
        await schedules.create(host.id, convert(schedule_forms.body(form), ScheduleBody))
    except Problem as problem:
        return await _form(host.id, schedule_forms.typed(form), field_errors(problem), None, status=422)
    return go(f"/hosts/{host.id}")


@route(blueprint, "/schedules/preview", role="operator")
async def preview() -> Response:
    """When it runs in words, and its next five fires: the part below the fields."""
    given = request.args
    return await fragment("schedules/words.html", cron=views.explained_when(given.get("way", "cron"), given, moment()))


@route(blueprint, "/schedules/<schedule_id>", role="operator")
async def edit_schedule(schedule_id: str) -> Response:
    """One that a policy made has no form, but a link to that."""
    row = await schedules.require(schedule_id)
    if row.policy_id is not None:
        return await _of_policy(row, row.policy_id)
    return await _form(row.host_id, schedule_forms.stored(row), {}, row)


@route(blueprint, "/schedules/<schedule_id>", role="operator", methods=["POST"])
async def change_schedule(schedule_id: str) -> Response:
    row = await schedules.require(schedule_id)
    form = await request.form
    try:
        await schedules.change(row, convert(schedule_forms.body(form), ScheduleChange))
    except Problem as problem:
        return await _form(row.host_id, schedule_forms.typed(form), field_errors(problem), row, status=422)
    return go(f"/hosts/{row.host_id}")


@route(blueprint, "/schedules/<schedule_id>/delete", role="operator", methods=["POST"], fresh=True)
async def delete_schedule(schedule_id: str) -> Response:
    """With its name typed (form `confirm`)."""
    row = await schedules.require(schedule_id)
    if ((await request.form).get("confirm") or "").strip() != row.name.strip():
        errors = {"confirm": _("This is not the schedule's name.")}
        return await _form(row.host_id, schedule_forms.stored(row), errors, row, status=422)
    await schedules.remove(row)
    return go(f"/hosts/{row.host_id}")


async def _of_policy(row: ScheduleRow, policy_id: str) -> Response:
    host, now = (await hosts.require(row.host_id)).host, moment()
    return await page(
        "schedules/of_policy.html", "hosts", host=host, schedule=row, policy=await policies.require(policy_id),
        in_words=views.in_few_words(row.when), fires=views.next_fires(row.when, now) if row.enabled else [],
    )  # fmt: skip


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
