"""A connection to PostgreSQL: what is sent ahead, what is read, what fails, and what it keeps."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from rmactors.server.store.database import PostgresError, PostgresIntegrityError
from rmactors.server.store.engines.postgres import KEPT, Lost, Session, Skipped
from rmactors.server.store.place import PostgresUrl
from tests.databases import PostgresDatabases


@pytest.fixture
def session(postgres_place: PostgresUrl) -> Iterator[Session]:
    with closing(Session(postgres_place.url)) as opened:
        yield opened


def test_rows_have_the_types_of_sqlite(session: Session) -> None:
    row = session.execute(
        "SELECT 1 AS small, 1099511627776 AS large, 1.5::float8 AS part, 'x' AS word, NULL AS nothing,"
        " TRUE AS yes, (SELECT sum(n) FROM generate_series(1, 3) AS n) AS total, decode('00ff', 'hex') AS bytes"
    ).fetchone()
    assert list(row) == [1, 1 << 40, 1.5, "x", None, 1, 6, b"\0\xff"]
    assert (row["word"], row["total"], row["bytes"]) == ("x", 6, b"\0\xff")


def test_bytes_and_nothing_come_back_as_they_went(session: Session) -> None:
    assert list(session.execute("SELECT CAST(? AS BYTEA), CAST(? AS TEXT)", (b"\0\\\xff'", None)).fetchone()) == [
        b"\0\\\xff'", None,
    ]  # fmt: skip


def test_a_name_may_stand_in_a_statement_twice(session: Session) -> None:
    assert session.execute("SELECT :a || :b || :a", {"a": "x", "b": "y"}).fetchone()[0] == "xyx"


def test_a_failure_is_said_and_the_connection_goes_on(session: Session) -> None:
    with pytest.raises(PostgresError, match="division by zero"):
        session.execute("SELECT 1 / 0")
    with pytest.raises(PostgresError, match="syntax error"):
        session.execute("SELEC 1")
    with pytest.raises(PostgresIntegrityError):
        session.execute("INSERT INTO leader (name, epoch, until_at) VALUES ('another', 0, 0)")
    assert session.execute("SELECT 1").fetchone()[0] == 1


def test_after_a_failure_what_was_sent_up_to_the_sync_is_skipped(session: Session) -> None:
    first, second = session.send("SELECT 1 / 0"), session.send("SELECT 1")
    session.sync()
    third = session.send("SELECT 1")
    session.sync()
    session.read_all()
    assert isinstance(second.error, Skipped)
    assert first.error is not None
    assert third.fetchone()[0] == 1


def test_what_is_sent_ahead_takes_one_round_trip(session: Session) -> None:
    session.execute("SELECT CAST(? AS BIGINT)", (0,))
    before = session.round_trips
    results = [session.send("SELECT CAST(? AS BIGINT)", (number,)) for number in range(1_000)]
    session.sync()
    session.read_all()
    assert [result.fetchone()[0] for result in results] == list(range(1_000))
    assert session.round_trips == before + 1


def test_statements_are_not_kept_prepared_without_end(session: Session) -> None:
    for number in range(2 * KEPT):
        assert session.execute(f"SELECT {number}").fetchone()[0] == number
    kept = session.execute("SELECT count(*) FROM pg_prepared_statements").fetchone()[0]
    assert kept <= KEPT + 1


def test_a_connection_that_the_database_ends_is_lost(session: Session, postgres_databases: PostgresDatabases) -> None:
    name = session.execute("SELECT current_database()").fetchone()[0]
    postgres_databases.server.terminate_backends(name)
    with pytest.raises(Lost):
        session.execute("SELECT 1")
    assert session.broken


def test_a_connection_that_ends_between_two_segments_is_lost(
    session: Session, postgres_databases: PostgresDatabases
) -> None:
    name = session.send("SELECT current_database()").fetchone()[0]
    postgres_databases.server.terminate_backends(name)
    session.sync()
    with pytest.raises(Lost, match="terminating connection"):
        session.read_all()
    assert session.broken
