"""What the store actor and the rules actor answer, once, to what they were asked."""

from collections.abc import Callable
from dataclasses import dataclass

from rmactors.server.messages.accounts import UserReset
from rmactors.server.messages.enrollment import Enrolled
from rmactors.server.messages.jobs import JobStarted
from rmactors.server.messages.provided_users import ProvidedUser
from rmactors.server.messages.retention import Pruned
from rmactors.server.messages.second_factors import Tries

Result = JobStarted | Enrolled | ProvidedUser | Pruned | Tries | UserReset
"""What a write has to say once it is on disk. Most say nothing."""


@dataclass(frozen=True, slots=True)
class Committed:
    """On disk. `results` of those writes that have one, in their order."""

    results: tuple[Result, ...] = ()


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
