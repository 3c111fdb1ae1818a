"""What a host's actor rebuilds from: what its agent is to be told, and the jobs that run."""

from dataclasses import dataclass
from typing import Any

from rmactors.common.vocabulary import JobKind


@dataclass(frozen=True, slots=True)
class Errand:
    """Something that waits to be told to a host: start this job, or cancel it."""

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
