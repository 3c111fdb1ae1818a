"""`/hosts/…`: adding a host, one host with its schedules and jobs, what an administrator may change."""

import json
from collections.abc import Mapping

from quart import Blueprint, Response, request

from rmactors.common import zones
from rmactors.common.vocabulary import JOB_KINDS, JobKind
from rmactors.server.store.queries import accounts as account_queries
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
from rmactors.server.web.pages.rendering import field_errors, fragment, moment, page
from rmactors.server.web.problems import Problem
from rmactors.server.web.views import host, people, repositories, strips
from rmactors.server.web.views import jobs as job_views
from rmactors.server.web.views.texts import _

blueprint = Blueprint("hosts", __name__)

_TOKENS_SHOWN = 100


@route(blueprint, "/hosts/new", role="admin")
async def new_host() -> Response:
    """Also which enrollment tokens there are."""
    return await page("host_new.html", "hosts", command=None, error="", seen=None, tokens=await _enrollment_tokens())


@route(blueprint, "/hosts/new", role="admin", methods=["POST"], fresh=True)
async def make_enrollment_token() -> Response:
    """The command to copy, with a token that is shown this once, and a place that watches for the host."""
    now = moment()
    token, expires_at = await hosts.new_enrollment_token(hosts.DEFAULT_TTL_MINUTES)
    command = host.enrollment(token, services().settings.public_agent_url, now.until(expires_at))
    tokens = await _enrollment_tokens()
    return await page("host_new.html", "hosts", command=command, since=now.now, arrived=(), tokens=tokens)


@route(blueprint, "/hosts/new/tokens/<token_id>/delete", role="admin", methods=["POST"], fresh=True)
async def delete_enrollment_token(token_id: str) -> Response:
    """Revokes it."""
    await hosts.revoke_enrollment_token(token_id)
    return go("/hosts/new")


async def _enrollment_tokens() -> list[people.EnrollmentLine]:
    found = await services().reader.run(account_queries.enrollment_tokens, _TOKENS_SHOWN)
    return people.enrollment_lines(found.items, moment())


@route(blueprint, "/hosts/arrived", role="viewer")
async def arrived() -> Response:
    """Hosts that were enrolled since `since` (microseconds): the part of the page that watches."""
    since = request.args.get("since", "")
    at = int(since) if since.isdecimal() and len(since) < 18 else services().now()
    enrolled = await services().reader.run(queries.enrolled_since, at)
    now, silence = moment(), services().settings.offline_after_seconds
    return await fragment("hosts/arrived.html", since=at, arrived=host.arrivals(enrolled, now, silence))


@route(blueprint, "/hosts/<host_id>", role="viewer")
async def host_detail(host_id: str) -> Response:
    return await _host_page(await hosts.require(host_id), {})


@route(blueprint, "/hosts/<host_id>", role="admin", methods=["POST"])
async def change_host(host_id: str) -> Response:
    """Name and tags (form `name`, `tags` separated by commas)."""
    found = await hosts.require(host_id)
    form = await request.form
    name = (form.get("name") or "").strip()
    tags = tuple(dict.fromkeys(tag for part in (form.get("tags") or "").split(",") if (tag := part.strip()[:100])))
    try:
        if not 1 <= len(name) <= 100:
            raise Problem(422, _("A name has 1 to 100 characters."), "invalid")
        await hosts.change(found.host.id, hosts.checked_name(name), tags)
    except Problem as problem:
        return await _host_page(found, field_errors(problem), status=422)
    return go(f"/hosts/{host_id}")


@route(blueprint, "/hosts/<host_id>/rotate-token", role="admin", methods=["POST"], fresh=True)
async def rotate_token(host_id: str) -> Response:
    """A new credential, shown this once."""
    found = await hosts.require(host_id)
    token = await hosts.new_agent_token(found.host.id)
    return await _host_page(found, {}, token=token)


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


async def _host_page(found: HostView, errors: dict[str, str], *, status: int = 200, token: str = "") -> Response:
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
        plot=job_views.plot(points, now), legend=strips.legend(), errors=errors, token=token,
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
