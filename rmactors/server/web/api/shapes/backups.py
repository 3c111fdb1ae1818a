"""The ages of backups, as the API shows them."""

from collections.abc import Mapping

from msgspec import Struct

from rmactors.common import clock
from rmactors.common.bounds import NAME, cut
from rmactors.common.vocabulary import JobStatus
from rmactors.server.state.ages import AgeState
from rmactors.server.store.queries.backup_ages import AgeRow
from rmactors.server.web.fields import Time
from rmactors.server.web.views.restore_tests import files_and_bytes


class NewestGood(Struct):
    """`job_id` is null where the job is kept no more; `files` and `bytes` where it does not say."""

    at: Time
    age_seconds: int
    job_id: str | None
    files: int | None
    bytes: int | None


class LastRestoreTest(Struct):
    """The newest one that passed. `job_id` is null where the job is kept no more; `files` and `bytes` where it does not
    say how many came back as saved."""

    at: Time
    job_id: str | None
    files: int | None
    bytes: int | None


class NewestAttempt(Struct):
    """`at` is when it began."""

    job_id: str
    at: Time
    status: JobStatus
    reason: str | None


class BackupAge(Struct):
    """A plan of a host. `plan` is null for what names none. `in_agent_file`: whether the agent's file has the plan;
    null where its agent has not told.

    `limit_hours`, `schedule_id` and `schedule_name` are of the schedule whose limit ends first, at `due_at`;
    `left_seconds` is how long until then, negative where that has passed. `schedule_ids` are all that back it up.
    """

    host_id: str
    host_name: str
    tags: list[str]
    plan: str | None
    repository: str
    in_agent_file: bool | None
    state: AgeState
    newest_good: NewestGood | None
    limit_hours: float | None
    schedule_id: str | None
    schedule_name: str | None
    due_at: Time | None
    left_seconds: int | None
    alert_id: str | None
    last_restore_test: LastRestoreTest | None
    newest_attempt: NewestAttempt | None
    schedule_ids: list[str]


class AgeCounts(Struct):
    """Of all states, whatever the list is narrowed to."""

    overdue: int
    never: int
    no_limit: int
    ok: int


class BackupAges(Struct):
    """`as_of` is when it was judged."""

    items: list[BackupAge]
    next_cursor: str | None
    counts: AgeCounts
    as_of: Time


def backup_age(row: AgeRow, now: int) -> BackupAge:
    age, good, attempt, tested = row.age, row.good, row.attempt, row.age.restore_test
    limited_by = age.limited_by
    return BackupAge(
        age.host.id,
        age.host.name,
        list(age.host.tags),
        age.plan,
        cut(age.repository, NAME),
        age.in_file,
        age.state,
        NewestGood(
            clock.to_rfc3339(age.newest_good_at), _seconds(max(0, now - age.newest_good_at)), good.job_id, good.files,
            good.bytes,
        )
        if age.newest_good_at is not None
        else None,
        age.limit_hours,
        limited_by.id if limited_by is not None else None,
        limited_by.name if limited_by is not None else None,
        clock.to_rfc3339(age.due_at) if age.due_at is not None else None,
        _seconds(age.due_at - now) if age.due_at is not None else None,
        row.alert_id,
        LastRestoreTest(clock.to_rfc3339(tested.at), row.test_job_id, *files_and_bytes(row.test_stats))
        if tested is not None
        else None,
        NewestAttempt(attempt.job_id, clock.to_rfc3339(attempt.at), attempt.status, attempt.reason)
        if attempt is not None
        else None,
        [schedule.id for schedule in age.schedules],
    )  # fmt: skip


def age_counts(counts: Mapping[AgeState, int]) -> AgeCounts:
    return AgeCounts(**{str(state): number for state, number in counts.items()})


def _seconds(micros: int) -> int:
    return micros // clock.SECOND
