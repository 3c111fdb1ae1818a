"""`/alerts`: the list under filters that live in the URL, one alert with its timeline, acknowledge and resolve."""

from typing import Any
from urllib.parse import parse_qsl

from quart import Blueprint, Response, request

from rmactors.server.store.queries import alerts as alert_queries
from rmactors.server.store.queries import host_lists
from rmactors.server.store.queries import jobs as job_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.web import rows
from rmactors.server.web.access import actor, is_id, route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.html import go
from rmactors.server.web.operations import alerts, deliveries
from rmactors.server.web.pages.lists import EXPORTED, cursor, followed, sheet
from rmactors.server.web.pages.rendering import back, moment, page, wants_fragment
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import alert_filters, sheets
from rmactors.server.web.views import alerts as views
from rmactors.server.web.views.texts import _
from rmactors.server.web.views.timeline import timeline

blueprint = Blueprint("alerts", __name__)

_PAGE = 100
_MOST_NOTE = 2000
_MOST_AT_ONCE = 500


@route(blueprint, "/alerts", role="viewer")
async def alert_list() -> Response:
    """100 at a time, critical ones first. `status`, `severity`, `kind`, `host`, `tag` and `q` narrow it."""
    asked, now, after = alert_filters.asked(request.args), moment(), cursor((int, int, str))

    bare = wants_fragment("alert-list")  # the filters stay as they are

    def look(db: Any) -> views.AlertList:
        host = host_lists.host_named(db, asked.get("host")) if asked.get("host") else None
        wanted = alert_filters.filter_of(asked, host[0] if host is not None else None)
        found, counts = alert_queries.listed(db, wanted, now.now, _PAGE, after)
        return views.alert_list(
            found.items, counts, asked, now, host=host[1] if host is not None else "",
            tags=[] if bare else queries.tags_in_use(db), cursor=cursor_text(found.after),
        )  # fmt: skip

    view = await services().reader.run(look)
    answer = await page(
        "alerts.html", "alerts", fragments={"alert-list": "alerts/list.html"}, view=view,
        may_act=actor().may("operator"),
    )  # fmt: skip
    return followed(answer, asked)


@route(blueprint, "/alerts.csv", role="viewer")
async def alert_sheet() -> Response:
    """All alerts under the same filters, in the same order; at most 50,000."""
    asked, read = alert_filters.asked(request.args), services().reader.run
    host = await read(host_lists.host_named, asked.get("host")) if asked.get("host") else None
    wanted = alert_filters.filter_of(asked, host[0] if host is not None else None)
    found = (await read(alert_queries.alerts, wanted, EXPORTED)).items

    def instead(row: alert_queries.AlertRow) -> list[str]:
        return [rows.cannot(), *[""] * (len(views.SHEET) - 2), row.id]

    return await sheet("alerts", lambda: sheets.table(views.SHEET, rows.each(found, views.cells, instead)))


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
    selected = [alert_id for alert_id in form.getlist("alert") if is_id(alert_id)][:_MOST_AT_ONCE]

    async def act(row: alert_queries.AlertRow) -> None:
        if acknowledging:
            await alerts.acknowledge(row.id, note)
        else:
            await alerts.resolve(row, note, meant=False)

    await alerts.to_each(selected, act)  # one that is gone or resolved meanwhile is as it was wanted
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
        return go(alert_filters.asked(given).href())
    return await back("/alerts")
