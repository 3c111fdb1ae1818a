"""`/settings/notifications`: channels, their forms with preview and test, their log."""

from collections.abc import Mapping
from typing import Any

from quart import Blueprint, Response, request

from rmactors.server.channels.base import Kind
from rmactors.server.channels.registry import KINDS
from rmactors.server.store.queries import channels as channel_queries
from rmactors.server.store.queries.channels import ChannelHealth, ChannelRow
from rmactors.server.web import rows
from rmactors.server.web.access import actor, is_fresh, is_htmx, route, services
from rmactors.server.web.auth.proof import CARRIED, seal_form
from rmactors.server.web.channel_config import hidden_config, kind_of, open_config, readable_config
from rmactors.server.web.html import go
from rmactors.server.web.operations import channels
from rmactors.server.web.operations.channels import PreviewAnswer, TestResult
from rmactors.server.web.pages.rendering import field_errors, fragment, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import channel_times
from rmactors.server.web.views import channels as views
from rmactors.server.web.views.subscribing import subscribing
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.times import Moment

blueprint = Blueprint("settings", __name__)

_FIRST_KIND = next(iter(KINDS.values()))
_OFFERED = tuple(kind for kind in KINDS.values() if kind.made_by_hand)
_SHOWN = 200
_LOGGED = 50


@route(blueprint, "/settings", role="viewer")
async def settings() -> Response:
    return go("/settings/notifications")


@route(blueprint, "/settings/notifications", role="viewer")
async def channel_list() -> Response:
    now = moment()
    found = await services().reader.run(channel_queries.channels, now.now, _SHOWN)
    lines = rows.each(found.items, lambda pair: _line(*pair, now), rows.line(views.ChannelLine))
    return await page(
        "settings/notifications.html", "settings", fragments={"channel-list": "settings/channel_list.html"},
        channels=lines, kinds=KINDS.values(), tab="notifications", may_change=actor().may("admin"),
        may_test=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/settings/notifications/new", role="admin")
async def new_channel() -> Response:
    kind = KINDS.get(request.args.get("kind", ""), _FIRST_KIND)
    return await _form(views.new_form(kind), {}, None)


@route(blueprint, "/settings/notifications/new", role="admin", methods=["POST"], fresh=True)
async def create_channel() -> Response:
    """Also the preview, where the form asks for it."""
    form = await request.form
    kind = KINDS.get(form.get("kind", ""))
    if kind is None:
        return await _form(views.new_form(_FIRST_KIND), {"form": _("Choose a kind of channel.")}, None, status=422)
    typed = views.with_preset(kind, form)
    shown = views.typed_form(kind, typed, form.getlist("events"))
    if form.get("preview") or form.get("fill"):
        return await _form(shown, {}, None, preview=await _preview(kind, None, typed))
    try:
        channel_id = await channels.save(None, channels.checked(views.body_of(kind, form, form.getlist("events"))))
    except Problem as problem:
        return await _form(shown, field_errors(problem), None, status=422)
    return go(f"/settings/notifications/{channel_id}/edit?saved=1")


@route(blueprint, "/settings/notifications/preview", role="admin", methods=["POST"])
async def preview_channel() -> Response:
    """What a sample alert would send, of the form as it stands: the part beside the form."""
    form = await request.form
    kind = KINDS.get(form.get("kind", ""), _FIRST_KIND)
    channel_id = form.get("id")
    row = (await channels.require(channel_id))[0] if channel_id else None
    return await fragment("settings/preview.html", preview=await _preview(kind, row, form), readable=views.readable)


@route(blueprint, "/settings/notifications/<channel_id>/edit", role="admin")
async def edit_channel(channel_id: str) -> Response:
    row, health = await channels.require(channel_id)
    told = ""
    if request.args.get("saved") == "1":
        told = _("Saved. Send a test to see that it arrives.") if row.enabled else _("Saved. This channel is off.")
    form = views.stored_form(kind_of(row), row, readable_config(row))
    return await _form(form, {}, row, told=told, line=_line(row, health, moment()))


@route(blueprint, "/settings/notifications/<channel_id>/edit", role="admin", methods=["POST"], fresh=True)
async def change_channel(channel_id: str) -> Response:
    """Where it disables a channel with something queued, a page asks what becomes of that, and sends all that was typed
    again with the answer in its address (`queued`)."""
    row, _health = await channels.require(channel_id)
    form = await request.form
    events = form.getlist("events")
    kind = kind_of(row)
    stored = frozenset(name for name, value in readable_config(row).items() if isinstance(value, dict))
    typed = views.with_preset(kind, form)
    shown = views.typed_form(kind, typed, events, stored)
    if form.get("preview") or form.get("fill"):
        return await _form(shown, {}, row, preview=await _preview(kind, row, typed))
    try:
        queued = request.args.get("queued", "")
        body = channels.checked(views.body_of(kind, form, events), row, to_save=True)
        await channels.save(row, body, "keep" if queued == "keep" else "drop" if queued == "drop" else "ask")
    except Problem as problem:
        if problem.slug == "queued":
            return await _ask_what_becomes_of_the_queue(row, problem)
        return await _form(shown, field_errors(problem), row, status=422)
    return go(f"/settings/notifications/{row.id}/edit?saved=1")


@route(blueprint, "/settings/notifications/<channel_id>/test", role="operator", methods=["POST"])
async def test_channel(channel_id: str) -> Response:
    """One attempt with what is stored: the chip for htmx, else the channel's log with the chip above it."""
    row, _health = await channels.require(channel_id)
    result = await channels.try_now(row)
    if is_htmx():
        return await fragment("fragments/test_result.html", result=result)
    return await _log_page(row.id, result)


@route(blueprint, "/settings/notifications/<channel_id>/log", role="viewer")
async def channel_log(channel_id: str) -> Response:
    return await _log_page(channel_id, None)


@route(blueprint, "/settings/notifications/<channel_id>/dismiss", role="operator", methods=["POST"])
async def dismiss_dead(channel_id: str) -> Response:
    """All that it gave up counts no longer."""
    await channels.require(channel_id)
    await channels.dismiss_dead(channel_id)
    return go(f"/settings/notifications/{channel_id}/log")


@route(blueprint, "/settings/notifications/<channel_id>/delete", role="admin")
async def ask_to_delete(channel_id: str) -> Response:
    row, health = await channels.require(channel_id)
    return await _delete_page(row, health, "")


@route(blueprint, "/settings/notifications/<channel_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_channel(channel_id: str) -> Response:
    """With its name typed (form `confirm`)."""
    row, health = await channels.require(channel_id)
    form = await request.form
    if (form.get("confirm") or "").strip() != row.name.strip():
        return await _delete_page(row, health, _("This is not the channel's name."), status=422)
    await channels.remove(row.id)
    return go("/settings/notifications")


async def _form(
    form: views.ChannelForm, errors: dict[str, str], row: ChannelRow | None, *, status: int = 200,
    preview: PreviewAnswer | str | None = None, told: str = "", line: views.ChannelLine | None = None,
) -> Response:  # fmt: skip
    if preview is None:
        preview = _("When the form is complete, the exact message is shown here.")
        if row is not None and not errors:
            config = open_config(row)
            body = {"kind": row.kind, "name": row.name, "config": config, "default_priority": row.default_priority}
            preview = _preview_of(body, row)
    return await page(
        "settings/channel.html", "settings", status=status, form=form, errors=errors, kinds=_OFFERED,
        events=views.EVENTS, priorities=views.PRIORITIES, channel_id=row.id if row is not None else None,
        channel_name=row.name if row is not None else "", preview=preview, readable=views.readable,
        fills=views.fills, told=told, line=line,
        subscribing=subscribing(form.kind, readable_config(row)) if row is not None else None,
        tab="notifications", password_first=not is_fresh(), groups=channel_times.GROUPS,
        quiet_days=channel_times.DAYS, digests=channel_times.DIGESTS,
    )  # fmt: skip


async def _preview(kind: Kind, row: ChannelRow | None, form: Mapping[str, str]) -> PreviewAnswer | str:
    """What would be sent with what was typed, or what is missing for it."""
    raw: dict[str, Any] = views.body_of(kind, form, (await request.form).getlist("events"))
    raw["name"] = raw["name"] or "preview"
    return _preview_of(raw, row)


def _preview_of(raw: dict[str, Any], row: ChannelRow | None) -> PreviewAnswer | str:
    """Or what is wrong with it. Also with what is stored: where notifications may go is a setting of the server."""
    try:
        return channels.preview_of(channels.checked(raw, row))
    except Problem as problem:
        errors = field_errors(problem)
        return " ".join(dict.fromkeys(errors.values()))


async def _log_page(channel_id: str, result: TestResult | None) -> Response:
    row, health = await channels.require(channel_id)
    read, now = services().reader.run, moment()
    logged = await read(channel_queries.log, row.id, _LOGGED)
    dead = await read(channel_queries.dead_deliveries, row.id)
    alerts = await read(
        channel_queries.alerts_of, [*(each.alert_id for each in logged.items), *(each.alert_id for each in dead)]
    )
    return await page(
        "settings/channel_log.html", "settings", fragments={"channel-log": "settings/log_table.html"},
        channel=_line(row, health, now), log=views.log_lines(logged.items, alerts, now),
        dead=views.dead_lines(dead, alerts, now), result=result, tab="notifications", may_change=actor().may("admin"),
        may_test=actor().may("operator"),
    )  # fmt: skip


async def _delete_page(row: ChannelRow, health: ChannelHealth, error: str, *, status: int = 200) -> Response:
    return await page(
        "settings/channel_delete.html", "settings", status=status, name=row.name, channel_id=row.id, error=error,
        tab="notifications", goes=views.goes_with(health),
    )  # fmt: skip


async def _ask_what_becomes_of_the_queue(row: ChannelRow, problem: Problem) -> Response:
    """The form goes along sealed: there may be secrets in it."""
    number = problem.members.get("queued")
    return await page(
        "settings/channel_off.html", "settings", status=409, name=row.name, channel_id=row.id, tab="notifications",
        sentence=views.what_waits(number if isinstance(number, int) else 0),
        carried_on=CARRIED, carried=seal_form(await request.form, f"/settings/notifications/{row.id}/edit"),
    )  # fmt: skip


def _line(row: ChannelRow, health: ChannelHealth, now: Moment) -> views.ChannelLine:
    return views.line(kind_of(row), row, health, hidden_config(row), now)
