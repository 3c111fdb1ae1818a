"""The PostgreSQL of the tests: it goes with them however they end, and each test has an empty database."""

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from harness.postgres import PostgresServer, needed_programs, running_postgres
from harness.processes import ROOT, eventually
from rmactors.server.store.database import PostgresError
from rmactors.server.store.engines.opening import connect
from rmactors.server.store.migrations import migrate
from tests.databases import PostgresDatabases

OTHER_TESTS = """
from harness.postgres import PostgresServer
server = PostgresServer()
server.start()
print(server.folder, server.process.pid, flush=True)
input()
"""


def test_it_ends_with_the_tests_also_where_those_are_killed() -> None:
    needed_programs()
    with subprocess.Popen(
        [sys.executable, "-c", OTHER_TESTS], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tests:
        assert tests.stdout is not None
        folder, pid = tests.stdout.readline().split()
        assert Path(folder, "data").is_dir()
        assert Path("/proc", pid).is_dir()
        tests.send_signal(signal.SIGKILL)
    eventually(lambda: not Path("/proc", pid).is_dir() and not Path(folder).exists(), 120, lambda: folder)


def test_a_paused_one_is_removed_as_well() -> None:
    server = PostgresServer()
    server.start()
    server.pause()
    server.remove()
    assert not server.running
    assert not server.folder.exists()


def written(server: PostgresServer, database: str = "d") -> list[int]:
    return [number for (number,) in server.execute("SELECT n FROM t ORDER BY n", database=database)]


def test_what_is_committed_into_a_durable_one_outlives_its_crashes_and_its_pauses() -> None:
    with running_postgres(durable=True, tcp=True) as server:
        place = server.new_database("d")
        assert "127.0.0.1" in place.url
        with closing(connect(place)) as connection:
            connection.execute("CREATE TABLE t (n BIGINT)")
            connection.execute("INSERT INTO t VALUES (1)")
        server.stop("immediate")
        server.start()
        server.execute("INSERT INTO t VALUES (2)", database="d")
        server.kill()
        assert not server.running
        server.start()
        server.pause()
        with pytest.raises(psycopg.errors.ConnectionTimeout):
            psycopg.connect(place.url, connect_timeout=2)
        server.resume()
        assert written(server) == [1, 2]
        server.stop()
        server.start()
        assert written(server) == [1, 2]


def test_connections_can_be_ended(postgres_databases: PostgresDatabases) -> None:
    place = postgres_databases.new()
    with closing(connect(place)) as connection:
        connection.execute("SELECT 1").fetchall()
        assert postgres_databases.server.terminate_backends(postgres_databases.name_of(place)) == 1
        with pytest.raises(PostgresError):
            connection.execute("SELECT 1").fetchall()
    postgres_databases.give_back(place)


def test_a_database_that_was_used_is_as_new_for_the_next_test(postgres_databases: PostgresDatabases) -> None:
    place = postgres_databases.new()
    with closing(connect(place)) as connection:
        assert migrate(connection) == [], "it is migrated"
        connection.execute("UPDATE leader SET epoch = 7")
        connection.execute("INSERT INTO facts (name, value) VALUES ('x', '1')")
        connection.execute("BEGIN")
        connection.execute("LOCK TABLE facts")  # and is cut off in the middle
        postgres_databases.give_back(place)
    again = postgres_databases.new()
    assert again == place
    with closing(connect(again)) as connection:
        assert [tuple(row) for row in connection.execute("SELECT epoch FROM leader")] == [(0,)]
        assert connection.execute("SELECT * FROM facts").fetchall() == []
    postgres_databases.give_back(again)


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE facts ADD COLUMN more TEXT", "DROP INDEX alerts_unresolved", "CREATE TABLE more (n BIGINT)",
        "CREATE OR REPLACE FUNCTION unicode_lower(t TEXT) RETURNS TEXT LANGUAGE sql IMMUTABLE AS 'SELECT t'",
    ],
)  # fmt: skip
def test_one_whose_schema_was_changed_is_given_to_nobody(postgres_databases: PostgresDatabases, change: str) -> None:
    place = postgres_databases.new()
    with closing(connect(place)) as connection:
        connection.execute(change)
    postgres_databases.give_back(place)
    again = postgres_databases.new()
    assert again != place
    postgres_databases.give_back(again)
