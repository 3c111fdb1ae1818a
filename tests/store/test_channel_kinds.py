"""The migration that leaves it to the program which kinds of channel there are, from every schema before it."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate, scripts

SCRIPTS = scripts()
BEFORE = [path.name for path in SCRIPTS if path.name < "0009"]
CHANNEL = {
    "id": "C", "name": "ops", "enabled": 1, "config": b"\x00sealed", "default_priority": None, "min_severity": "info",
    "events": "[]", "host_tags": "[]", "group_seconds": 1.5, "remind_hours": 0.0, "created_at": 1, "updated_at": 2,
    "next_seq": 3,
}  # fmt: skip
REFERRING = ("deliveries", "group_windows", "notification_log")


def stored_by(version: str, database: Path, schema: Path) -> sqlite3.Connection:
    """A database with the schema up to that file, a channel of each kind and what refers to one."""
    schema.mkdir()
    for path in SCRIPTS:
        if path.name <= version:
            (schema / path.name).write_bytes(path.read_bytes())
    connection = connect(database)
    migrate(connection, schema)
    for kind in ("webhook", "ntfy", "smtp"):
        add_channel(connection, kind)
    connection.execute(
        "INSERT INTO deliveries (id, channel_id, alert_id, host_id, event, seq, pos, body, state, created_at, due_at)"
        " VALUES ('D', 'webhook', 'A', 'H', 'alert.raised', 1, 1, '{}', 'queued', 5, 6)"
    )
    connection.execute("INSERT INTO group_windows VALUES ('webhook', 'H', 7)")
    connection.execute(
        "INSERT INTO notification_log (id, n, channel_id, alert_id, delivery_id, event, attempt, ok, latency_ms,"
        " fired_at) VALUES ('L', 1, 'webhook', 'A', 'D', 'alert.raised', 1, 0, 1.5, 8)"
    )
    return connection


def add_channel(connection: sqlite3.Connection, kind: str) -> None:
    values = {**CHANNEL, "id": kind, "kind": kind}
    names, places = ", ".join(values), ", ".join("?" * len(values))
    connection.execute(f"INSERT INTO channels ({names}) VALUES ({places})", tuple(values.values()))


def everything(connection: sqlite3.Connection) -> dict[str, list[dict[str, object]]]:
    return {
        table: [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY 1")]
        for table in ("channels", *REFERRING)
    }


def kept(before: dict[str, list[dict[str, object]]], after: dict[str, list[dict[str, object]]]) -> object:
    """What is there after, without columns that later migrations added."""
    return {
        table: [{name: row[name] for name in (before[table] or [row])[0]} for row in rows]
        for table, rows in after.items()
    }


def made_by(connection: sqlite3.Connection) -> list[tuple[str, ...]]:
    """Every table, index and trigger as it was made, but for the table of channels itself."""
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master WHERE name != 'channels'")
    return sorted(tuple(map(str, row)) for row in found)


@pytest.mark.parametrize("version", BEFORE)
def test_all_channels_and_what_refers_to_them_are_kept(tmp_path: Path, version: str) -> None:
    with closing(stored_by(version, tmp_path / "rm.db", tmp_path / "old")) as connection:
        before = everything(connection)
        assert "0009_channel_kinds.sql" in migrate(connection)
        assert kept(before, everything(connection)) == before
        assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
        with closing(connect(tmp_path / "fresh.db")) as fresh:
            migrate(fresh)
            assert made_by(connection) == made_by(fresh)


@pytest.mark.parametrize("version", BEFORE)
def test_after_it_any_kind_can_be_stored_and_what_refers_to_a_channel_goes_with_it(
    tmp_path: Path, version: str
) -> None:
    with closing(stored_by(version, tmp_path / "rm.db", tmp_path / "old")) as connection:
        with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
            add_channel(connection, "pager")
        migrate(connection)
        add_channel(connection, "pager")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            connection.execute("INSERT INTO group_windows VALUES ('nobody', 'H', 7)")
        connection.execute("DELETE FROM channels WHERE id = 'webhook'")
        assert {table: len(rows) for table, rows in everything(connection).items()} == {
            "channels": 3, "deliveries": 0, "group_windows": 0, "notification_log": 0,
        }  # fmt: skip
