"""Forward-only migrations on real files."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rmactors.store.migrations import MigrationError, migrate, statements
from rmactors.store.writer import LOG_BYTES, connect


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(tmp_path / "rm.db")) as opened:
        yield opened


def schema(path: Path, **scripts: str) -> Path:
    path.mkdir(exist_ok=True)
    for name, script in scripts.items():
        (path / f"{name[1:]}.sql").write_text(script)
    return path


def test_what_is_missing_is_applied_once(connection: sqlite3.Connection) -> None:
    assert migrate(connection)[0] == "0001_initial.sql"
    assert migrate(connection) == []
    assert connection.execute("SELECT count(*) FROM alerts").fetchone()[0] == 0


def test_a_later_migration_is_applied_to_a_database_with_data(tmp_path: Path, connection: sqlite3.Connection) -> None:
    folder = schema(tmp_path / "schema", _0001_a="CREATE TABLE a (x TEXT);\nINSERT INTO a VALUES ('kept');")
    assert migrate(connection, folder) == ["0001_a.sql"]
    schema(folder, _0002_b="ALTER TABLE a ADD COLUMN y TEXT;")
    assert migrate(connection, folder) == ["0002_b.sql"]
    assert tuple(connection.execute("SELECT x, y FROM a").fetchone()) == ("kept", None)


def test_a_newer_database_is_refused_with_what_to_do(connection: sqlite3.Connection) -> None:
    migrate(connection)
    connection.execute("INSERT INTO migrations VALUES (9000, '9000_future.sql', 0)")
    with pytest.raises(MigrationError, match=r"migration 9000.*newer version\. Install that version again"):
        migrate(connection)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, connection: sqlite3.Connection) -> None:
    folder = schema(tmp_path / "schema", _0001_a="CREATE TABLE a (x TEXT);\nCREATE TABLE a (x TEXT);\n")
    with pytest.raises(MigrationError, match=r"0001_a\.sql.*already exists"):
        migrate(connection, folder)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchone()[0] == 0
    schema(folder, _0001_a="CREATE TABLE a (x TEXT);\n")
    assert migrate(connection, folder) == ["0001_a.sql"]


def test_a_script_without_an_end_is_an_error(tmp_path: Path, connection: sqlite3.Connection) -> None:
    folder = schema(tmp_path / "schema", _0001_a="CREATE TABLE a (x TEXT);\nCREATE TABLE b (")
    with pytest.raises(MigrationError, match="has no end"):
        migrate(connection, folder)
    assert not connection.in_transaction


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("", 0),
        ("-- only a comment; with a semicolon\n", 0),
        ("CREATE TABLE a (x);\nCREATE TABLE b (x);\n", 2),
        ("CREATE TABLE a (\n  x -- not the end; yet\n);\n", 1),
        ("INSERT INTO a VALUES ('one; two');\n", 1),
        ("CREATE TRIGGER t AFTER INSERT ON a BEGIN\n  DELETE FROM b;\n  DELETE FROM c;\nEND;\n", 1),
        ("CREATE TABLE a (x);\n-- the end\n", 1),
    ],
)
def test_a_statement_ends_where_sqlite_says_so(script: str, expected: int) -> None:
    assert len(statements(script)) == expected


def test_the_database_is_safe_against_a_power_cut(connection: sqlite3.Connection) -> None:
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    assert connection.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL
    assert connection.execute("PRAGMA foreign_keys").fetchone()[0] == 1


def test_the_log_beside_the_database_is_cut_back_after_a_reader_held_it(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    migrate(connection)
    assert connection.execute("PRAGMA journal_size_limit").fetchone()[0] == LOG_BYTES
    log, limit = tmp_path / "rm.db-wal", 1 << 20  # a smaller one, so that the test need not write so much
    connection.execute(f"PRAGMA journal_size_limit = {limit}")
    reader = connect(tmp_path / "rm.db")
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM facts").fetchone()
    connection.execute("INSERT INTO facts VALUES ('large', hex(randomblob(10000000)))")
    reader.execute("COMMIT")
    assert log.stat().st_size > 10 * limit
    for number in range(3):  # a checkpoint, and a write that begins the log anew
        connection.execute("PRAGMA wal_checkpoint").fetchone()
        connection.execute("INSERT INTO facts VALUES (?, 'small')", (f"f{number}",))
    assert log.stat().st_size <= limit
    reader.close()
