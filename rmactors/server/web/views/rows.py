"""What views read of a row, whichever row it is: lists are made of narrow ones, a page of its own of the whole."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from rmactors.common.vocabulary import JobKind, JobStatus
from rmactors.server.calendars.when import When
from rmactors.server.store.queries.hosts import Heard


class Timed(Protocol):
    """A run, and what it measured: `stats` is the agent's JSON object as text."""

    @property
    def stats(self) -> str: ...
    @property
    def started_at(self) -> int | None: ...
    @property
    def finished_at(self) -> int | None: ...


class Ended(Timed, Protocol):
    """A run that ended, and how."""

    @property
    def status(self) -> JobStatus: ...
    @property
    def reason(self) -> str | None: ...


class Scheduled(Protocol):
    """A schedule."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> JobKind: ...
    @property
    def when(self) -> When: ...
    @property
    def counted_from(self) -> int: ...
    @property
    def enabled(self) -> int: ...
    @property
    def anchor_at(self) -> int: ...


class Host(Heard, Protocol):
    """A host. `tags` is a JSON list as text."""

    @property
    def id(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def tags(self) -> str: ...
    @property
    def last_backup_at(self) -> int: ...


class Watched(Protocol):
    """A host with its schedules and, by kind of job, the one that ended last."""

    @property
    def host(self) -> Host: ...
    @property
    def schedules(self) -> Sequence[Scheduled]: ...
    @property
    def last_jobs(self) -> Mapping[str, Ended]: ...
