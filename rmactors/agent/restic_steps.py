"""What a job that takes several steps needs of restic, and what each step comes back with.

A job like forget is more than one call of restic: it looks before, acts, and looks again at what was really done. The
steps live in modules of their own; `restic_job` runs restic for them.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from rmactors.agent.agent_file import Repository
from rmactors.agent.verdict import JobVerdict, OutputSummary
from rmactors.common.vocabulary import JobKind


@dataclass(frozen=True, slots=True)
class JobResult:
    """How the job ended. `exit_code` is restic's, None if it never ran."""

    verdict: JobVerdict
    exit_code: int | None
    stats: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """One call of restic and its end. `answer` is its whole stdout where that was asked for, else empty."""

    code: int
    summary: OutputSummary
    verdict: JobVerdict
    answer: bytes = b""

    def outcome(self, stats: dict[str, Any] | None = None) -> JobResult:
        return outcome(self.verdict, self.code, stats or {})


def outcome(verdict: JobVerdict, code: int | None, stats: dict[str, Any]) -> JobResult:
    """With the verdict's warning among the numbers, if there is one."""
    return JobResult(verdict, code, stats if verdict.warning is None else stats | {"warning": verdict.warning})


class Reads(Protocol):
    """restic on a repository, to look at it."""

    async def ask(self, *arguments: str) -> Run:
        """Reads, without a lock of its own. The answer comes back and is not shown."""
        ...


class Restic(Reads, Protocol):
    """restic on the job's repository. Both calls end early, with a verdict that says so, when the job is stopped."""

    async def run(self, kind: JobKind, *arguments: str, answer: bool = False) -> Run:
        """Shown in the job's log, but for stdout where that is the answer. Waits for a repository that another restic
        has locked.
        """
        ...

    async def version(self) -> tuple[int, ...]:
        """`0.18.0` as (0, 18, 0); empty if it does not say."""
        ...

    def tell(self, text: str) -> None:
        """A line of the agent's own in the job's log."""
        ...


class Turns(Protocol):
    """Whose turn it is at a repository: jobs go one after the other there."""

    def is_busy(self, repository: Repository) -> bool:
        """Whether a job has this repository just now."""
        ...

    async def until_idle(self, repository: Repository) -> None:
        """Wait for the end of that job."""
        ...


class Counters(Protocol):
    """Named numbers on disk. Both raise SpoolError."""

    async def number(self, name: str) -> int: ...

    async def count_on(self, name: str) -> None: ...
