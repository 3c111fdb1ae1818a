"""Asking for a run, cancelling one."""

from typing import Any

import msgspec
from msgspec import Struct

from rmactors.common import ids
from rmactors.common.vocabulary import JobKind
from rmactors.server.messages.jobs import CancelJob, QueueJob
from rmactors.server.store.queries import jobs as queries
from rmactors.server.store.queries import schedules as schedule_queries
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.web.access import audit, is_id, services
from rmactors.server.web.operations.schedules import check_job, check_params
from rmactors.server.web.problems import invalid_field, not_found, raise_for_answer


class JobBody(Struct, forbid_unknown_fields=True):
    kind: JobKind
    schedule_id: str | None = None
    params: dict[str, Any] = {}


async def queue(host_id: str, body: JobBody) -> str:
    """The new job's id. Raises Problem 404 or 422."""
    params = body.params
    check_params(params)
    if body.schedule_id is not None:
        schedule = (
            await services().reader.run(schedule_queries.schedule, body.schedule_id)
            if is_id(body.schedule_id)
            else None
        )
        if schedule is None or schedule.host_id != host_id:
            raise invalid_field("/schedule_id", "is not a schedule of this host")
        if not params and schedule.kind == body.kind:  # a run of the schedule does what the schedule says
            params = msgspec.json.decode(schedule.params)
    await check_job(host_id, body.kind, params)
    job_id, at = ids.new(), services().now()
    record = audit("job.queue", "job", job_id, f"{body.kind} on {host_id}")
    asked = msgspec.json.encode(params).decode()
    raise_for_answer(
        await services().ask_store(QueueJob(job_id, host_id, body.kind, body.schedule_id, asked, at, record)), "host"
    )
    return job_id


async def cancel(job_id: str) -> None:
    """Raises Problem 404 or 409."""
    write = CancelJob(job_id, services().now(), audit("job.cancel", "job", job_id))
    raise_for_answer(await services().ask_store(write), "job")


async def require(job_id: str) -> JobRow:
    """The job, or the 404."""
    row = await services().reader.run(queries.job, job_id) if is_id(job_id) else None
    if row is None:
        raise not_found("job")
    return row
