"""What the code of one write may use, and how writes find their code.

Each module of this package that changes tables registers one function a message:

    @handles
    def raise_alert(tx: Transaction, write: RaiseAlert) -> None: ...

It runs inside a savepoint of the writer's transaction. It returns what the asker wants to know, if anything,
or raises one of the three exceptions below, which roll the savepoint back and become the answer.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from rmactors.common.logs import Level, Told
from rmactors.server.messages.answers import Result
from rmactors.server.messages.writes import Write

W = TypeVar("W", bound=Write)
R = TypeVar("R", bound=Result | None)
C = TypeVar("C")


class RefusedWrite(Exception):
    """The write can never be taken; `code` says why. You get it for what somebody got wrong, not for races."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code


class StaleWrite(Exception):
    """What the decision expected is not so. The asker reloads and decides again."""


class DuplicateWrite(Exception):
    """It is on disk already. The asker may go on as if it had just been written."""


Count = Literal["report", "attempt", "alert", "pruned"]
"""`report` (kind of job, status), `attempt` (kind of channel, verdict), `alert` (kind, severity), `pruned` (table)."""
Counted = tuple[str, ...]


@dataclass(slots=True)
class Wakeups:
    """Who has something to look at after the commit. Names only: an actor that is woken reads the store."""

    channels: set[str] = field(default_factory=set)
    """Channels with something new to send."""
    hosts: set[str] = field(default_factory=set)
    """Hosts that are new or gone, or whose schedules, queued jobs or credential changed."""
    channel_list: bool = False
    """A channel was made, changed or deleted."""
    repositories: bool = False
    """A repository is to be looked at now."""
    policies: set[str] = field(default_factory=set)
    """Policies that are new, changed or deleted."""
    tagged: set[str] = field(default_factory=set)
    """Hosts that are new, have other tags, or are paused or no longer so: what policies make there may change."""
    topics: set[str] = field(default_factory=set)
    """What browsers may show: `alerts`, `hosts`, `jobs`, `job:<id>`, `channels`, `silences`, `users`,
    `repositories`, `policies`."""
    told: list[Told] = field(default_factory=list)
    """What was committed, for the log."""
    counts: dict[Counted, int] = field(default_factory=dict)
    """What was committed, for `/metrics`: counted here, so that only what is on disk counts."""

    def count(self, what: Count, *labels: str, number: int = 1) -> None:
        """So many more of `what`. Labels come from closed vocabularies, never from free text."""
        key = (what, *labels)
        self.counts[key] = self.counts.get(key, 0) + number

    def tell(self, level: Level, event: str, **fields: object) -> None:
        """Log this once it is on disk. Ids, names, and what an administrator reads; never a secret."""
        self.told.append((level, event, fields))

    def merge(self, other: "Wakeups") -> None:
        self.told += other.told
        self.channels |= other.channels
        self.hosts |= other.hosts
        self.channel_list |= other.channel_list
        self.repositories |= other.repositories
        self.policies |= other.policies
        self.tagged |= other.tagged
        self.topics |= other.topics
        for key, number in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + number


class Transaction:
    """One savepoint of the open transaction."""

    __slots__ = ("_cache", "execute", "executemany", "wake")

    def __init__(self, connection: sqlite3.Connection, cache: dict[str, Any]) -> None:
        self.execute: Callable[..., sqlite3.Cursor] = connection.execute
        self.executemany: Callable[..., sqlite3.Cursor] = connection.executemany
        self.wake = Wakeups()
        self._cache = cache

    def row(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> sqlite3.Row | None:
        """The first row, or None."""
        found: sqlite3.Row | None = self.execute(sql, parameters).fetchone()
        return found

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[sqlite3.Row]:
        return self.execute(sql, parameters).fetchall()

    def changed(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """How many rows a change touched."""
        return self.execute(sql, parameters).rowcount

    def cached(self, name: str, load: Callable[["Transaction"], C]) -> C:
        """What `load` finds, kept until someone says `forget(name)`. For small tables read by every alert."""
        if name not in self._cache:
            self._cache[name] = load(self)
        found: C = self._cache[name]
        return found

    def forget(self, name: str) -> None:
        """Anyone who changes what is cached says so."""
        self._cache.pop(name, None)


@contextmanager
def atomic(connection: sqlite3.Connection) -> Iterator[None]:
    """One transaction beside the writer's batches: all that is done inside is committed, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


Apply = Callable[[Transaction, Any], Result | None]
HANDLERS: dict[type[Write], Apply] = {}
"""One function for each kind of write: a table costs 0.4 µs a write, a `match` over all of them 5."""


def handles(apply: Callable[[Transaction, W], R]) -> Callable[[Transaction, W], R]:
    """Register the function that applies one kind of write: the type of its `write`."""
    write = apply.__annotations__["write"]
    if write in HANDLERS:
        raise RuntimeError(f"{write.__name__} has two handlers")
    HANDLERS[write] = apply
    return apply
