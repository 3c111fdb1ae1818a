"""The words that agents, rules, database and pages share. Spelled once, here."""

from typing import Final, Literal, get_args

JobKind = Literal["backup", "forget", "prune", "check", "init", "unlock", "restore", "diff", "snapshots"]
JobEnd = Literal["succeeded", "partial", "failed", "cancelled", "skipped"]
JobStatus = Literal["queued", "running", "succeeded", "partial", "failed", "cancelled", "skipped"]
JobReason = Literal[
    "ok", "partial", "locked", "wrong_password", "no_repository", "corrupt", "no_source",
    "cancelled", "timeout", "lost", "skipped", "refused", "error", "terminated", "nothing_done",
]  # fmt: skip
AlertKind = Literal[
    "backup_failed", "forget_failed", "prune_failed", "check_failed", "stale_schedule", "agent_offline",
    "backup_overdue", "backup_suspicious", "too_many_alerts",
]  # fmt: skip
Severity = Literal["info", "warning", "critical"]
Role = Literal["viewer", "operator", "admin"]
Event = Literal["alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder", "alert.test"]
Priority = Literal["min", "low", "default", "high", "urgent"]
ScheduleMode = Literal["agent", "external"]
OnPartial = Literal["alert", "ok"]
HostStatus = Literal["online", "offline", "never_seen", "reports_only"]

JOB_KINDS: Final[tuple[JobKind, ...]] = get_args(JobKind)
JOB_STATUSES: Final[tuple[JobStatus, ...]] = get_args(JobStatus)
ALERT_KINDS: Final[tuple[AlertKind, ...]] = get_args(AlertKind)
LASTING_KINDS: Final[tuple[AlertKind, ...]] = ("agent_offline", "stale_schedule", "backup_overdue")
"""Kinds whose condition still holds while their alert is open."""
SEVERITIES: Final[tuple[Severity, ...]] = get_args(Severity)
"""Lowest first."""
ROLES: Final[tuple[Role, ...]] = get_args(Role)
"""Weakest first."""
LIFECYCLE_EVENTS: Final[tuple[Event, ...]] = (
    "alert.raised", "alert.acknowledged", "alert.resolved", "alert.reminder",
)  # fmt: skip
PRIORITIES: Final[tuple[Priority, ...]] = get_args(Priority)

SEVERITY_OF: Final[dict[AlertKind, Severity]] = {
    "backup_failed": "warning",
    "forget_failed": "warning",
    "prune_failed": "warning",
    "check_failed": "critical",
    "stale_schedule": "warning",
    "agent_offline": "warning",
    "backup_overdue": "critical",
    "backup_suspicious": "warning",
    "too_many_alerts": "warning",
}
FAILURE_ALERT: Final[dict[JobKind, AlertKind]] = {
    "backup": "backup_failed",
    "forget": "forget_failed",
    "prune": "prune_failed",
    "check": "check_failed",
}
"""Kinds of job whose failure raises an alert, and which. The other kinds raise nothing."""

DEFAULT_MAX_RUNTIME_SECONDS: Final = 86_400.0
"""After so long a run is stopped, or held for lost, if its schedule says nothing else."""
DELIVERY_OVERDUE_SECONDS: Final = 600
"""A notification that waits for longer means that alerting does not work: what watches this server is told."""
