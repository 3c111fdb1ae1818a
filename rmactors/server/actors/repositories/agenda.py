"""When a host's agent is asked about its repositories again, and what its answer means for that. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from rmactors.common.clock import DAY, HOUR, MINUTE
from rmactors.server.actors.repositories.answers import read_answer
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
    LiveAnswer,
)
from rmactors.server.messages.repositories import FoundRepository, PostponeLook, SettleLook
from rmactors.server.state.repositories import DueHost

EVERY: Final = DAY
"""Between two looks at a host's repositories."""
FRESH: Final = 23 * HOUR
"""A size that is younger is not measured again: the next look comes after a day, and some looks are longer."""
AWAY: Final = 10 * MINUTE
"""After this, an agent that was not there is asked again."""
FIRST_PAUSE: Final = 15 * MINUTE
"""After a look in which something went wrong; twice as long after each further one, up to a day."""


@dataclass(frozen=True, slots=True)
class Listed:
    """The repositories that the agent told of."""

    found: tuple[FoundRepository, ...]


@dataclass(frozen=True, slots=True)
class Away:
    """The agent is not there, or is asked for enough else: nothing is known about its repositories."""


@dataclass(frozen=True, slots=True)
class Problem:
    """It does not tell: `not_allowed`, `too_old`, `slow` or `failed`, and a sentence, empty if there is none."""

    code: str
    detail: str


Heard = Listed | Away | Problem


def heard(answer: LiveAnswer) -> Heard:
    """What an agent's answer to `stats` says."""
    match answer:
        case AgentAnswered(items):
            found = read_answer(items)
            return Problem("failed", "its answer cannot be read") if found is None else Listed(found)
        case AgentAway() | AgentRefused(code="busy"):
            return Away()
        case AgentRefused(code="not_allowed"):
            return Problem("not_allowed", "")
        case AgentRefused(_, detail):
            return Problem("failed", detail)
        case AgentTooOld():
            return Problem("too_old", "")
        case AgentSlow():
            return Problem("slow", "")
        case _:
            assert_never(answer)


def in_words(problem: Problem) -> str:
    """For a repository that could not be measured because of it."""
    return problem.detail or {"slow": "its agent did not answer in time"}.get(problem.code, "its agent does not tell")


def after_look(host: DueHost, at: int, trouble: Problem | None, errors: Sequence[str]) -> SettleLook:
    """A look at a host that began at `at`. `trouble` is why its agent told nothing; `errors` are those of repositories.

    An agent that may not tell, or cannot, is not asked sooner than another: its hello after a change is looked at.
    """
    if trouble is None and not errors:
        return SettleLook(host.id, at, at + EVERY, 0, None, None)
    if trouble is not None and trouble.code in {"not_allowed", "too_old"}:
        return SettleLook(host.id, at, at + EVERY, 0, trouble.code, None)
    failures = host.failures + 1
    pause = min(EVERY, FIRST_PAUSE << min(failures - 1, 10))
    if trouble is None:
        return SettleLook(host.id, at, at + pause, failures, None, None)
    return SettleLook(host.id, at, at + pause, failures, trouble.code, trouble.detail or None)


def when_away(host: DueHost, now: int) -> PostponeLook:
    return PostponeLook(host.id, now + AWAY)
