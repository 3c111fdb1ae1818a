"""Both engines for tests: a file of SQLite's, or a database in a PostgreSQL that the tests start themselves.

A test that asks for the fixture `place`, or for one that rests on it, runs once on each.
"""

import shutil
from contextlib import closing
from pathlib import Path
from typing import Protocol

import pytest

from harness.postgres import USER, PostgresServer
from rmactors.server.store.engines import sqlite
from rmactors.server.store.engines.postgres import Session
from rmactors.server.store.migrations import migrate
from rmactors.server.store.place import Place, PostgresUrl

ENGINES = ("sqlite", "postgresql")
on_sqlite_alone = pytest.mark.parametrize("place", ["sqlite"], indirect=True)
"""For a test that is about SQLite's file."""
on_postgresql_alone = pytest.mark.parametrize("place", ["postgresql"], indirect=True)

_TEMPLATE = "migrated"
_PUBLIC = "'public'::regnamespace"
_MADE = f"SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = {_PUBLIC} ORDER BY relname"
_PARTS = {
    "pg_attribute": f"attrelid IN (SELECT oid FROM pg_class WHERE relnamespace = {_PUBLIC})",
    "pg_class": f"relnamespace = {_PUBLIC}", "pg_constraint": "true", "pg_trigger": "true", "pg_proc": "oid >= 16384",
}  # fmt: skip
_SHAPE = "SELECT " + " || ' ' || ".join(
    f"(SELECT count(*) || ' ' || max(CAST(CAST(xmin AS TEXT) AS BIGINT)) FROM {name} WHERE {which})"
    for name, which in _PARTS.items()
)
"""Another one once tables, triggers or functions were changed."""


class Places(Protocol):
    """New databases, one after the other."""

    def new(self) -> Place: ...
    def give_back(self, place: Place) -> None: ...


class SqlitePlaces:
    """Files of one folder, each migrated before."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        self._count = 0

    def new(self) -> Path:
        if not self._template.exists():
            with closing(sqlite.connect(self._template)) as connection:
                migrate(connection)
        self._count += 1
        return Path(shutil.copy(self._template, self._folder / f"{self._count}.db"))

    def give_back(self, place: Place) -> None:
        assert isinstance(place, Path)
        place.unlink()


class PostgresDatabases:
    """Migrated databases without data. One that is given back is emptied and given to the next test: that takes a
    thousandth of the time that making one takes, and a thirtieth of that of TRUNCATE."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self._count = 0
        self._idle: list[str] = []
        self._given: dict[PostgresUrl, str] = {}
        with closing(Session(server.new_database(_TEMPLATE).url)) as session:
            migrate(session)
        with closing(Session(server.url(_TEMPLATE).url)) as session:
            self._write_down_how_to_empty(session)

    def _write_down_how_to_empty(self, session: Session) -> None:
        tables = [name for (name,) in session.execute(_MADE) if name != "migrations"]
        steps = [f"DELETE FROM {name};" for name in tables]
        session.execute("CREATE SCHEMA kept")  # what the migrations themselves have written
        for name in tables:
            if session.execute(f"SELECT count(*) FROM {name}").fetchone()[0]:
                session.execute(f"CREATE TABLE kept.{name} AS TABLE {name}")
                steps.append(f"INSERT INTO {name} SELECT * FROM kept.{name};")
        session.execute(
            "CREATE FUNCTION kept.empty_all() RETURNS void LANGUAGE plpgsql SET session_replication_role = replica"
            f" AS $$ BEGIN {' '.join(steps)} END $$"
        )
        self._shape = session.execute(_SHAPE).fetchone()[0]

    def new(self) -> PostgresUrl:
        if self._idle:
            name = self._idle.pop()
        else:
            self._count += 1
            name = f"test{self._count}"
            self.server.new_database(name, _TEMPLATE)
        place = self.server.url(name, USER)
        self._given[place] = name
        return place

    def name_of(self, place: PostgresUrl) -> str:
        return self._given[place]

    def give_back(self, place: Place) -> None:
        """Who is still connected is cut off. A database whose schema was changed is dropped."""
        assert isinstance(place, PostgresUrl)
        name = self._given.pop(place)
        self.server.terminate_backends(name)
        with closing(Session(self.server.url(name).url)) as session:
            as_made = session.execute(_SHAPE).fetchone()[0] == self._shape
            if as_made:
                session.execute("SELECT kept.empty_all()")
                self._idle.append(name)
        if not as_made:
            self.server.execute(f"DROP DATABASE {name} WITH (FORCE)")
