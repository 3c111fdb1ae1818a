"""What a PostgreSQL is, and whether it will do: what is asked of it, and apart from that, pure, what follows.

A start refuses what is `unfit`; `rmactors doctor` says that and the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from rmactors.common.clock import SECOND
from rmactors.server.store.database import Database

OLDEST: Final = 15
Replication = Literal["none", "async", "sync"]
CLOCK_DOUBTFUL: Final = 2 * SECOND
CLOCK_WRONG: Final = 10 * SECOND
"""Microseconds between the clocks of a node and of the database; the lease is counted by the latter."""

_PRIVILEGE: Final = "grant pg_monitor to the role to see it"


@dataclass(frozen=True, slots=True)
class Leader:
    """Who has the lease. `node` and `url` are None where nobody ever had it; `leads`: it has not run out."""

    node: str | None
    url: str | None
    leads: bool


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """`standbys` is its synchronous_standby_names, `replicas` the sync_state of each standby that is connected, None
    where the role may not see it. `clock_off`: our clock minus its, microseconds. `size` in bytes. `leader` is None
    where there are no tables yet."""

    version: int
    encoding: str
    binary_order: bool
    standby: bool
    role: str
    may_create: bool
    has_tables: bool
    fsync: bool
    synchronous_commit: str
    standbys: str
    replicas: tuple[str | None, ...]
    leader: Leader | None
    size: int
    clock_off: int


def read(db: Database, now: Callable[[], int]) -> ServerFacts:
    """`now` gives microseconds. Raises DatabaseError."""
    row = db.execute(
        "SELECT CAST(current_setting('server_version_num') AS BIGINT) / 10000 AS version,"
        " pg_encoding_to_char(encoding) AS encoding, pg_is_in_recovery() AS standby,"
        " current_user AS role, coalesce(has_schema_privilege(current_schema(), 'CREATE'), FALSE) AS may_create,"
        " to_regclass('leader') IS NOT NULL AS has_tables,"
        " current_setting('fsync') <> 'off' AS fsync, current_setting('synchronous_commit') AS synchronous_commit,"
        " current_setting('synchronous_standby_names') AS standbys, pg_database_size(oid) AS size"
        " FROM pg_database WHERE datname = current_database()"
    ).fetchone()
    words = "(VALUES ('a'), ('B'), ('a b'), ('aa'), ('A_'), ('z'), ('Ä'), ('é')) AS words (word)"
    (binary,) = db.execute(
        f"SELECT string_agg(word, ',' ORDER BY word) = string_agg(word, ',' ORDER BY word COLLATE \"C\") FROM {words}"  # noqa: S608
    ).fetchone()
    replicas = db.execute("SELECT sync_state FROM pg_stat_replication ORDER BY pid").fetchall()
    return ServerFacts(
        version=row["version"],
        encoding=row["encoding"],
        binary_order=bool(binary),
        standby=bool(row["standby"]),
        role=row["role"],
        may_create=bool(row["may_create"]),
        has_tables=bool(row["has_tables"]),
        fsync=bool(row["fsync"]),
        synchronous_commit=row["synchronous_commit"],
        standbys=row["standbys"],
        replicas=tuple(state for (state,) in replicas),
        leader=leader(db) if row["has_tables"] else None,
        size=row["size"],
        clock_off=clock_off(db, now),
    )


def leader(db: Database) -> Leader:
    """By the database's clock. Raises DatabaseError."""
    row = db.execute(
        "SELECT node, url, until_at > CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT) AS leads"
        " FROM leader WHERE name = 'server'"
    ).fetchone()
    return Leader(None, None, leads=False) if row is None else Leader(row["node"], row["url"], bool(row["leads"]))


def replication(db: Database) -> Replication | None:
    """None where the role may not see it. Raises DatabaseError."""
    row = db.execute(
        "SELECT current_setting('synchronous_commit') AS commit, current_setting('synchronous_standby_names') AS names"
    ).fetchone()
    states = [state for (state,) in db.execute("SELECT sync_state FROM pg_stat_replication ORDER BY pid").fetchall()]
    return replication_of(row["commit"], row["names"], states)


def clock_off(db: Database, now: Callable[[], int]) -> int:
    """Our clock minus the database's, microseconds; right to half of the time that the question takes."""
    before = now()
    (there,) = db.execute("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)").fetchone()
    return (before + now()) // 2 - int(there)


# ---- what follows. Pure.


def replication_of(commit: str, names: str, states: Sequence[str | None]) -> Replication | None:
    """`sync` where each commit waits for a standby, also while none is there."""
    if not names or commit in ("off", "local"):
        return "async" if states else "none"
    if None in states and not any(state in ("sync", "quorum") for state in states):
        return None
    return "sync"


def unfit(facts: ServerFacts) -> Iterator[str]:
    """Why no server starts on it, each with what to do."""
    if facts.version < OLDEST:
        yield f"PostgreSQL {facts.version} is too old: use version {OLDEST} or newer"
    if facts.standby:
        yield (
            "this PostgreSQL is a standby, which takes no writes: name the primary in RM_DATABASE_URL, or all of them"
            " as in postgresql://host1,host2/database?target_session_attrs=read-write"
        )
    wrong = [
        *([f"keeps texts as {facts.encoding} instead of UTF8"] if facts.encoding != "UTF8" else []),
        *(["orders texts by the rules of a language"] if not facts.binary_order else []),
    ]
    if wrong:
        yield (
            f"the database {' and '.join(wrong)}: make another one with"
            " CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C'"
        )
    if not facts.may_create and not facts.standby:
        yield (
            f"the role {facts.role} may not create tables here: make it the database's owner with"
            f" ALTER DATABASE … OWNER TO {facts.role}"
        )


def findings(facts: ServerFacts, *, require_sync: bool) -> Iterator[tuple[bool | None, str]]:
    """Whether each thing that may be wrong is so: True is good, False a fault, None to be known."""
    if not facts.fsync:
        yield False, "fsync is off in PostgreSQL: a power cut may damage the database; set it to on"
    yield _of_replication(facts, require_sync)
    yield _of_clock(facts)


def _of_replication(facts: ServerFacts, require_sync: bool) -> tuple[bool | None, str]:
    commit, names = facts.synchronous_commit, facts.standbys
    if commit == "off":
        return False, (
            "synchronous_commit is off in PostgreSQL: what agents were told is safe can be lost when its machine"
            " fails; set it to on"
        )
    if require_sync and (not names or commit == "local"):
        return False, (
            "RM_REQUIRE_SYNC is true, and no commit waits for a standby: nothing is taken in. Set"
            " synchronous_standby_names in PostgreSQL, and synchronous_commit to on"
        )
    if not names or commit == "local":
        if not facts.replicas:
            return True, "PostgreSQL has no standby: what is committed is safe on its own disk"
        return None, (
            "replication is asynchronous: what agents were told is safe can be lost when a standby takes over; set"
            " synchronous_standby_names (and RM_REQUIRE_SYNC=true) to wait for one"
        )
    if any(state in ("sync", "quorum") for state in facts.replicas):
        return True, f"replication is synchronous (synchronous_standby_names is {names})"
    if None in facts.replicas:
        return None, f"whether a standby is synchronous cannot be seen: {_PRIVILEGE}"
    return False, (
        f"synchronous_standby_names is {names}, and no such standby is connected: nothing can be committed until one is"
    )


def _of_clock(facts: ServerFacts) -> tuple[bool | None, str]:
    off = abs(facts.clock_off)
    side = "ahead of" if facts.clock_off > 0 else "behind"
    text = f"the clock here is {off / SECOND:,.1f} s {side} PostgreSQL's: let NTP keep both right"
    if off > CLOCK_WRONG:
        return False, text
    if off > CLOCK_DOUBTFUL:
        return None, text
    return True, "the clocks here and of PostgreSQL agree"
