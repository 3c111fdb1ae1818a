"""Forward-only migrations on real files."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rmactors.server.actors.host import translate
from rmactors.server.config import resources
from rmactors.server.store import cleaning
from rmactors.server.store.engines.sqlite import LOG_BYTES, connect
from rmactors.server.store.migrations import MigrationError, migrate, statements
from rmactors.server.store.queries.alerts import timeline


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
    with pytest.raises(MigrationError, match=r"newer version \(schema 9000\): install that version again"):
        migrate(connection)


def test_a_migration_that_fails_changes_nothing(tmp_path: Path, connection: sqlite3.Connection) -> None:
    folder = schema(tmp_path / "schema", _0001_a="CREATE TABLE a (x TEXT);\nCREATE TABLE a (x TEXT);\n")
    with pytest.raises(MigrationError, match=r"0001_a\.sql.*already exists"):
        migrate(connection, folder)
    assert not connection.in_transaction
    assert connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'a'").fetchone()[0] == 0
    schema(folder, _0001_a="CREATE TABLE a (x TEXT);\n")
    assert migrate(connection, folder) == ["0001_a.sql"]


def test_a_database_that_is_locked_is_no_fault_of_a_migration(tmp_path: Path) -> None:
    folder = schema(tmp_path / "schema", _0001_a="CREATE TABLE a (x TEXT);\n")
    migrate(first := connect(tmp_path / "rm.db"), folder)
    schema(folder, _0002_b="CREATE TABLE b (x TEXT);\n")
    with closing(first), closing(connect(tmp_path / "rm.db", busy_seconds=0.05)) as second:
        first.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError, match="locked"):  # who starts the server says which database
            migrate(second, folder)
        first.execute("ROLLBACK")
        assert migrate(second, folder) == ["0002_b.sql"]


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
    for number in range(3):  # a checkpoint, and a write that begins the log again
        connection.execute("PRAGMA wal_checkpoint").fetchone()
        connection.execute("INSERT INTO facts VALUES (?, 'small')", (f"f{number}",))
    assert log.stat().st_size <= limit
    reader.close()


def test_what_happened_before_reasons_were_noted_has_none(tmp_path: Path, connection: sqlite3.Connection) -> None:
    old = tmp_path / "old"
    old.mkdir()
    for path in resources.path("schema").glob("000[1-7]_*.sql"):
        (old / path.name).write_bytes(path.read_bytes())
    migrate(connection, old)
    connection.execute("PRAGMA foreign_keys = 0")
    connection.execute("INSERT INTO alert_events (alert_id, pos, at, event) VALUES ('A', 1, 0, 'raised')")
    assert "0008_reasons.sql" in migrate(connection)
    assert [(entry.event, entry.reason) for entry in timeline(connection, "A")] == [("raised", None)]


def without_limits(tmp_path: Path, connection: sqlite3.Connection) -> None:
    """The schema as it was before there were any, with a host and what hangs on it."""
    old = tmp_path / "old"
    old.mkdir()
    for path in sorted(resources.path("schema").glob("000[1-4]_*.sql")):
        (old / path.name).write_bytes(path.read_bytes())
    migrate(connection, old)
    connection.execute(
        "INSERT INTO hosts (id, name, name_key, hostname, os, arch, agent_version, restic_version, plans, enrolled_at)"
        " VALUES ('H', 'nas', 'nas', 'n' || char(0), 'o', 'a', ?, ?, ?, 0)",
        ("v" * 900, "0.18.0", json.dumps([{"name": "p" * 300, "sources": ["/s"] * 300}, 7] * 300)),
    )


def test_what_was_stored_before_there_were_limits_is_brought_within_them(
    tmp_path: Path, connection: sqlite3.Connection
) -> None:
    without_limits(tmp_path, connection)
    odd = '{"files_new": 3, "total_bytes_processed": ' + "1" * 401 + ', "n": 1e999, "long": ' + "2" * 5000 + "}"
    job = (
        "INSERT INTO jobs (id, host_id, kind, plan, subject, status, error, stats, warning, scheduled_for, started_at,"
        " sort_at) VALUES (?, 'H', 'backup', ?, 'plan:' || ?, 'failed', ?, ?, ?, ?, 7, 7)"
    )
    connection.execute(job, ("odd", "a\0b", "a\0b", "e" * 900_000, odd, None, 9 * 10**18))
    fine = ("fine", "home", "home", "one\ntwo\tthree", '{"n": 1, "m":  2.5}', "as it was", None)
    connection.execute(job, fine)
    alert = (
        "INSERT INTO alerts (id, host_id, host_name, kind, subject, severity, message, pos, created_at, last_seen_at)"
        " VALUES (?, 'H', 'nas', 'backup_failed', ?, 'warning', ?, 1, 0, 0)"
    )
    connection.execute(alert, ("A", "plan:a\0b", "m\0" + "m" * 900_000))
    connection.execute(alert, ("B", "plan:home", "Backup of home failed: no"))
    connection.execute(
        "INSERT INTO alert_events (alert_id, pos, at, event, message) VALUES ('A', 1, 0, 'raised', ?)", ("a\0",)
    )
    connection.execute("INSERT INTO host_notes VALUES ('N', 'H', 0, 'bad_report', ?)", ("x\x1b[2J",))
    connection.execute(
        "INSERT INTO tracks (host_id, kind, subject, version, head) VALUES ('H', 'backup_failed', ?, 1, ?)",
        (
            "plan:a\0b",
            json.dumps({"error": "e\0", "before": None}),
        ),
    )
    before = tuple(connection.execute("SELECT * FROM jobs WHERE id = 'fine'").fetchone())

    assert "0005_limits.sql" in migrate(connection)

    found = connection.execute("SELECT * FROM jobs WHERE id = 'odd'").fetchone()
    assert (found["plan"], found["subject"], found["error"]) == ("a\ufffdb", "plan:a\ufffdb", "e" * 1999 + "…")
    assert found["stats"] == '{"files_new":3}'
    assert found["warning"] == "left out of the job's statistics: total_bytes_processed, n, long"
    assert found["scheduled_for"] == translate.LATEST
    assert tuple(connection.execute("SELECT * FROM jobs WHERE id = 'fine'").fetchone()) == before
    raised = connection.execute("SELECT subject, message FROM alerts ORDER BY id").fetchall()
    assert raised[0]["subject"] == found["subject"], "it is the same plan still"
    assert raised[0]["message"] == "m\ufffd" + "m" * 2997 + "…"
    assert tuple(raised[1]) == ("plan:home", "Backup of home failed: no")
    track = connection.execute("SELECT subject, head FROM tracks").fetchone()
    assert (track["subject"], json.loads(track["head"])) == (found["subject"], {"error": "e\ufffd", "before": None})
    assert connection.execute("SELECT message FROM alert_events").fetchone()[0] == "a\ufffd"
    assert connection.execute("SELECT detail FROM host_notes").fetchone()[0] == "x\ufffd[2J"
    host = connection.execute("SELECT hostname, agent_version, plans FROM hosts").fetchone()
    assert (host["hostname"], host["agent_version"]) == ("n\ufffd", "v" * 199 + "…")
    plans = json.loads(host["plans"])
    assert len(plans) == 100, "of the first 200 entries, those that are plans"
    assert (plans[0]["name"], len(plans[0]["sources"])) == ("p" * 199 + "…", 100)


@pytest.mark.parametrize(
    "text", ["", "[", "{}", "[" * 100_000, "1" * 5000, '[{"sources": 7, "name": 5}]', "x" * (2 << 20)]
)
def test_no_stored_text_stops_the_server_from_being_brought_up(
    tmp_path: Path, connection: sqlite3.Connection, text: str
) -> None:
    without_limits(tmp_path, connection)
    connection.execute("UPDATE hosts SET plans = ?", (text,))
    connection.execute(
        "INSERT INTO jobs (id, host_id, kind, subject, status, stats, sort_at)"
        " VALUES ('j', 'H', 'x', '', 'failed', ?, 1)",
        (text,),
    )
    connection.execute(
        "INSERT INTO tracks (host_id, kind, subject, version, head) VALUES ('H', 'x', '', 1, ?)", (text,)
    )
    assert "0005_limits.sql" in migrate(connection)
    assert isinstance(json.loads(connection.execute("SELECT plans FROM hosts").fetchone()[0]), list)
    assert isinstance(json.loads(connection.execute("SELECT stats FROM jobs").fetchone()[0]), dict)


def test_what_is_no_text_stays_as_it_is_and_stops_no_upgrade() -> None:
    """Somebody's own script may have put it there."""
    connection = sqlite3.connect(":memory:")
    cleaning.register(connection)
    for value in (b"\xff", 5, 1.5, None):
        for function in ("kept_name", "kept_text", "kept_message", "kept_subject", "kept_plans", "kept_json"):
            assert connection.execute(f"SELECT {function}(?)", (value,)).fetchone() == (value,)
        assert connection.execute("SELECT kept_stats(?, 'backup')", (value,)).fetchone() == (value,)
        assert connection.execute("SELECT stats_warning('{}', 'backup', ?)", (value,)).fetchone() == (value,)
        assert connection.execute("SELECT stats_warning(?, 'backup', 'w')", (value,)).fetchone() == ("w",)
    connection.close()
