"""The words that agents, rules, database and pages share. Spelled once, here."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

JobKind = Literal[
    "backup", "forget", "prune", "check", "init", "unlock", "restore", "diff", "snapshots", "restore_test",
]  # fmt: skip
LiveRequest = Literal["snapshots", "browse", "find", "diff", "preview", "stats"]
"""What the server asks an agent about its repositories while somebody waits for the answer. None of it is kept."""
Allowed = JobKind | Literal["browse"]
"""What an agent's file may allow: kinds of job, and `browse` for all live requests."""
JobEnd = Literal["succeeded", "partial", "failed", "cancelled", "skipped"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled", "skipped"]
JobReason = Literal[
    "ok", "partial", "locked", "wrong_password", "no_repository", "corrupt", "no_source",
    "cancelled", "timeout", "lost", "skipped", "refused", "error", "terminated", "nothing_done",
]  # fmt: skip
AlertKind = Literal[
    "backup_failed", "forget_failed", "prune_failed", "check_failed", "stale_schedule", "agent_offline",
    "backup_overdue", "backup_suspicious", "too_many_alerts", "channel_failing", "restore_test_failed",
]  # fmt: skip
Severity = Literal["info", "warning", "critical"]
Role = Literal["viewer", "operator", "admin"]
Event = Literal["alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder", "alert.digest", "alert.test"]
GroupBy = Literal["host", "repository", "all"]
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Priority = Literal["min", "low", "default", "high", "urgent"]
ScheduleMode = Literal["agent", "external"]
OnPartial = Literal["alert", "ok"]
HostStatus = Literal["online", "offline", "never_seen", "reports_only"]

REPOSITORY_BUSY: Final = "a job of this repository is running"
"""Why an agent does not measure it just now: the server asks again when that has ended."""

JOB_KINDS: Final[tuple[JobKind, ...]] = get_args(JobKind)
ALLOWED: Final[tuple[Allowed, ...]] = (*JOB_KINDS, "browse")
JOB_STATUSES: Final[tuple[JobStatus, ...]] = get_args(JobStatus)
ALERT_KINDS: Final[tuple[AlertKind, ...]] = get_args(AlertKind)
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""Lowest first."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Weakest first."""
LIFECYCLE_EVENTS: Final[tuple[Event, ...]] = (
    "alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder",
)  # fmt: skip
WEEKDAYS: Final[tuple[Weekday, ...]] = get_args(Weekday)
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)


@dataclass(frozen=True, slots=True)
class AlertTraits:
    """What is so for every alert of a kind.

    `lasts`: its condition still holds while it is open. `of_backup`: the first page counts it as a backup that needs
    attention.
    """

    title: str
    severity: Severity
    lasts: bool = False
    of_backup: bool = False


ALERTS: Final[dict[AlertKind, AlertTraits]] = {
    "backup_failed": AlertTraits("Backup failed", "warning", of_backup=True),
    "forget_failed": AlertTraits("Forget failed", "warning"),
    "prune_failed": AlertTraits("Prune failed", "warning"),
    "check_failed": AlertTraits("Check failed", "critical"),
    "stale_schedule": AlertTraits("Did not run", "warning", lasts=True, of_backup=True),
    "agent_offline": AlertTraits("Host silent", "warning", lasts=True),
    "backup_overdue": AlertTraits("Backup overdue", "critical", lasts=True, of_backup=True),
    "backup_suspicious": AlertTraits("Backup looks wrong", "warning", of_backup=True),
    "too_many_alerts": AlertTraits("Too many alerts", "warning"),
    "channel_failing": AlertTraits("Channel failing", "warning", lasts=True),
    "restore_test_failed": AlertTraits("Restore test failed", "critical", of_backup=True),
}
FAILURE_ALERT: Final[dict[JobKind, AlertKind]] = {
    "backup": "backup_failed",
    "forget": "forget_failed",
    "prune": "prune_failed",
    "check": "check_failed",
    "restore_test": "restore_test_failed",
}
"""Kinds of job whose failure raises an alert, and which. The other kinds raise nothing."""

DEFAULT_MAX_RUNTIME_SECONDS: Final = 86_400.0
"""After so long a run is stopped, or held for lost, if its schedule says nothing else."""
DELIVERY_OVERDUE_SECONDS: Final = 600
"""A notification that waits for longer means that alerting does not work: what watches this server is told."""
OVER_WHILE_OFF: Final = "it was over before the channel was on again"
"""On the timeline of an alert: why a notification that was kept was not sent in the end."""
