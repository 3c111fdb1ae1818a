"""What a host's actor rebuilds from: the host, what waits for its agent, and the jobs that run."""

from dataclasses import dataclass
from typing import Any

from rmactors.common import wire
from rmactors.common.vocabulary import JobKind


@dataclass(frozen=True, slots=True)
class HostFacts:
    """A host as its actor starts with."""

    id: str
    name: str
    token_hash: str | None
    first_hello_at: int | None
    last_seen_at: int | None


@dataclass(frozen=True, slots=True)
class PendingCommand:
    """A command that waits for its host: start this job, or cancel it."""

    job_id: str
    kind: JobKind
    schedule_id: str | None
    params: dict[str, Any]
    queued: bool
    cancel: bool


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job that began and has not ended."""

    id: str
    kind: JobKind
    plan: str | None
    schedule_id: str | None
    started_at: int
    deadline_at: int


@dataclass(frozen=True, slots=True)
class PendingWork:
    """What a host's actor looks at when it is woken. `token_hash` None: deleted or revoked."""

    token_hash: str | None
    schedules_rev: int
    schedules: list[wire.ScheduleInfo]
    commands: list[PendingCommand]
