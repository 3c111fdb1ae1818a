"""`/hosts/…`: adding a host, one host with its schedules and jobs, what an administrator may change."""

import json
from collections.abc import Mapping

from quart import Blueprint, Response, request

from rmactors.common import zones
from rmactors.common.vocabulary import JOB_KINDS, JobKind
from rmactors.server.store.queries import hosts as host_queries
from rmactors.server.store.queries import jobs as job_queries
from rmactors.server.store.queries import pages as queries
from rmactors.server.store.queries import repositories as repository_queries
from rmactors.server.store.queries.hosts import HostView
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.web import rows
from rmactors.server.web.access import actor, route, services
from rmactors.server.web.html import go
from rmactors.server.web.operations import hosts, jobs
from rmactors.server.web.operations.jobs import JobBody
from rmactors.server.web.pages.rendering import field_errors, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import fleet, host, repositories, strips
from rmactors.server.web.views import jobs as job_views
from rmactors.server.web.views.texts import _

blueprint = Blueprint("hosts", __name__)


@route(blueprint, "/hosts/<host_id>", role="viewer")
async def host_detail(host_id: str) -> Response:
    return await _host_page(await hosts.require(host_id), {})


@route(blueprint, "/hosts/<host_id>", role="admin", methods=["POST"])
async def change_host(host_id: str) -> Response:
    """Name and tags (form `name`, `tags` separated by commas)."""
    found = await hosts.require(host_id)
    form = await request.form
    name = (form.get("name") or "").strip()
    typed = form.get("tags") or ""
    # What was not touched stays: a tag from before may have a comma.
    tags = hosts.tags_typed(typed) if typed != ", ".join(fleet.tags(found)) else None
    try:
        if not 1 <= len(name) <= 100:
            raise Problem(422, _("A name has 1 to 100 characters."), "invalid")
        await hosts.change(found.host.id, hosts.checked_name(name), tags)
    except Problem as problem:
        return await _host_page(found, field_errors(problem), status=422)
    return go(f"/hosts/{host_id}")


@route(blueprint, "/hosts/<host_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_host(host_id: str) -> Response:
    """With its name typed (form `confirm`)."""
    found = await hosts.require(host_id)
    form = await request.form
    if (form.get("confirm") or "").strip() != found.host.name:
        return await _host_page(found, {"confirm": _("Type the host's name to delete it.")}, status=422)
    await hosts.remove(found.host.id)
    return go("/hosts")


@route(blueprint, "/hosts/<host_id>/run", role="operator", methods=["POST"])
async def run_now(host_id: str) -> Response:
    """Queues a job (form `schedule`, or `kind` and `plan`), and shows it."""
    found = await hosts.require(host_id)
    form = await request.form
    chosen = next((each for each in found.schedules if each.id == form.get("schedule")), None)
    try:
        job_id = await jobs.queue(found.host.id, _job_body(form, chosen))
    except Problem as problem:
        return await _host_page(found, {"run": " ".join(field_errors(problem).values())}, status=422)
    return go(f"/jobs/{job_id}")


async def _host_page(found: HostView, errors: dict[str, str], *, status: int = 200) -> Response:
    now, host_id = moment(), found.host.id
    read = services().reader.run
    shown = strips.window(now)
    runs = await read(queries.runs_by_day, shown.spans(), [host_id], {each.id: host_id for each in found.schedules})
    recent = await read(job_queries.jobs, 15, None, host_id)
    running = (await read(queries.running_jobs, [host_id])).get(host_id)
    notes = await read(host_queries.notes, host_id, 10)
    many_open = await read(queries.open_of_host, host_id)
    plot_of = host.plotted_subject(found)
    points = await read(queries.sizes, host_id, "backup", plot_of) if plot_of is not None else []
    uses = await read(repository_queries.repositories_of_host, host_id)
    names = await read(queries.schedule_names, [job.schedule_id for job in recent.items if job.schedule_id])
    last_good, silence = points[-1].at if points else None, services().settings.offline_after_seconds
    view = host.host_page(found, runs, notes, running, many_open, last_good, shown, now, silence, zones.version())
    lines = rows.each(
        recent.items,
        lambda job: job_views.line(job, {host_id: found.host.name}, names, now),
        rows.line(job_views.JobLine),
    )
    return await page(
        "host.html", "hosts", status=status, fragments={"host-detail": "hosts/detail.html"}, host=view, jobs=lines,
        plot=job_views.plot(points, now), legend=strips.legend(), errors=errors,
        may_act=actor().may("operator"), may_change=actor().may("admin"),
        repository_of=repositories.by_plan(uses),
    )  # fmt: skip


def _job_body(form: Mapping[str, str], schedule: ScheduleRow | None) -> JobBody:
    """What to run: a schedule now, or a kind of job on a plan."""
    if schedule is not None:
        return JobBody(schedule.kind, schedule.id, json.loads(schedule.params))
    plan = (form.get("plan") or "").strip()
    kind: JobKind = next((kind for kind in JOB_KINDS if kind == form.get("kind")), "backup")
    return JobBody(kind, None, {"plan": plan} if plan else {})
