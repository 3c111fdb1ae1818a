"""`/silences`: holding back notifications for a while, or again and again."""

from collections.abc import Mapping
from typing import Any

from quart import Blueprint, Response, request

from rmactors.common import clock
from rmactors.common.vocabulary import ALERT_KINDS
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries import silences as silence_queries
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go
from rmactors.server.web.operations import silences
from rmactors.server.web.operations.silences import SilenceBody
from rmactors.server.web.pages.rendering import field_errors, moment, page
from rmactors.server.web.problems import Problem, invalid_field
from rmactors.server.web.validation import convert
from rmactors.server.web.views import schedules, words
from rmactors.server.web.views import silences as views
from rmactors.server.web.views.texts import _

blueprint = Blueprint("silences", __name__)

_SHOWN = 200
_NEW = {"how": "once", "hours": "2", "cron": "0 1 * * 0", "duration_minutes": "120"}


@route(blueprint, "/silences", role="viewer")
async def silence_list() -> Response:
    typed = {name: request.args.get(name, "") for name in ("host", "kind", "tag")}
    return await _page({}, typed)


@route(blueprint, "/silences", role="operator", methods=["POST"])
async def create_silence() -> Response:
    """For `hours`, or again and again by `cron` for `duration_minutes`."""
    form = await request.form
    try:
        await silences.create(convert(_body(form), SilenceBody))
    except Problem as problem:
        return await _page(field_errors(problem), dict(form.items()), status=422)
    return go("/silences")


@route(blueprint, "/silences/<silence_id>/delete", role="operator", methods=["POST"], fresh=True)
async def delete_silence(silence_id: str) -> Response:
    """Alerts that are still open and were never sent are sent now."""
    await silences.require(silence_id)
    await silences.remove(silence_id)
    return go("/silences")


def _body(form: Mapping[str, str]) -> dict[str, Any]:
    text = {name: (form.get(name) or "").strip() for name in ("host", "kind", "tag", "reason", "cron", "timezone")}
    body: dict[str, Any] = {"reason": text["reason"]}
    if not text["reason"]:
        raise invalid_field("/reason", _("Give a reason for the others."))
    for name, key in (("host", "host_id"), ("kind", "kind"), ("tag", "tag")):
        if text[name]:
            body[key] = text[name]
    if form.get("how") == "again":
        body["recurrence"] = {
            "cron": text["cron"],
            "timezone": text["timezone"] or "UTC",
            "duration_minutes": _number(form, "duration_minutes"),
        }
    else:
        body["ends_at"] = clock.to_rfc3339(services().now() + clock.seconds(_number(form, "hours") * 3600))
    return body


def _number(form: Mapping[str, str], name: str) -> float:
    try:
        found = float((form.get(name) or "").strip().replace(",", "."))
    except ValueError:
        found = 0.0
    if not 0 < found <= 525_600:
        raise invalid_field(f"/{name}", _("Give a number greater than 0."))
    return found


async def _page(errors: dict[str, str], given: Mapping[str, str], *, status: int = 200) -> Response:
    read, typed = services().reader.run, {**_NEW, "timezone": actor().timezone or "UTC", **given}
    found = await read(silence_queries.silences, _SHOWN)
    hosts = await read(queries.host_names)
    names = {**await read(queries.names_of, [row.host_id for row in found.items if row.host_id]), **dict(hosts)}
    return await page(
        "silences.html", "alerts", status=status, fragments={"silence-list": "silences/list.html"},
        silences=views.lines(found.items, names, moment()), hosts=hosts, tags=await read(queries.tags_in_use),
        kinds=[(kind, words.alert_name(kind)) for kind in ALERT_KINDS], errors=errors, typed=typed,
        may_act=actor().may("operator"), cron=schedules.explained(typed["cron"], typed["timezone"], moment()),
    )  # fmt: skip
