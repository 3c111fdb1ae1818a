"""`/policies`: schedules by tag. What a change would lead to is shown before it is saved."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from quart import Blueprint, Response, request

from rmactors.common import ids
from rmactors.common.vocabulary import JOB_KINDS
from rmactors.server.store.queries import pages as page_queries
from rmactors.server.store.queries import policies as queries
from rmactors.server.store.queries.policies import PolicyRow
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go, in_thread
from rmactors.server.web.operations import policies
from rmactors.server.web.operations.policies import PolicyBody, PolicyChange
from rmactors.server.web.pages import schedule_forms
from rmactors.server.web.pages.rendering import field_errors, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.validation import convert
from rmactors.server.web.views import policies as views
from rmactors.server.web.views import schedules, words
from rmactors.server.web.views.policies import WouldChange
from rmactors.server.web.views.texts import _

blueprint = Blueprint("policies", __name__)

_SHOWN: Final = 500
_NEW: Final = {**schedule_forms.NEW, "host_tags": "", "spread_minutes": "60"}


@route(blueprint, "/policies", role="viewer")
async def policy_list() -> Response:
    """By name, at most 500."""
    read = services().reader.run
    found, schedules_of = await read(queries.policies, _SHOWN), await read(queries.schedules_by_policy)
    return await page(
        "policies.html", "policies", fragments={"policy-list": "policies/list.html"},
        policies=views.lines(found.items, schedules_of), may_act=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/policies/new", role="operator")
async def new_policy() -> Response:
    """`tag` is what the form begins with."""
    typed = {**_NEW, "timezone": actor().timezone or "UTC", "host_tags": request.args.get("tag", "")}
    return await _form(None, typed, {}, None)


@route(blueprint, "/policies/new", role="operator", methods=["POST"])
async def create_policy() -> Response:
    """Shows first what it would do (and again where what was typed is not what was shown)."""
    form = await request.form
    try:
        body = convert(_body(form), PolicyBody)
        policies.check(body)
        if not _was_shown(form, None):
            return await _form(None, _typed(form), {}, await _preview(ids.new(), body))
        return go(f"/policies/{await policies.create(body)}?saved=1")
    except Problem as problem:
        return await _form(None, _typed(form), field_errors(problem), None, status=422)


@route(blueprint, "/policies/<policy_id>", role="viewer")
async def show_policy(policy_id: str) -> Response:
    row = await policies.require(policy_id)
    now = await policies.now_of(row.id)
    policy, at = policies.as_policy(row.id, policies.body_of(row)), moment()
    view = await in_thread(lambda: views.policy_page(row, policy, now.hosts, now.standing, at))
    return await page(
        "policy.html", "policies", fragments={"policy-detail": "policies/detail.html"}, policy=view,
        saved=request.args.get("saved") == "1", may_act=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/policies/<policy_id>/edit", role="operator")
async def edit_policy(policy_id: str) -> Response:
    row = await policies.require(policy_id)
    return await _form(row, _stored(row), {}, None)


@route(blueprint, "/policies/<policy_id>/edit", role="operator", methods=["POST"])
async def change_policy(policy_id: str) -> Response:
    """Shows first what it would do (and again where what was typed is not what was shown)."""
    row, form = await policies.require(policy_id), await request.form
    try:
        change = convert(_body(form), PolicyChange)
        after = policies.changed(row, change)
        if not _was_shown(form, row):
            return await _form(row, _typed(form), {}, await _preview(row.id, after))
        await policies.change(row, change)
    except Problem as problem:
        return await _form(row, _typed(form), field_errors(problem), None, status=422)
    return go(f"/policies/{row.id}?saved=1")


@route(blueprint, "/policies/<policy_id>/delete", role="operator")
async def ask_to_delete(policy_id: str) -> Response:
    return await _delete_page(await policies.require(policy_id), {})


@route(blueprint, "/policies/<policy_id>/delete", role="operator", methods=["POST"], fresh=True)
async def delete_policy(policy_id: str) -> Response:
    """With its name typed (form `confirm`)."""
    row = await policies.require(policy_id)
    if ((await request.form).get("confirm") or "").strip() != row.name.strip():
        return await _delete_page(row, {"confirm": _("This is not the policy's name.")}, status=422)
    await policies.remove(row.id)
    return go("/policies")


async def _delete_page(row: PolicyRow, errors: dict[str, str], *, status: int = 200) -> Response:
    now, at = await policies.now_of(row.id), moment()
    change = await in_thread(lambda: views.would_change(None, now.hosts, now.standing, at))
    return await page("policies/delete.html", "policies", status=status, policy=row, errors=errors, change=change)


async def _preview(policy_id: str, body: PolicyBody) -> WouldChange:
    now, at = await policies.now_of(policy_id), moment()
    policy = policies.as_policy(policy_id, body)
    return await in_thread(lambda: views.would_change(policy, now.hosts, now.standing, at))


async def _form(
    row: PolicyRow | None, typed: Mapping[str, str], errors: dict[str, str], change: WouldChange | None, *,
    status: int = 200,
) -> Response:  # fmt: skip
    of_params = [text for name, text in errors.items() if name.startswith("params.") and name != "params.plan"]
    errors = {**errors, **({"params": "; ".join(of_params)} if of_params else {})}
    return await page(
        "policies/form.html", "policies", status=status, policy=row, typed=typed, errors=errors, change=change,
        shown=_digest(typed, row) if change is not None else "",
        tags=await services().reader.run(page_queries.tags_in_use),
        kinds=[(kind, words.kind_name(kind)) for kind in JOB_KINDS],
        cron=schedules.explained_when(typed["way"], typed, moment()),
    )  # fmt: skip


def _was_shown(form: Mapping[str, str], row: PolicyRow | None) -> bool:
    """Whether what it leads to was shown for just what is typed now, and for the policy as it is now: somebody else may
    have changed it meanwhile."""
    return form.get("shown") == _digest(_typed(form), row)


def _digest(typed: Mapping[str, str], row: PolicyRow | None) -> str:
    before = sorted(_stored(row).items()) if row is not None else None
    return hashlib.sha256(msgspec.json.encode((sorted(typed.items()), before))).hexdigest()[:32]


def _body(form: Mapping[str, str]) -> dict[str, Any]:
    """What was typed, as the API takes it."""
    tags = dict.fromkeys(tag for part in form.get("host_tags", "").split(",") if (tag := part.strip()))
    minutes, said = (form.get("spread_minutes") or "0").strip(), schedule_forms.body(form)
    if minutes == _NEW["spread_minutes"] and (said["cron"] is None or said["mode"] != "agent"):
        minutes = "0"  # what the form began with, where there is nothing to spread
    return {
        **said,
        "host_tags": list(tags),
        "spread_minutes": int(minutes) if minutes.isdecimal() and len(minutes) < 9 else minutes,
    }


def _typed(form: Mapping[str, str]) -> dict[str, str]:
    return {**schedule_forms.typed(form), **{name: form.get(name, "") for name in ("host_tags", "spread_minutes")}}


def _stored(row: PolicyRow) -> dict[str, str]:
    tags = ", ".join(map(str, msgspec.json.decode(row.host_tags)))
    return {**schedule_forms.stored(row), "host_tags": tags, "spread_minutes": str(row.spread_minutes)}
