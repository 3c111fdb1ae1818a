"""Hosts and enrollment tokens, as the API shows them."""

import msgspec
from msgspec import Struct

from rmactors.common import clock
from rmactors.common.vocabulary import (
    HostStatus,
)
from rmactors.server.store.queries.accounts import EnrollmentTokenRow
from rmactors.server.store.queries.good_ends import GoodEnd
from rmactors.server.store.queries.hosts import HostView, status_of
from rmactors.server.web.api.shapes.jobs import Job, job, listed_job
from rmactors.server.web.api.shapes.rows import JsonObject, shaped
from rmactors.server.web.api.shapes.schedules import Schedule, schedule
from rmactors.server.web.fields import Time
from rmactors.server.web.views import restore_tests
from rmactors.server.web.what_was_sent import first_plans, first_texts, json_list


class RestoreTest(Struct):
    """The newest test of a plan that passed: how many files and bytes came back as saved, null where it does not say.
    `job_id` may be of a job that is no longer kept; `plan` null where it named none."""

    plan: str | None
    at: Time
    files: int | None
    bytes: int | None
    job_id: str


class Host(Struct):
    """`allow` and `restore_targets` are what its agent.toml says there, null where the agent does not tell."""

    id: str
    name: str
    os: str
    arch: str
    hostname: str
    tags: list[str]
    status: HostStatus
    last_seen_at: Time | None
    enrolled_at: Time
    agent_version: str
    restic_version: str | None
    restic_problem: str | None
    spool_problem: str | None
    spool_problem_since: Time | None
    clock_offset_seconds: float | None
    tzdata_version: str | None
    allow: list[str] | None
    restore_targets: list[str] | None
    plans: list[JsonObject]
    schedules: list[Schedule]
    last_jobs: dict[str, Job]
    last_restore_tests: list[RestoreTest]


class EnrollmentTokenEntry(Struct):
    """An enrollment token without the token. `used_at`: when it last let a host in. `host_id`: the one host that it
    enrolls a machine as."""

    id: str
    prefix: str
    created_at: Time
    expires_at: Time
    created_by: str | None
    used_at: Time | None
    uses: int
    uses_left: int
    tags: list[str]
    host_id: str | None


def host(view: HostView, now: int, offline_after_seconds: float, *, whole: bool = True) -> Host:
    """With `whole` False as a list has it: of long plans and statistics, the first."""
    return shaped(
        Host,
        view.host,
        tags=msgspec.json.decode(view.host.tags),
        plans=json_list(view.host.plans) if whole else first_plans(view.host.plans),
        allow=_said(view.host.allow, whole),
        restore_targets=_said(view.host.restore_targets, whole),
        status=status_of(view.host, now, offline_after_seconds),
        schedules=[schedule(row, now) for row in view.schedules],
        last_jobs={kind: (job if whole else listed_job)(row) for kind, row in view.last_jobs.items()},
        last_restore_tests=[restore_test(end) for end in view.restore_tests],
    )


def restore_test(end: GoodEnd) -> RestoreTest:
    files, size = restore_tests.files_and_bytes(end.stats)
    return RestoreTest(end.plan or None, clock.to_rfc3339(end.at), files, size, end.job_id)


def _said(text: str | None, whole: bool) -> list[str] | None:
    if text is None:
        return None
    return json_list(text) if whole else first_texts(text)


def enrollment_token(row: EnrollmentTokenRow) -> EnrollmentTokenEntry:
    return shaped(
        EnrollmentTokenEntry, row, uses_left=row.uses - row.used, tags=json_list(row.tags), host_id=row.for_host_id
    )
