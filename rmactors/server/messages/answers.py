"""What the store actor and the rules actor answer, once, to what they were asked."""

from collections.abc import Callable

from msgspec import Struct

from rmactors.server.messages.accounts import UserReset
from rmactors.server.messages.enrollment import Enrolled
from rmactors.server.messages.jobs import JobStarted
from rmactors.server.messages.provided_users import ProvidedUser
from rmactors.server.messages.retention import Pruned
from rmactors.server.messages.second_factors import Tries

Result = JobStarted | Enrolled | ProvidedUser | Pruned | Tries | UserReset
"""What a write has to say once it is on disk. Most say nothing."""


class Committed(Struct, frozen=True):
    """On disk. `results` of those writes that have one, in their order."""

    results: tuple[Result, ...] = ()


class Duplicate(Struct, frozen=True):
    """It was on disk already, nothing was written."""


class Stale(Struct, frozen=True):
    """An expectation failed: the decision was made on state that is not so. Nothing was written."""

    detail: str


class Refused(Struct, frozen=True):
    """It can never be taken, and that is the asker's to know. Nothing was written."""

    code: str
    detail: str


class Failed(Struct, frozen=True):
    """The commit did not happen (disk full, database locked). Ask again later."""

    detail: str


Answer = Committed | Duplicate | Stale | Refused | Failed

Reply = Callable[[Answer], None]
"""Takes the one answer and never waits."""


def no_reply(_: Answer) -> None:
    """For writes whose failure is made good by the next one of their kind."""
