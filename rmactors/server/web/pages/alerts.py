"""`/alerts`: the list under filters that live in the URL, one alert with its timeline, acknowledge and resolve."""

from urllib.parse import parse_qsl

from quart import Blueprint, Response, request

from rmactors.server.store.queries import alerts as alert_queries
from rmactors.server.store.queries import jobs as job_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.web.access import actor, is_id, route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import go
from rmactors.server.web.operations import alerts, deliveries
from rmactors.server.web.pages.lists import cursor
from rmactors.server.web.pages.rendering import back, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import alerts as views
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.timeline import timeline

blueprint = Blueprint("alerts", __name__)

_PAGE = 200
_MOST_NOTE = 2000
_MOST_AT_ONCE = 500


@route(blueprint, "/alerts", role="viewer")
async def alert_list() -> Response:
    """200 at a time."""
    wanted = views.filter_from(request.args)
    now, after = moment(), cursor((int, int, str))
    found, counts = await services().reader.run(alert_queries.listed, wanted, now.now, _PAGE, after)
    hosts = await services().reader.run(queries.host_names)
    view = views.alert_list(found.items, counts, wanted, hosts, now, cursor_text(found.after))
    return await page(
        "alerts.html", "alerts", fragments={"alert-list": "alerts/list.html"}, view=view,
        may_act=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/alerts/<alert_id>", role="viewer")
async def alert_detail(alert_id: str) -> Response:
    row = await alerts.require(alert_id)
    now = moment()
    entries = await services().reader.run(alert_queries.timeline, row.id)
    job = await services().reader.run(job_queries.job, row.job_id) if row.job_id is not None else None
    tail = await services().reader.run(queries.tail, job.id, 30, 16 << 10) if job is not None else ([], False)
    return await page(
        "alert.html", "alerts", fragments={"alert-detail": "alerts/detail.html"}, alert=views.line(row, now),
        timeline=timeline(entries, row, now), job=job, said=tail[0], may_act=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/alerts/<alert_id>/acknowledge", role="operator", methods=["POST"])
async def acknowledge(alert_id: str) -> Response:
    """Back to the same filtered list."""
    note = await _note()
    await alerts.require(alert_id)
    await alerts.acknowledge(alert_id, note)
    return await _back_to_list()


@route(blueprint, "/alerts/<alert_id>/resolve", role="operator", methods=["POST"])
async def resolve(alert_id: str) -> Response:
    """Back to the same filtered list. With `meant` in the form: what looks wrong is as it should be."""
    note, meant = await _note(), bool((await request.form).get("meant"))
    row = await alerts.require(alert_id)
    await alerts.resolve(row, note, meant)
    return await _back_to_list()


@route(blueprint, "/alerts/acknowledge", role="operator", methods=["POST"])
async def acknowledge_selected() -> Response:
    """Those selected (form `alert`, several). One that was resolved meanwhile is passed over."""
    return await _each_selected(acknowledging=True)


@route(blueprint, "/alerts/resolve", role="operator", methods=["POST"])
async def resolve_selected() -> Response:
    """Those selected (form `alert`, several)."""
    return await _each_selected(acknowledging=False)


@route(blueprint, "/deliveries/<delivery_id>/retry", role="operator", methods=["POST"])
async def retry_delivery(delivery_id: str) -> Response:
    """Sends what was given up once more."""
    await deliveries.retry(delivery_id)
    return await back("/alerts")


@route(blueprint, "/deliveries/<delivery_id>/dismiss", role="operator", methods=["POST"])
async def dismiss_delivery(delivery_id: str) -> Response:
    """What was given up counts no longer."""
    await deliveries.dismiss(delivery_id)
    return await back("/alerts")


async def _each_selected(*, acknowledging: bool) -> Response:
    form = await request.form
    note = await _note()
    selected = [alert_id for alert_id in dict.fromkeys(form.getlist("alert")) if is_id(alert_id)][:_MOST_AT_ONCE]
    for alert_id in selected:
        try:
            if acknowledging:
                await alerts.acknowledge(alert_id, note)
            else:
                await alerts.resolve(await alerts.require(alert_id), note, meant=False)
        except Problem as problem:
            if problem.status not in {404, 409}:  # gone or resolved meanwhile: what was wanted is so
                raise
    return await _back_to_list()


async def _note() -> str | None:
    form = await request.form
    note = (form.get("note") or "").strip().replace("\0", "")
    if len(note) > _MOST_NOTE:
        raise Problem(422, _("A note has at most %d characters.") % _MOST_NOTE, "invalid")
    return note or None


async def _back_to_list() -> Response:
    """The list as it was filtered: by the form's `next`, the query string of the request, or where it came from."""
    if request.query_string:
        given = dict(parse_qsl(request.query_string.decode("ascii", "ignore")))
        return go(views.href(views.filter_from(given)))
    return await back("/alerts")
