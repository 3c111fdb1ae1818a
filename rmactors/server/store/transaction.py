"""What the code of one write may use, and how writes find their code.

Each module of this package that changes tables registers one function a message:

    @handles
    def raise_alert(tx: Transaction, write: RaiseAlert) -> None: ...

It runs in the writer's transaction, among other commits. It returns what the asker wants to know, if anything,
or raises one of the three exceptions below, which undo its commit and become the answer.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

from rmactors.common.logs import Level, Told
from rmactors.server.messages.answers import Answer, Duplicate, Refused, Result, Stale
from rmactors.server.messages.writes import Write
from rmactors.server.state.delivery import Delivery
from rmactors.server.store.batch_end import NEXT_NUMBER, BatchEnd
from rmactors.server.store.database import Connection, Database, Parameters, Row, Rows

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


Refusal = RefusedWrite | StaleWrite | DuplicateWrite


def answer_to(refusal: Refusal) -> Answer:
    """What the asker of a refused commit hears."""
    match refusal:
        case RefusedWrite(code=code):
            return Refused(code, str(refusal))
        case StaleWrite():
            return Stale(str(refusal))
        case DuplicateWrite():
            return Duplicate()


Count = Literal["report", "attempt", "alert", "pruned"]
"""`report` (kind of job, status), `attempt` (kind of channel, verdict), `alert` (kind, severity), `pruned` (table)."""
Counted = tuple[str, ...]


@dataclass(slots=True)
class Wakeups:
    """Who has something to look at after the commit: an actor that is woken reads the store."""

    channels: set[str] = field(default_factory=set)
    """Channels with something new to send, which they have to read."""
    deliveries: dict[str, list[Delivery]] = field(default_factory=dict)
    """By channel, what is new and as it is in the store: it need not be read again."""
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

    def in_doubt(self) -> "Wakeups":
        """The same for a commit that may have failed: all of these read the store. Nothing is logged or counted."""
        return Wakeups(
            channels=self.channels | self.deliveries.keys(), hosts=self.hosts, channel_list=self.channel_list,
            repositories=self.repositories, policies=self.policies, tagged=self.tagged, topics=self.topics,
        )  # fmt: skip

    def merge(self, other: "Wakeups") -> None:
        self.told += other.told
        self.channels |= other.channels
        for channel_id, deliveries in other.deliveries.items():
            self.deliveries.setdefault(channel_id, []).extend(deliveries)
        self.hosts |= other.hosts
        self.channel_list |= other.channel_list
        self.repositories |= other.repositories
        self.policies |= other.policies
        self.tagged |= other.tagged
        self.topics |= other.topics
        for key, number in other.counts.items():
            self.counts[key] = self.counts.get(key, 0) + number


Otherwise = Exception | Callable[["Transaction"], Exception]
"""What an expectation that is not met becomes. A function looks at the database to tell, after the fact."""


class Transaction:
    """One commit in the open transaction.

    On PostgreSQL, `execute` only sends: what reads its rows waits for a round trip. Writes that come by the thousand
    read nothing; what they rest on is an expectation.
    """

    __slots__ = ("_cache", "_end", "execute", "executemany", "forgot", "wake")

    def __init__(self, connection: Database, cache: dict[str, Any], end: BatchEnd | None = None) -> None:
        self.execute: Callable[..., Rows] = connection.execute
        self.executemany: Callable[..., object] = connection.executemany
        self.wake = Wakeups()
        self.forgot = False
        self._cache = cache
        self._end = BatchEnd() if end is None else end

    def row(self, sql: str, parameters: Parameters = ()) -> Row | None:
        """The first row, or None."""
        found: Row | None = self.execute(sql, parameters).fetchone()
        return found

    def look(self, sql: str, parameters: tuple[Any, ...]) -> Row | None:
        """The same of what hardly any write changes (see `ahead`): a batch reads it once."""
        known, look = self._end.looked, (sql, parameters)
        if look not in known:
            known[look] = self.row(sql, parameters)
        return known[look]

    def rows(self, sql: str, parameters: Parameters = ()) -> list[Row]:
        return self.execute(sql, parameters).fetchall()

    def changed(self, sql: str, parameters: Parameters = ()) -> int:
        """How many rows a change touched."""
        return self.execute(sql, parameters).rowcount

    def expect(self, sql: str, parameters: Parameters, otherwise: Otherwise) -> None:
        """A change that must touch a row, or a look that must find one; if it does not, the commit fails with
        `otherwise`. Nothing may be made of what it does but that: on PostgreSQL it is known after the batch."""
        rows = self.execute(sql, parameters)
        met = rows.fetchone() is not None if is_a_look(sql) else rows.rowcount > 0
        if not met:
            raise otherwise if isinstance(otherwise, Exception) else otherwise(self)

    def then(self, sql: str, parameters: Parameters, do: Callable[["Transaction", Rows], None]) -> None:
        """A statement whose rows lead to more. On PostgreSQL, `do` comes after all other commits of the batch, if this
        one stands: it must be right then, too, and must not fail."""
        do(self, self.execute(sql, parameters))

    def next_number(self, channel_id: str) -> int:
        """The place of a new delivery in its channel's queue. The writer writes the next one down once a batch; a
        commit that fails leaves a gap."""
        number = self._end.numbers.get(channel_id)
        if number is None:
            row = self.row(NEXT_NUMBER, (channel_id,))
            assert row is not None
            number = row["next_seq"]
        self._end.numbers[channel_id] = number + 1
        return number

    def note_backup(self, host_id: str, good_at: int | None = None) -> None:
        """What lists of hosts are sorted by, of a host where a backup has ended; `good_at`: well, and when. The writer
        writes it down once a batch."""
        self._end.note_backup(host_id, good_at)

    def cached(self, name: str, load: Callable[["Transaction"], C]) -> C:
        """What `load` finds, kept until someone says `forget(name)`. For small tables read by every alert."""
        if name not in self._cache:
            self._cache[name] = load(self)
        found: C = self._cache[name]
        return found

    def forget(self, name: str) -> None:
        """Anyone who changes what is cached says so."""
        self._cache.pop(name, None)
        self.forgot = True


PROOF: Final = (
    "INSERT INTO facts (name, value) VALUES ('proof', '1')"
    " ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(facts.value AS BIGINT) + 1 AS TEXT)"
)
"""Changes one row: whether anything can be put on the disk."""


def is_a_look(sql: str) -> bool:
    """Whether a statement changes nothing: an expectation of one is about what it finds."""
    return sql.startswith("SELECT")


@contextmanager
def atomic(connection: Connection) -> Iterator[None]:
    """One transaction beside the writer's batches: all that is done inside is committed, or nothing."""
    begin_writing(connection)
    try:
        yield
        end(connection, "COMMIT")
    except BaseException:
        if connection.in_transaction:
            end(connection, "ROLLBACK")
        raise


def begin_writing(connection: Connection) -> None:
    """No other connection writes until the end."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("BEGIN IMMEDIATE")
    else:
        connection.begin_writing()


def begin_reading(connection: Connection) -> None:
    """What is read until the end is of one moment."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("BEGIN")
    else:
        connection.begin_reading()


def end(connection: Connection, how: Literal["COMMIT", "ROLLBACK"]) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(how)
    else:
        connection.end(how)


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
