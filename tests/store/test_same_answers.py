"""Each reading query gives the same answer on PostgreSQL as on SQLite: values, their types, and the order of rows."""

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib import import_module
from types import ModuleType

import pytest

from rmactors.server.store import (
    channel_trouble,
    load_channels,
    load_hosts,
    load_policies,
    load_rules,
    queries,
    retention,
)
from rmactors.server.store.database import Connection, Database
from rmactors.server.store.engines.opening import connect, connect_read_only
from rmactors.server.store.migrations import migrate
from tests.databases import PostgresDatabases
from tests.store.asked import any_rows, fleet, others
from tests.store.asked.question import Question

GROUPS = (
    fleet.of_hosts, fleet.of_jobs, fleet.of_schedules, fleet.of_ages, others.of_alerts, others.of_channels,
    others.of_people, others.of_repositories, others.of_the_whole,
)  # fmt: skip
Group = Callable[[], Iterator[Question]]


@pytest.fixture(scope="module", params=["filled", "empty"])
def twins(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, postgres_databases: PostgresDatabases
) -> Iterator[tuple[Connection, Connection]]:
    """A database on each engine, with the same rows."""
    file, server = tmp_path_factory.mktemp("twins") / "rm.db", postgres_databases.new()
    with closing(connect(file)) as one, closing(connect(server)) as other:
        migrate(one)
        one.execute("BEGIN")
        taken = any_rows.fill(one, seed=1) if request.param == "filled" else {}
        one.execute("COMMIT")
        other.execute("BEGIN")
        for table, rows in taken.items():
            for row in rows:
                any_rows.insert(other, table, row)
        other.execute("COMMIT")
    with closing(connect_read_only(file)) as one, closing(connect_read_only(server)) as other:
        yield one, other
    postgres_databases.give_back(server)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_both_engines_give_the_same_answer(group: Group, twins: tuple[Connection, Connection]) -> None:
    sqlite, postgresql = twins
    questions = list(group())
    answers = [(str(each), each.answer(sqlite), each.answer(postgresql)) for each in questions]
    assert [name for name, expected, found in answers if found != expected] == []
    assert len(questions) > 20


def test_every_reading_query_is_asked() -> None:
    asked = {question.query for group in GROUPS for question in group()}
    there = {function for module in _modules() for function in _reading(module)}
    assert sorted(f"{each.__module__}.{each.__name__}" for each in there - asked) == []


def _modules() -> Iterator[ModuleType]:
    yield from (channel_trouble, load_channels, load_hosts, load_policies, load_rules, retention)
    for each in pkgutil.iter_modules(queries.__path__):
        yield import_module(f"{queries.__name__}.{each.name}")


def _reading(module: ModuleType) -> Iterator[Callable[..., object]]:
    """Its public functions that take a database."""
    for name, function in inspect.getmembers(module, inspect.isfunction):
        if function.__module__ == module.__name__ and not name.startswith("_"):
            first = next(iter(inspect.signature(function).parameters.values()), None)
            if first is not None and first.annotation is Database:
                yield function
