"""A database of each released version under this one: every row is there, its alerts and its queue go on.

`released/` has what those versions left behind when they were killed, with rows in every table and notifications
that waited for a receiver that was down. They are moved in time as they are loaded: what lay an hour ahead when the
version was killed lies an hour ahead of the test.
"""

import base64
import json
import re
import sqlite3
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.agents import ended, simulated
from harness.processes import Server, away
from harness.sink import Sink
from rmactors.common import clock
from rmactors.server.config import secrets
from rmactors.server.store.engines.sqlite import connect
from rmactors.server.store.migrations import migrate, scripts
from rmactors.simulate.agent import SimCredential

RELEASED = Path(__file__).parent / "released"
VERSIONS = sorted(path.stem for path in RELEASED.glob("*.sql"))
MICROSECONDS = re.compile(r"(?<!\w)(?:1[6-9]|2[01])\d{14}(?!\w)")
"""A time of 2020 to 2039 as the database keeps it, in a column or inside JSON."""


def as_of_now(dump: str) -> str:
    """The dump with every time moved by the same amount, so that its newest event happens now."""
    events = "\n".join(line for line in dump.splitlines() if line.startswith('INSERT INTO "alert_events"'))
    moved_by = clock.now() - max(int(found) for found in MICROSECONDS.findall(events))
    return MICROSECONDS.sub(lambda found: str(int(found[0]) + moved_by), dump)


class Old:
    """The data dir that a released version left behind."""

    def __init__(self, server: Server, version: str, tmp_path: Path) -> None:
        self.opens: dict[str, Any] = json.loads((RELEASED / f"{version}.json").read_text())
        self.database = server.data_dir / "rm.db"
        self.key_file = server.data_dir / "secret.key"
        server.data_dir.mkdir(parents=True, mode=0o700)
        secrets.write_keys(self.key_file, [base64.b64decode(text) for text in self.opens["keys"]])
        schema = tmp_path / "schema"
        schema.mkdir()
        for path in scripts():
            if path.name[:4] <= version:
                (schema / path.name).write_bytes(path.read_bytes())
        with closing(connect(self.database)) as connection:
            migrate(connection, schema)
            connection.execute("PRAGMA foreign_keys = 0")
            connection.executescript(f"BEGIN;\n{as_of_now((RELEASED / f'{version}.sql').read_text())}COMMIT;")
            assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
        self.columns = {name: columns(self.database, name) for name in tables(self.database)}
        server.use_token(self.opens["token"])

    def rows(self, table: str) -> Counter[tuple[object, ...]]:
        """The rows of an old table as its version saw them: what was added to it since is left out."""
        return rows(self.database, f"SELECT {', '.join(self.columns[table])} FROM {table}")

    def send_to(self, sink: Sink) -> None:
        """The receiver that was down has another port today."""
        box = secrets.SecretBox(self.key_file)
        with closing(sqlite3.connect(self.database)) as connection, connection:
            for channel_id, name, sealed in connection.execute("SELECT id, name, config FROM channels").fetchall():
                where = f"notification-channel:{channel_id}"
                config = json.loads(box.open(sealed, where)) | {"url": sink.url(f"/{name}")}
                changed = box.seal(json.dumps(config).encode(), where)
                connection.execute("UPDATE channels SET config = ? WHERE id = ?", (changed, channel_id))


def tables(database: Path) -> list[str]:
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
    return [str(name) for (name,) in rows(database, query) if name != "migrations"]


def columns(database: Path, table: str) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def rows(database: Path, query: str) -> Counter[tuple[object, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return Counter(connection.execute(query).fetchall())


@pytest.fixture
def server(tmp_path: Path) -> Server:
    return Server(tmp_path / "server")


def test_the_first_version_is_among_them() -> None:
    assert VERSIONS[0] == "0001"


@pytest.mark.parametrize("version", VERSIONS)
def test_every_row_of_every_table_is_there_after_the_upgrade(server: Server, tmp_path: Path, version: str) -> None:
    old = Old(server, version, tmp_path)
    before = {table: old.rows(table) for table in old.columns}
    assert [table for table, found in before.items() if not found] == [], "the old database has rows in every table"
    with closing(connect(old.database)) as connection:
        applied = migrate(connection)
        assert connection.execute("PRAGMA foreign_key_check").fetchone() is None
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    newest = scripts()[-1].name
    assert applied[-1:] == ([newest] if newest[:4] > version else [])
    assert {table: old.rows(table) for table in old.columns} == before


@pytest.mark.parametrize("version", VERSIONS)
async def test_alerts_and_queue_go_on_after_the_upgrade(
    server: Server, sink: Sink, tmp_path: Path, version: str
) -> None:
    old = Old(server, version, tmp_path)
    old.send_to(sink)
    query = "SELECT deliveries.id FROM deliveries JOIN channels ON channels.id = channel_id"
    waiting = {
        delivery_id for (delivery_id,) in rows(old.database, f"{query} WHERE state = 'queued' AND name = 'plain'")
    }
    unresolved = rows(old.database, "SELECT id FROM alerts WHERE resolved = 0")
    ids = {table: rows(old.database, f"SELECT {old.columns[table][0]} FROM {table}") for table in old.columns}
    try:
        await away(server.start)

        # The queue: what waited for a receiver that was down is delivered, under the same ids.
        assert len(waiting) >= 2
        await sink.until(lambda sink: {r.body["delivery_id"] for r in sink.told("/plain")} >= waiting)

        # The alerts: those that were unresolved are, and the next success of one of them resolves it.
        listed = await away(lambda: server.all_items("/api/alerts?status=all"))
        assert {(each["id"],) for each in listed if each["status"] != "resolved" and each["host_id"]} == set(unresolved)
        failing = next(alert for alert in listed if alert["subject"] == "plan:queued")
        host_id, token = old.opens["hosts"]["nas"]
        async with simulated(server, SimCredential(host_id, "nas", token)) as [agent]:
            agent.report(ended("queued", "succeeded"))
            await agent.settled()
        await sink.until(lambda sink: ("alert.resolved", failing["id"]) in
                         [(r.body["event"], r.body["alert_id"]) for r in sink.told("/plain")])  # fmt: skip

        # The people, what they see, and what they may not see: nothing has gone.
        login = {"username": "anna", "password": old.opens["password"], "next": "/"}
        answer = await away(lambda: httpx.post(f"{server.url}/login", data=login, trust_env=False))
        assert answer.status_code == 303
        for path in ("/", "/hosts", "/jobs", "/alerts?status=all", "/silences", "/audit", "/settings/notifications"):
            cookies = dict(answer.cookies)
            page = await away(
                lambda path=path, cookies=cookies: httpx.get(f"{server.url}{path}", cookies=cookies, trust_env=False)
            )
            assert page.status_code == 200, path
        for table, known in ids.items():
            now = rows(old.database, f"SELECT {old.columns[table][0]} FROM {table}")
            gone = known - now
            assert not gone or table in ("group_windows", "setup_tokens", "told"), f"{table}: {gone}"
        assert "Traceback" not in server.log
    finally:
        if server.running:
            server.kill()
