"""`/api/jobs` and `/api/hosts/{id}/jobs`: what ran, what it wrote, asking for a run, calling one off."""

from collections.abc import Mapping

from msgspec import Struct
from quart import Blueprint, Response

from rmactors.common.vocabulary import JOB_KINDS, JOB_STATUSES, JobKind, JobStatus
from rmactors.server.store.queries import jobs as queries
from rmactors.server.web.access import is_id, route, services
from rmactors.server.web.api.bodies import (
    PAGING,
    Listing,
    arguments,
    cursor_of,
    json_body,
    json_response,
    limit_of,
    listed,
    listing,
    no_body,
    one_of,
)
from rmactors.server.web.api.shapes import jobs as shapes
from rmactors.server.web.fields import Id
from rmactors.server.web.operations import bulk, hosts, jobs
from rmactors.server.web.operations.bulk import JobsBody
from rmactors.server.web.operations.jobs import JobBody
from rmactors.server.web.problems import invalid_field
from rmactors.server.web.validation import convert

blueprint = Blueprint("api_jobs", __name__)

QUERY: Mapping[str, object] = {
    "host_id": Id,
    "kind": JobKind,
    "status": JobStatus,
    **PAGING,
}


@route(
    blueprint, "/api/hosts/<host_id>/jobs", role="operator", methods=["POST"], body=JobBody, answer=shapes.Job,
    status=202,
)  # fmt: skip
async def queue_job(host_id: str) -> Response:
    """Runs as soon as the host is there; a host that is offline gets it when it returns."""
    raw = await json_body()
    host = (await hosts.require(host_id)).host
    body = convert(raw, JobBody, read_only=shapes.Job.__struct_fields__)
    job_id = await jobs.queue(host.id, body)
    return json_response(shapes.job(await jobs.require(job_id)), 202)


class BulkFailure(Struct):
    """A host on which no job was queued, and why."""

    host_id: str
    detail: str


class BulkJobs(Struct):
    """The jobs that were queued, and the hosts where none was."""

    jobs: list[shapes.Job]
    failed: list[BulkFailure]


@route(
    blueprint, "/api/jobs/bulk", role="operator", methods=["POST"], body=JobsBody, answer=BulkJobs, status=202
)  # fmt: skip
async def queue_jobs() -> Response:
    """The same job on many hosts: `host_ids`, or all that have any of `host_tags`; at most 1,000."""
    body = convert(await json_body(), JobsBody)
    found, outcome = await bulk.chosen(body.host_ids, body.host_tags)
    await bulk.run(found, body.kind, body.params, outcome)
    rows = await services().reader.run(queries.jobs_named, outcome.jobs)
    failed = [BulkFailure(failure.host_id, failure.detail) for failure in outcome.failed]
    return json_response(BulkJobs([shapes.listed_job(row) for row in rows], failed), 202)


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
    return await listed(page, shapes.listed_job)


@route(blueprint, "/api/jobs/<job_id>", role="viewer", answer=shapes.Job)
async def show_job(job_id: str) -> Response:
    """One job."""
    return json_response(shapes.job(await jobs.require(job_id)))


@route(blueprint, "/api/jobs/<job_id>/log", role="viewer", answer=Listing[shapes.LogLine], query=PAGING)
async def show_log(job_id: str) -> Response:
    """The job's output, from the first line on."""
    await jobs.require(job_id)
    given = arguments(*PAGING)
    page = await services().reader.run(queries.log_lines, job_id, limit_of(given), cursor_of(given, (int,)))
    return json_response(listing(page, shapes.log_line))


@route(blueprint, "/api/jobs/<job_id>/cancel", role="operator", methods=["POST"], answer=shapes.Job)
async def cancel_job(job_id: str) -> Response:
    """Asks the host to stop it; a job that was never sent ends here and now. 409 where it has ended."""
    await no_body()
    await jobs.require(job_id)
    await jobs.cancel(job_id)
    return json_response(shapes.job(await jobs.require(job_id)))
