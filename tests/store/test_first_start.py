"""Several nodes that start at once on a PostgreSQL that has no tables yet."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import pytest

from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import migrate, missing
from rmactors.server.store.place import PostgresUrl
from tests.databases import PostgresDatabases

NODES = 6
_numbers = count()


@pytest.fixture
def empty(postgres_databases: PostgresDatabases) -> Iterator[PostgresUrl]:
    name = f"no_tables_{next(_numbers)}"
    yield postgres_databases.server.new_database(name)
    postgres_databases.server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.mark.parametrize("again", range(5))
def test_nodes_that_start_at_once_make_the_tables_once(empty: PostgresUrl, again: int) -> None:
    def start(_: int) -> None:
        with closing(connect(empty)) as connection:
            migrate(connection)

    with ThreadPoolExecutor(NODES) as threads:
        list(threads.map(start, range(NODES)))
    with closing(connect(empty)) as connection:
        assert missing(connection) == ([], [])
        assert connection.execute("SELECT count(*) FROM leader").fetchone()[0] == 1
