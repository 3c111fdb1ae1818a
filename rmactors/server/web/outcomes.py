"""What came of something that was done to many hosts at once. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class HostFailure:
    """Why it was not done to one of them. `name` is empty where there is no such host."""

    host_id: str
    name: str
    detail: str


@dataclass(slots=True)
class Outcome:
    """`done`: ids of hosts; `jobs`: of the jobs that were queued on them."""

    done: list[str] = field(default_factory=list)
    failed: list[HostFailure] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
