"""`/jobs`: what ran, one job with its live log, calling it off."""

from quart import Blueprint, Response, request

from rmactors.common.vocabulary import JOB_KINDS, JOB_STATUSES
from rmactors.server.store.queries import jobs as job_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries import schedules as schedule_queries
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web import rows
from rmactors.server.web.access import actor, is_id, route, services
from rmactors.server.web.cursors import cursor_text
from rmactors.server.web.operations import jobs
from rmactors.server.web.pages.lists import cursor, more_href
from rmactors.server.web.pages.rendering import back, moment, page
from rmactors.server.web.views import jobs as views
from rmactors.server.web.views import words

blueprint = Blueprint("jobs", __name__)

_PAGE = 100
_TAIL, _TAIL_BYTES = 1000, 128 << 10
_MOST, _MOST_BYTES = 30_000, 1 << 20
"""Lines of a log on a page, and as many with `all=1`: as many as fit into so many bytes. The API has the rest."""


@route(blueprint, "/jobs", role="viewer")
async def job_list() -> Response:
    """Newest first; filters `host`, `kind`, `status`."""
    given = request.args
    host = given.get("host") if is_id(given.get("host", "")) else None
    kind = given.get("kind") if given.get("kind") in JOB_KINDS else None
    status = given.get("status") if given.get("status") in JOB_STATUSES else None
    read = services().reader.run
    found = await read(job_queries.jobs, _PAGE, cursor((int, str)), host, kind, status)
    hosts, schedules = await _names(found.items)
    now = moment()
    return await page(
        "jobs.html", "jobs", fragments={"job-list": "jobs/list.html"},
        jobs=rows.each(found.items, lambda job: views.line(job, hosts, schedules, now), rows.line(views.JobLine)),
        more=more_href(cursor_text(found.after)),
        chosen={"host": host or "", "kind": kind or "", "status": status or ""},
        hosts=await read(queries.host_names),
        kinds=[(each, words.kind_name(each)) for each in JOB_KINDS],
        statuses=[(each, words.job_status(each).word) for each in JOB_STATUSES],
    )  # fmt: skip


@route(blueprint, "/jobs/<job_id>", role="viewer")
async def job_detail(job_id: str) -> Response:
    """The last lines of its output, at most a thousand; `all=1` for as many as a page holds."""
    row = await jobs.require(job_id)
    read = services().reader.run
    everything = request.args.get("all") == "1"
    lines, room = (_MOST, _MOST_BYTES) if everything else (_TAIL, _TAIL_BYTES)
    said, cut = await read(queries.tail, row.id, lines, room)
    hosts, schedules = await _names([row])
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


async def _names(jobs: list[JobRow]) -> tuple[dict[str, str], dict[str, str]]:
    read = services().reader.run
    hosts = await read(queries.names_of, sorted({row.host_id for row in jobs}))
    schedules = await read(queries.schedule_names, sorted({row.schedule_id for row in jobs if row.schedule_id}))
    return hosts, schedules
