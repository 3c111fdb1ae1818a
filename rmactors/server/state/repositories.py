"""What the actor that asks about repositories reads: whom to ask, and what is to be measured there."""

from dataclasses import dataclass


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
