"""`/jobs/…`: one job with its live log, calling it off."""

from quart import Blueprint, Response, request

from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries import schedules as schedule_queries
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.operations import jobs
from rmactors.server.web.pages.job_lists import names_of
from rmactors.server.web.pages.rendering import back, moment, page
from rmactors.server.web.views import jobs as views

blueprint = Blueprint("jobs", __name__)

_TAIL, _TAIL_BYTES = 1000, 128 << 10
_MOST, _MOST_BYTES = 30_000, 1 << 20
"""Lines of a log on a page, and as many with `all=1`: as many as fit into so many bytes. The API has the rest."""


@route(blueprint, "/jobs/<job_id>", role="viewer")
async def job_detail(job_id: str) -> Response:
    """The last lines of its output, at most a thousand; `all=1` for as many as a page holds."""
    row = await jobs.require(job_id)
    read = services().reader.run
    everything = request.args.get("all") == "1"
    lines, room = (_MOST, _MOST_BYTES) if everything else (_TAIL, _TAIL_BYTES)
    said, cut = await read(queries.tail, row.id, lines, room)
    hosts, schedules = await names_of([row])
    schedule = await read(schedule_queries.schedule, row.schedule_id) if row.schedule_id else None
    mode = schedule.mode if schedule is not None else None
    now = moment()
    points = (
        await read(queries.sizes, row.host_id, "backup", await read(queries.subject_of, row.id))
        if row.kind == "backup"
        else []
    )
    return await page(
        "job.html", "jobs", fragments={"job-detail": "jobs/detail.html"},
        job=views.job_page(row, hosts, schedules, now, mode), log=views.log_text(said), cut=cut, everything=everything,
        plot=views.plot(points, now),
        progress=views.progress(services().progress(row.id)) if row.status == "running" else None,
        may_act=actor().may("operator"),
    )  # fmt: skip


@route(blueprint, "/jobs/<job_id>/cancel", role="operator", methods=["POST"])
async def cancel_job(job_id: str) -> Response:
    row = await jobs.require(job_id)
    await jobs.cancel(row.id)
    return await back(f"/jobs/{row.id}")
