"""`/api/jobs` and `/api/hosts/{id}/jobs`: what ran, what it wrote, asking for a run, calling one off."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct
from quart import Blueprint, Response

from rmactors.common import ids
from rmactors.common.vocabulary import JOB_KINDS, JOB_STATUSES, JobKind, JobStatus
from rmactors.server.messages.jobs import CancelJob, QueueJob
from rmactors.server.store.queries import jobs as queries
from rmactors.server.store.queries import schedules as schedule_queries
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web.access import audit, is_id, route, services
from rmactors.server.web.api import hosts, shapes
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    convert,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listing,
    no_body,
    one_of,
)
from rmactors.server.web.api.schedules import check_job, check_params
from rmactors.server.web.problems import invalid_field, not_found, settled

blueprint = Blueprint("api_jobs", __name__)

QUERY: Mapping[str, object] = {
    "host_id": shapes.Id,
    "kind": JobKind,
    "status": JobStatus,
    **PAGING,
}


class JobBody(Struct, forbid_unknown_fields=True):
    kind: JobKind
    schedule_id: str | None = None
    params: dict[str, Any] = {}


@route(
    blueprint, "/api/hosts/<host_id>/jobs", role="operator", methods=["POST"], body=JobBody, answer=shapes.Job,
    status=202,
)  # fmt: skip
async def queue_job(host_id: str) -> Response:
    """Runs as soon as the host is there; a host that is offline gets it when it returns."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, JobBody, read_only=shapes.Job.__struct_fields__)
    job_id = await queue(host.id, body)
    return json_response(shapes.job(await require(job_id)), 202)


@route(
    blueprint, "/api/jobs", role="viewer", answer=Listing[shapes.Job],
    query=QUERY,
)  # fmt: skip
async def list_jobs() -> Response:
    """Newest first. A job with long statistics has the first of them here, and all of them by itself."""
    given = arguments(*QUERY)
    host_id = given.get("host_id")
    if host_id is not None and not is_id(host_id):
        raise invalid_field("/host_id", "is not an id")
    kind, status = one_of(given, "kind", JOB_KINDS), one_of(given, "status", JOB_STATUSES)
    limit, after = limit_of(given), cursor_of(given, (int, str))
    page = await services().reader.run(queries.jobs, limit, after, host_id, kind, status)
    return json_response(listing(page, shapes.listed_job))


@route(blueprint, "/api/jobs/<job_id>", role="viewer", answer=shapes.Job)
async def show_job(job_id: str) -> Response:
    """One job."""
    return json_response(shapes.job(await require(job_id)))


@route(blueprint, "/api/jobs/<job_id>/log", role="viewer", answer=Listing[shapes.LogLine], query=PAGING)
async def show_log(job_id: str) -> Response:
    """What it wrote, from the first line on."""
    await require(job_id)
    given = arguments(*PAGING)
    page = await services().reader.run(queries.log_lines, job_id, limit_of(given), cursor_of(given, (int,)))
    return json_response(listing(page, shapes.log_line))


@route(blueprint, "/api/jobs/<job_id>/cancel", role="operator", methods=["POST"], answer=shapes.Job)
async def cancel_job(job_id: str) -> Response:
    """Asks the host to stop it; a job that was never sent ends here and now. 409 where it has ended."""
    await no_body()
    await require(job_id)
    await cancel(job_id)
    return json_response(shapes.job(await require(job_id)))


async def queue(host_id: str, body: JobBody) -> str:
    """The new job's id; for pages as well. Raises Problem 404 or 422."""
    params = body.params
    check_params(params)
    if body.schedule_id is not None:
        schedule = (
            await services().reader.run(schedule_queries.schedule, body.schedule_id)
            if is_id(body.schedule_id)
            else None
        )
        if schedule is None or schedule.host_id != host_id:
            raise invalid_field("/schedule_id", "is no schedule of this host")
        if not params and schedule.kind == body.kind:  # a run of the schedule does what the schedule says
            params = msgspec.json.decode(schedule.params)
    await check_job(host_id, body.kind, params)
    job_id, at = ids.new(), services().now()
    record = audit("job.queue", "job", job_id, f"{body.kind} on {host_id}")
    asked = msgspec.json.encode(params).decode()
    settled(
        await services().ask_store(QueueJob(job_id, host_id, body.kind, body.schedule_id, asked, at, record)), "host"
    )
    return job_id


async def cancel(job_id: str) -> None:
    """For pages as well. Raises Problem 404 or 409."""
    write = CancelJob(job_id, services().now(), audit("job.cancel", "job", job_id))
    settled(await services().ask_store(write), "job")


async def require(job_id: str) -> JobRow:
    """The job, or the 404."""
    row = await services().reader.run(queries.job, job_id) if is_id(job_id) else None
    if row is None:
        raise not_found("job")
    return row
