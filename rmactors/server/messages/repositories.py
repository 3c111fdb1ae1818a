"""Writes about repositories as wholes: what agents tell of them, and when they are asked again."""

from dataclasses import dataclass

from rmactors.server.messages.audit import Audit


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """One repository of a host's agent.toml, as its agent told of it. `repository_id` is None where it could not be
    opened, `measurement` where it was not measured; `error` says why. `plans` are names, `location` has no passwords,
    `filed_as` is the host's name in its snapshots."""

    name: str
    repository_id: str | None
    location: str
    plans: tuple[str, ...]
    filed_as: str
    version: int | None
    measurement: "Measurement | None"
    error: str | None


@dataclass(frozen=True, slots=True)
class Measurement:
    """`shares` and `locks` are JSON lists, as in the tables."""

    size_bytes: int
    uncompressed_bytes: int | None
    compression: float | None
    snapshots: int
    shares: str
    locks: str


@dataclass(frozen=True, slots=True)
class SaveRepositories:
    """What a host's agent told when it was asked at `at`. `all_of_them`: the host has no others any more."""

    host_id: str
    at: int
    found: tuple[FoundRepository, ...]
    all_of_them: bool


@dataclass(frozen=True, slots=True)
class SettleLook:
    """A host's agent was asked at `at`, and is asked again at `due_at`. `problem` is why it does not tell, None where
    it does; `failures` how often in a row something went wrong."""

    host_id: str
    at: int
    due_at: int
    failures: int
    problem: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class PostponeLook:
    """The host's agent is not there just now: nothing is known that was not known before."""

    host_id: str
    due_at: int


@dataclass(frozen=True, slots=True)
class RefreshRepository:
    """An operator wants it measured now, by any host that has it."""

    repository_id: str
    at: int
    audit: Audit
