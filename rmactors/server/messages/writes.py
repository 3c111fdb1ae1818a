"""What the store actor is asked to commit, and what it answers.

A `Commit` carries whole decisions, never SQL. Its writes go into one savepoint: all or none. Each may be
repeated with the same ids. What a decision expects of the database is checked inside the transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from rmactors.common.vocabulary import (
    AlertKind,
    ChannelKind,
    Event,
    JobKind,
    OnPartial,
    Priority,
    ScheduleMode,
    Severity,
)
from rmactors.server.messages.notices import Attempt
from rmactors.server.messages.reports import EndReport, LostJob, StartReport

# ---- answers


@dataclass(frozen=True, slots=True)
class Committed:
    """On disk. `values` holds what each write had to say, in their order."""

    values: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Duplicate:
    """It was on disk already, nothing was written."""


@dataclass(frozen=True, slots=True)
class Stale:
    """An expectation failed: the decision was made on state that is not so. Nothing was written."""

    detail: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It can never be taken, and that is the asker's to know. Nothing was written."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The commit did not happen (disk full, database locked). Ask again later."""

    detail: str


Answer = Committed | Duplicate | Stale | Refused | Failed
Reply = Callable[[Answer], None]
"""Takes the one answer and never waits."""


def no_reply(_: Answer) -> None:
    """For writes whose failure is made good by the next one of their kind."""


@dataclass(frozen=True, slots=True)
class Audit:
    """Who did what to what. Written in the transaction of the change."""

    at: int
    actor: str
    actor_kind: Literal["user", "token", "agent", "system"]
    action: str
    target_kind: str
    target_id: str
    address: str = ""
    result: str = "ok"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Maker:
    """Who made a token. `name` is shown; `owner_id` is the user behind it, `parent_id` the API token that made it."""

    name: str
    owner_id: str | None = None
    parent_id: str | None = None


# ---- hosts


@dataclass(frozen=True, slots=True)
class CreateEnrollmentToken:
    """`prefix` is its readable beginning. Refused `not_found` where the API token that makes it has ended."""

    id: str
    token_hash: str
    at: int
    expires_at: int
    audit: Audit
    prefix: str = ""
    maker: Maker | None = None


@dataclass(frozen=True, slots=True)
class DeleteEnrollmentToken:
    """Refused `not_found`."""

    id: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class EnrollHost:
    """Spends the token and makes the host. Refused `token_spent` or `name_taken`. Value: the host's id."""

    enrollment_id: str
    host_id: str
    name: str
    hostname: str
    os: str
    arch: str
    agent_version: str
    token_hash: str
    at: int
    address: str


@dataclass(frozen=True, slots=True)
class RecordHello:
    """What an agent said of itself. With `report_only` it is no sign of life.

    `clock_offset_seconds` is the host's clock minus the server's, None where the host did not say the time.
    `restic_told` False: it has not looked for restic, what is known stays. `spool_problem` is why it cannot keep
    reports on disk, with the time from when on; None where it can.
    """

    host_id: str
    at: int
    report_only: bool
    agent_version: str
    hostname: str
    os: str
    arch: str
    timezone: str
    restic_version: str | None
    plans: str
    clock_offset_seconds: float | None = None
    tzdata_version: str | None = None
    restic_problem: str | None = None
    restic_told: bool = True
    spool_problem: str | None = None
    spool_problem_since: int | None = None


@dataclass(frozen=True, slots=True)
class RecordSigns:
    """Newest sign of life of many hosts: (host id, microseconds). Of those whose clocks have changed, (host id,
    the host's clock minus the server's, in seconds)."""

    signs: tuple[tuple[str, int], ...]
    clock_offsets: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class NoteOnHost:
    """Something an operator should see on the host's page."""

    id: str
    host_id: str
    at: int
    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class UpdateHost:
    """New name or tags. Refused `not_found` or `name_taken`."""

    host_id: str
    name: str | None
    tags: tuple[str, ...] | None
    audit: Audit


@dataclass(frozen=True, slots=True)
class RotateHostToken:
    host_id: str
    token_hash: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteHost:
    """Revokes the credential; the host's alerts are resolved by the rules' own writes beside this one."""

    host_id: str
    at: int
    audit: Audit


# ---- jobs


@dataclass(frozen=True, slots=True)
class SaveStart:
    """Duplicate where the start or the end is known already; Refused `foreign_job` for another host's job.

    Value: the deadline."""

    report: StartReport
    schedule_id: str | None
    subject: str
    deadline_at: int
    warning: str | None


@dataclass(frozen=True, slots=True)
class SaveEnd:
    """Duplicate where a real end is known already (a lost one gives way); Refused `foreign_job`.

    `schedule_id` is the one that counts: None where the report names one that is not its host's.
    """

    report: EndReport
    schedule_id: str | None
    subject: str
    warning: str | None


@dataclass(frozen=True, slots=True)
class SaveLoss:
    """Expects the job to be running still."""

    loss: LostJob


@dataclass(frozen=True, slots=True)
class SaveLogLines:
    """Lines of a job's output: (line number, stream, text). Lines that are there already stay."""

    host_id: str
    job_id: str
    lines: tuple[tuple[int, str, str], ...]


@dataclass(frozen=True, slots=True)
class QueueJob:
    """A job that an operator asks for. Refused `not_found` where host or schedule is not there."""

    job_id: str
    host_id: str
    kind: JobKind
    schedule_id: str | None
    params: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class CancelJob:
    """Refused `not_found`, or `conflict` for a job that has ended. A job never sent ends here and now."""

    job_id: str
    at: int
    audit: Audit


# ---- schedules


@dataclass(frozen=True, slots=True)
class SaveSchedule:
    """Makes the schedule or replaces what it says. `anchor_at` is when its slots begin to count.

    Exactly one of `cron`, `on_calendar` and `every_hours` is given.
    """

    schedule_id: str
    host_id: str
    name: str
    kind: JobKind
    cron: str | None
    timezone: str
    enabled: bool
    mode: ScheduleMode
    grace_seconds: float
    max_runtime_seconds: float
    on_partial: OnPartial
    params: str
    at: int
    anchor_at: int
    audit: Audit
    on_calendar: str | None = None
    every_hours: float | None = None
    max_age_hours: float | None = None


@dataclass(frozen=True, slots=True)
class DeleteSchedule:
    schedule_id: str
    at: int
    audit: Audit


# ---- alerts


@dataclass(frozen=True, slots=True)
class RaiseAlert:
    """Expects no unresolved alert for (host, kind, subject). Queues a notice for every channel that takes it.

    `known_partial`: it tells of nothing worse than a partial run.
    """

    alert_id: str
    host_id: str
    kind: AlertKind
    subject: str
    severity: Severity
    message: str
    at: int
    job_id: str | None = None
    known_partial: bool = False


@dataclass(frozen=True, slots=True)
class WorsenAlert:
    """Expects the alert unresolved. Adds an occurrence, takes back the acknowledgement, and queues a raise once more
    for every channel that takes it. `notice` is the message as those are told it."""

    alert_id: str
    message: str
    notice: str
    at: int
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class TouchAlert:
    """Expects the alert unresolved. `again` adds an occurrence. Notifies nobody."""

    alert_id: str
    message: str
    at: int
    again: bool
    job_id: str | None = None


@dataclass(frozen=True, slots=True)
class AcknowledgeAlert:
    """Expects the alert unresolved and not acknowledged. `known_partial`: what whoever acknowledges it knows of is no
    worse than a partial run; None where the rules do not say."""

    alert_id: str
    at: int
    by: str
    note: str | None
    audit: Audit | None
    known_partial: bool | None = None


@dataclass(frozen=True, slots=True)
class ResolveAlert:
    """Expects the alert unresolved. `by` is a user name, `token:<name>` or `rule`."""

    alert_id: str
    at: int
    by: str
    note: str | None
    message: str | None = None
    audit: Audit | None = None


@dataclass(frozen=True, slots=True)
class TouchConditions:
    """Moves `last_seen_at` of every unresolved alert about a condition that lasts, in one statement."""

    at: int


@dataclass(frozen=True, slots=True)
class SaveTrack:
    """What the rules remember of (host, kind of alert, subject). `head`, `good` and `usual` are JSON or None.

    Expects the version before `version` on disk (1: none there yet), so that no decision is built on one that failed.
    """

    host_id: str
    kind: AlertKind
    subject: str
    version: int
    head: str | None
    good: str | None
    last_good_at: int | None
    quiet: bool
    usual: str | None = None


@dataclass(frozen=True, slots=True)
class ExpectTrack:
    """Changes nothing. Expects that version of a track on disk (0: none there): a decision that leaves it alone is
    built on it too."""

    host_id: str
    kind: AlertKind
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class ForgetTrack:
    """Removes what the rules remember of (host, kind of alert, subject). Expects that version of it on disk."""

    host_id: str
    kind: AlertKind
    subject: str
    version: int


@dataclass(frozen=True, slots=True)
class ExpectOpen:
    """Changes nothing. Expects that the host's open alerts, `too_many_alerts` aside, are `most` or more (`reached`), or
    fewer."""

    host_id: str
    most: int
    reached: bool


@dataclass(frozen=True, slots=True)
class MarkRun:
    """A run of a schedule began: for the slot `slot_at`, or at `run_at` without naming one.

    With `known` it changes nothing, and expects that this run or a later one is on disk already.
    """

    schedule_id: str
    slot_at: int | None
    run_at: int | None
    known: bool = False


@dataclass(frozen=True, slots=True)
class MarkGood:
    """A run of the schedule, or of its plan, had a good end at `at`. An older one than is known changes nothing."""

    schedule_id: str
    at: int


# ---- silences


@dataclass(frozen=True, slots=True)
class CreateSilence:
    silence_id: str
    host_id: str | None
    kind: str | None
    tag: str | None
    starts_at: int
    ends_at: int | None
    recurrence: str | None
    reason: str
    by: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteSilence:
    silence_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class ReleaseHeld:
    """Sends what silences held back and no silence holds any more."""

    at: int


@dataclass(frozen=True, slots=True)
class QueueReminders:
    """Queues `alert.reminder` where a channel wants one and the time has come."""

    at: int


# ---- channels and deliveries


@dataclass(frozen=True, slots=True)
class SaveChannel:
    """Makes the channel or replaces what it says. `config` is encrypted already.

    Disabling ends what is queued. Refused `not_found`, or `conflict` where the kind would change.
    """

    channel_id: str
    kind: ChannelKind
    name: str
    enabled: bool
    config: bytes
    default_priority: Priority | None
    min_severity: Severity
    events: tuple[Event, ...]
    host_tags: tuple[str, ...]
    group_seconds: float
    remind_hours: float
    at: int
    create: bool
    audit: Audit


@dataclass(frozen=True, slots=True)
class DeleteChannel:
    channel_id: str
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class SettleAttempt:
    """One attempt and its end. `carried` are the deliveries that the same message told as well, and how
    they end with it: `delivered` for the members of a group, `superseded` for what a resolution made moot."""

    log_id: str
    delivery_id: str
    channel_id: str
    alert_id: str
    event: str
    attempt: int
    result: Attempt
    at: int
    due_at: int | None
    carried: tuple[tuple[str, Literal["delivered", "superseded"]], ...] = ()


@dataclass(frozen=True, slots=True)
class LogTest:
    """A test send and its end, in the log alone."""

    log_id: str
    channel_id: str
    alert_id: str
    delivery_id: str
    result: Attempt
    at: int
    audit: Audit


@dataclass(frozen=True, slots=True)
class RetryDelivery:
    """Makes a dead delivery due again. Refused `not_found`, or `conflict`: it is not dead, or its channel is off."""

    delivery_id: str
    at: int
    audit: Audit


OldKind = Literal[
    "job_logs",
    "jobs",
    "held",
    "told",
    "group_windows",
    "alerts",
    "deliveries",
    "dead_deliveries",
    "notification_log",
    "audit",
    "sessions",
    "enrollment_tokens",
    "silences",
    "tracks",
    "host_notes",
    "schedules",
    "hosts",
]
"""What goes when it is old; a table, or some of its rows."""


@dataclass(frozen=True, slots=True)
class Prune:
    """Removes those of `keys` that are older than `before` and may go, at most about `most` rows. Value: how many."""

    what: OldKind
    before: int
    keys: tuple[str, ...]
    most: int


@dataclass(frozen=True, slots=True)
class AppendAudit:
    """An audit row for what changes nothing else: a failed login, a refused role."""

    audit: Audit


@dataclass(frozen=True, slots=True)
class Pulse:
    """Changes one row, to learn whether the store can commit."""

    at: int


Write = (
    CreateEnrollmentToken
    | DeleteEnrollmentToken
    | EnrollHost
    | RecordHello
    | RecordSigns
    | NoteOnHost
    | UpdateHost
    | RotateHostToken
    | DeleteHost
    | SaveStart
    | SaveEnd
    | SaveLoss
    | SaveLogLines
    | QueueJob
    | CancelJob
    | SaveSchedule
    | DeleteSchedule
    | RaiseAlert
    | WorsenAlert
    | TouchAlert
    | AcknowledgeAlert
    | ResolveAlert
    | TouchConditions
    | SaveTrack
    | ExpectTrack
    | ExpectOpen
    | ForgetTrack
    | MarkRun
    | MarkGood
    | Pulse
    | CreateSilence
    | DeleteSilence
    | ReleaseHeld
    | QueueReminders
    | SaveChannel
    | DeleteChannel
    | SettleAttempt
    | LogTest
    | RetryDelivery
    | Prune
    | AppendAudit
)


@dataclass(frozen=True, slots=True)
class Commit:
    """Writes that stand or fall together. `reply` gets exactly one answer.

    `writes` are `Write`s or, from the web part, those of `messages.accounts`.
    """

    writes: tuple[object, ...]
    reply: Reply
