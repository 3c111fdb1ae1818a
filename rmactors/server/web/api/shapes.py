"""What the API's objects look like, and how rows become them. The OpenAPI description is made from these types."""

import types
import typing
from functools import cache
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from rmactors.common import clock
from rmactors.common.vocabulary import (
    ChannelKind,
    Event,
    HostStatus,
    JobKind,
    JobStatus,
    OnPartial,
    Priority,
    Role,
    ScheduleMode,
    Severity,
)
from rmactors.server.store.queries.accounts import AuditRow, EnrollmentTokenRow, SessionRow, TokenRow, UserRow
from rmactors.server.store.queries.alerts import AlertRow, AlertStatus, Counts, TimelineEntry
from rmactors.server.store.queries.channels import ChannelHealth, DeliveryRow, LogRow
from rmactors.server.store.queries.hosts import HostView, status_of
from rmactors.server.store.queries.jobs import JobRow
from rmactors.server.store.queries.jobs import LogLine as LogLineRow
from rmactors.server.store.queries.schedules import ScheduleRow
from rmactors.server.store.queries.silences import SilenceRow
from rmactors.server.web.api.what_was_sent import first_plans, first_statistics, is_object, json_list, statistics
from rmactors.server.web.views.schedules import next_run

S = TypeVar("S", bound=Struct)

Time = Annotated[str, Meta(extra_json_schema={"format": "date-time"})]
"""RFC 3339 in UTC with `Z`."""
ID_PATTERN = "^[0-9A-Za-z]{26}$"
"""For the description, in whose regular expressions `$` is the very end; what is an id here says `ids.looks_valid`."""
Id = Annotated[str, Meta(extra_json_schema={"pattern": ID_PATTERN})]
JsonObject = dict[str, Any]


class Alert(Struct):
    id: str
    host_id: str
    host_name: str
    kind: str
    subject: str
    severity: Severity
    status: AlertStatus
    message: str
    occurrences: int
    job_id: str | None
    created_at: Time
    last_seen_at: Time
    acknowledged_at: Time | None
    acknowledged_by: str | None
    acknowledged_note: str | None
    resolved_at: Time | None
    resolved_by: str | None
    resolved_note: str | None
    link: str


class TimelineItem(Struct, omit_defaults=True):
    """One thing that happened to an alert. Keys that say nothing here are left out."""

    at: Time
    event: Literal[
        "raised", "worsened", "acknowledged", "resolved", "silenced", "unsilenced", "reminded",
        "delivered", "attempt_failed", "superseded", "dead",
    ]  # fmt: skip
    by: str | None = None
    note: str | None = None
    message: str | None = None
    channel_id: str | None = None
    channel_name: str | None = None
    delivery_id: str | None = None
    attempt: int | None = None
    status_code: int | None = None
    latency_ms: float | None = None
    error: str | None = None


class AlertWithTimeline(Alert):
    timeline: list[TimelineItem]


class AlertCounts(Struct):
    open: int
    acknowledged: int
    resolved_24h: int


class AlertListing(Struct):
    items: list[Alert]
    next_cursor: str | None
    counts: AlertCounts


class Job(Struct):
    id: str
    host_id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    scheduled_for: Time | None
    status: JobStatus
    reason: str | None
    error: str | None
    exit_code: int | None
    warning: str | None
    queued_at: Time | None
    started_at: Time | None
    finished_at: Time | None
    cancel_requested_at: Time | None
    params: JsonObject
    stats: JsonObject


class LogLine(Struct):
    line: int | None
    stream: Literal["stdout", "stderr", "gap"]
    text: str


class Schedule(Struct):
    id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    on_calendar: str | None
    every_hours: float | None
    timezone: str
    enabled: bool
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    max_age_hours: float | None
    on_partial: OnPartial
    params: JsonObject
    policy_id: str | None
    next_fire_at: Time | None
    last_outcome: str | None


class Host(Struct):
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
    plans: list[JsonObject]
    schedules: list[Schedule]
    last_jobs: dict[str, Job]


class Recurrence(Struct, forbid_unknown_fields=True):
    """A window that opens each time `cron` fires, for `duration_minutes`."""

    cron: str
    duration_minutes: Annotated[float, Meta(gt=0, le=525_600)]
    timezone: str = "UTC"


class Silence(Struct):
    id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: Time
    ends_at: Time | None
    recurrence: Recurrence | None
    reason: str
    created_by: str


class Health(Struct):
    state: Literal["ok", "failing", "dead", "idle"]
    since: Time | None
    last_error: str | None
    queued: int
    oldest_queued_at: Time | None
    dead: int


class Channel(Struct):
    """Secrets in `config` read as `{"set": true}`."""

    id: str
    kind: ChannelKind
    name: str
    enabled: bool
    config: JsonObject
    default_priority: Priority | None
    min_severity: Severity
    events: list[Event]
    host_tags: list[str]
    group_seconds: float
    remind_hours: float
    created_at: Time
    updated_at: Time
    last_fired_at: Time | None
    health: Health


class LogEntry(Struct):
    id: str
    channel_id: str
    alert_id: str
    delivery_id: str
    event: Event
    attempt: int
    ok: bool
    status_code: int | None
    latency_ms: float
    error: str | None
    fired_at: Time


class Delivery(Struct):
    id: str
    channel_id: str
    alert_id: str
    event: Event
    state: Literal["queued", "delivered", "dead", "superseded"]
    attempts: int
    created_at: Time
    due_at: Time
    last_error: str | None
    finished_at: Time | None


class User(Struct):
    id: str
    username: str
    role: Role
    disabled: bool
    created_at: Time
    last_login_at: Time | None


class Token(Struct):
    id: str
    name: str
    role: Role
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None
    created_by: str | None


class NewToken(Token):
    """With the token itself, this once."""

    token: str


class EnrollmentTokenEntry(Struct):
    """An enrolment token without the token; `used_at` where it let a host in."""

    id: str
    prefix: str
    created_at: Time
    expires_at: Time
    created_by: str | None
    used_at: Time | None


class AuditEntry(Struct):
    id: str
    at: Time
    actor: str
    actor_kind: Literal["user", "token", "agent", "system"]
    action: str
    target_kind: str
    target_id: str
    result: str
    address: str
    detail: str


class Session(Struct):
    id: str
    created_at: Time
    last_seen_at: Time
    address: str
    user_agent: str
    current: bool


# ---- rows as objects


def alert(row: AlertRow, public_url: str) -> Alert:
    return shaped(Alert, row, status=row.status, link=f"{public_url}/alerts/{row.id}")


def alert_with_timeline(row: AlertRow, entries: list[TimelineEntry], public_url: str) -> AlertWithTimeline:
    link = f"{public_url}/alerts/{row.id}"
    items = [shaped(TimelineItem, entry) for entry in entries]
    return shaped(AlertWithTimeline, row, status=row.status, link=link, timeline=items)


def alert_counts(counts: Counts) -> AlertCounts:
    return shaped(AlertCounts, counts)


def job(row: JobRow) -> Job:
    return shaped(Job, row, params=json_object(row.params), stats=statistics(row.stats))


def listed_job(row: JobRow) -> Job:
    """Of long statistics, the first."""
    return shaped(Job, row, params=json_object(row.params), stats=first_statistics(row.stats))


def log_line(row: LogLineRow) -> LogLine:
    return shaped(LogLine, row)


def schedule(row: ScheduleRow, now: int) -> Schedule:
    """Also where this machine does not know its zone any more: then nobody knows when it is due."""
    due = next_run(row.when, now, row.counted_from) if row.enabled else None
    next_fire_at = clock.to_rfc3339(due) if due is not None else None
    return shaped(Schedule, row, params=json_object(row.params), policy_id=None, next_fire_at=next_fire_at)


def host(view: HostView, now: int, offline_after_seconds: float, *, whole: bool = True) -> Host:
    """With `whole` False as a list has it: of long plans and statistics, the first."""
    return shaped(
        Host,
        view.host,
        tags=msgspec.json.decode(view.host.tags),
        plans=json_list(view.host.plans) if whole else first_plans(view.host.plans),
        status=status_of(view.host, now, offline_after_seconds),
        schedules=[schedule(row, now) for row in view.schedules],
        last_jobs={kind: (job if whole else listed_job)(row) for kind, row in view.last_jobs.items()},
    )


def silence(row: SilenceRow) -> Silence:
    recurrence = msgspec.json.decode(row.recurrence, type=Recurrence) if row.recurrence else None
    return shaped(Silence, row, recurrence=recurrence)


def health(found: ChannelHealth) -> Health:
    return shaped(Health, found)


def log_entry(row: LogRow) -> LogEntry:
    return shaped(LogEntry, row)


def delivery(row: DeliveryRow) -> Delivery:
    return shaped(Delivery, row)


def user(row: UserRow) -> User:
    return shaped(User, row)


def token(row: TokenRow) -> Token:
    return shaped(Token, row)


def enrollment_token(row: EnrollmentTokenRow) -> EnrollmentTokenEntry:
    return shaped(EnrollmentTokenEntry, row)


def audit_entry(row: AuditRow) -> AuditEntry:
    return shaped(AuditEntry, row)


def session(row: SessionRow, current: str) -> Session:
    return shaped(Session, row, current=row.id == current)


def json_object(text: str) -> Any:
    """A stored JSON object of an operator's, passed on byte for byte; empty where it is none."""
    return Raw(text.encode() if text == "{}" or is_object(text) else b"{}")


def time(at: int | None) -> str | None:
    return clock.to_rfc3339(at) if at is not None else None


def shaped(kind: type[S], row: object, **given: Any) -> S:
    """A `kind` from the attributes of `row` that are named like its fields; `given` wins. Micros become RFC 3339."""
    for name, convert in _plan(kind):
        if name not in given:
            value = getattr(row, name)
            given[name] = convert(value) if convert is not None and value is not None else value
    return kind(**given)


@cache
def _plan(kind: type[Struct]) -> tuple[tuple[str, Any], ...]:
    """(field, how its value is converted or None) for each field."""
    plan = []
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        options = (
            typing.get_args(hint)
            if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union
            else (hint,)
        )
        convert: Any = clock.to_rfc3339 if Time in options else bool if bool in options else None
        plan.append((name, convert))
    return tuple(plan)
