"""Writes from command lines, beside a server that may be running on the same database."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from rmactors.common import clock
from rmactors.server.config.ownership import chown_like
from rmactors.server.config.settings import Settings
from rmactors.server.messages.answers import Answer
from rmactors.server.messages.writes import Write
from rmactors.server.store.database import Connection
from rmactors.server.store.engines import postgres_facts
from rmactors.server.store.engines.opening import connect, open_writer
from rmactors.server.store.engines.postgres_facts import ServerFacts
from rmactors.server.store.migrations import MigrationError, migrate, missing
from rmactors.server.store.place import Place

T = TypeVar("T")


def prepare(settings: Settings, *, beside: bool = False) -> Place:
    """Make the data dir (0700) and SQLite's file if they are missing, bring the schema up to date.

    `beside`: for a command, which leaves a PostgreSQL's schema as it is while a node leads there. Returns where the
    database is. Raises OSError, DatabaseError or MigrationError.
    """
    data_dir, place = Path(settings.data_dir), settings.place
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if isinstance(place, Path) and not place.exists():
        descriptor = os.open(place, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            chown_like(data_dir, descriptor)
        finally:
            os.close(descriptor)
    with closing(connect(place)) as connection:
        if not isinstance(place, Path):
            leader = require_fit(connection).leader
            if beside and leader is not None and leader.leads and missing(connection)[0]:
                raise MigrationError(f"it is of an older version, and the node {leader.node} leads: upgrade that first")
        migrate(connection)
    return place


def require_fit(connection: Connection) -> ServerFacts:
    """What a PostgreSQL is. Raises MigrationError where it will not do, DatabaseError."""
    found = postgres_facts.read(connection, clock.now)
    if wrong := list(postgres_facts.unfit(found)):
        raise MigrationError("; ".join(wrong))
    return found


def look_here(settings: Settings, query: Callable[[Connection], T]) -> T:
    """What a query finds. Raises as `commit_here`."""
    with closing(connect(prepare(settings, beside=True), busy_seconds=30)) as connection:
        return query(connection)


def commit_here(settings: Settings, *writes: Write) -> Answer:
    """Commit the writes together from this process. A running server sees them at its next look.

    Raises OSError, DatabaseError or MigrationError if there is no database to be had.
    """
    with closing(open_writer(prepare(settings, beside=True), busy_seconds=30)) as writer:
        answers, _ = writer.apply([writes])
    return answers[0]
