"""What the actor that asks about repositories reads: whom to ask, and what is to be measured there; and how what was
measured grows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from rmactors.common.clock import DAY


@dataclass(frozen=True, slots=True)
class DueHost:
    """A host whose agent may be asked now. `failures`: so many times in a row something went wrong there."""

    id: str
    name: str
    failures: int


@dataclass(frozen=True, slots=True)
class ToMeasure:
    """A repository, by its name in that host's agent.toml, whose size is not of today."""

    name: str
    repository_id: str


MONTH: Final = 30 * DAY
_LEAST_TIME: Final = DAY
"""What a repository grew in less than that says nothing of a month."""


class Size(NamedTuple):
    """How large a repository was. `at` in microseconds."""

    at: int
    bytes: int


def growth_a_month(sizes: Sequence[Size]) -> int | None:
    """Bytes in 30 days, by what it grew in the last 30 days, or as long as it is known; None if that is too short.

    By the last size of each week: a list reads no others, and its numbers are to be those of the page of one.
    """
    if not sizes:
        return None
    weeks = list({size.at // DAY // 7: size for size in sizes}.values())
    newest = weeks[-1]
    before = [size for size in weeks if size.at <= newest.at - MONTH]
    oldest = before[-1] if before else weeks[0]
    time = newest.at - oldest.at
    return None if time < _LEAST_TIME else round((newest.bytes - oldest.bytes) * MONTH / time)
