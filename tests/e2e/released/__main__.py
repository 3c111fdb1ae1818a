"""Writes the files of this version's schema: a real server takes in a past with rows in every table, and is killed."""

import base64
import json
import sqlite3
import tempfile
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import trio

from harness.agents import ended, enroll_host, raw_link, simulated
from harness.processes import Server, away, eventually
from harness.sink import open_sink
from rmactors.common import ids
from rmactors.server.config import secrets
from rmactors.server.store.migrations import scripts
from rmactors.simulate.agent import SimCredential

PASSWORD = "a long enough phrase"


async def live(server: Server) -> dict[str, Any]:
    """Do everything that leaves rows; the channel's receiver is down for what comes last. Returns what opens it."""
    await away(server.start)
    server.admin("create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PASSWORD)
    server.admin("create-user", "--username", "ben", "--role", "viewer", RM_PASSWORD=PASSWORD)
    login = {"username": "anna", "password": PASSWORD, "next": "/"}
    await away(lambda: httpx.post(f"{server.url}/login", data=login, trust_env=False))
    nas, db = await enroll_host(server, "nas"), await enroll_host(server, "db")
    away_host = await enroll_host(server, "never-seen")
    schedule = {"name": "Nightly", "kind": "backup", "cron": "0 3 * * *", "params": {"plan": "home"}}
    schedule_id = (await away(lambda: server.ask("POST", f"/api/hosts/{nas.host_id}/schedules", schedule)))["id"]
    await away(lambda: server.ask("POST", f"/api/hosts/{away_host.host_id}/jobs", {"kind": "backup"}))
    until = (datetime.now(UTC) + timedelta(days=3650)).strftime("%Y-%m-%dT%H:%M:%SZ")
    silence = {"host_id": db.host_id, "reason": "works", "ends_at": until}
    await away(lambda: server.ask("POST", "/api/silences", silence))
    async with open_sink() as sink:
        more = {"remind_hours": 24, "group_seconds": 3600}
        await away(lambda: server.webhook(sink.url("/grouped"), name="grouped", **more))
        await away(lambda: server.webhook(sink.url("/plain"), name="plain"))
        often = {"remind_hours": 0.0001, "events": ["alert.reminder"]}
        await away(lambda: server.webhook(sink.url("/reminds"), name="reminds", **often))
        async with simulated(server, nas, db) as [on_nas, on_db]:
            for plan, status in (("home", "failed"), ("mail", "failed"), ("mail", "succeeded"), ("etc", "failed")):
                on_nas.report(ended(plan, status, error="Fatal: wrong password or no key found"))
                await on_nas.settled()
            on_db.report(ended("silenced", error="disk on fire"))
            await on_db.settled()
            etc = next(a for a in await away(lambda: server.all_items("/api/alerts")) if "etc" in a["subject"])
            note = {"note": "on it"}
            await away(lambda: server.ask("POST", f"/api/alerts/{etc['id']}/acknowledge", note))
            await sink.until(lambda sink: len(sink.told("/plain")) >= 5 and bool(sink.told("/reminds")))
        await output_and_a_refusal(server, nas, schedule_id)
        sink.feel("down")
        async with simulated(server, nas) as [on_nas]:
            on_nas.report(ended("queued", error="disk on fire"))
            await on_nas.settled()
    await away(server.kill)
    return {
        "token": server.token,
        "password": PASSWORD,
        "keys": [base64.b64encode(raw).decode() for raw in secrets.read_keys(server.data_dir / "secret.key")],
        "hosts": {host.name: [host.host_id, host.token] for host in (nas, db)},
    }


async def output_and_a_refusal(server: Server, host: SimCredential, schedule_id: str) -> None:
    """A run with output that has not ended, and a report that cannot be taken."""
    job_id = ids.new()
    lines = [{"stream": "stdout", "text": f"line {number}"} for number in range(3)]
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    started = {"type": "job_started", "seq": 1, "job_id": job_id, "kind": "backup", "schedule_id": schedule_id}
    wrong = {"type": "job_started", "seq": 2, "job_id": "no id", "kind": "backup", "started_at": now}
    async with raw_link(server, host.token) as link:
        await link.hello()
        await link.send(started | {"started_at": now})
        await link.send(wrong)
        await link.send({"type": "job_log", "job_id": job_id, "first_line": 0, "lines": lines})
        log = f"/api/jobs/{job_id}/log"
        await away(lambda: eventually(lambda: len(server.all_items(log)) == 3, 60, lambda: "no output"))


def second_factor(server: Server) -> None:
    box = secrets.SecretBox(server.data_dir / "secret.key")
    with closing(sqlite3.connect(server.data_dir / "rm.db")) as connection, connection:
        [(ben,)] = connection.execute("SELECT id FROM users WHERE username = 'ben'").fetchall()
        sealed = box.seal(b"12345678901234567890", f"totp:{ben}")
        connection.execute("UPDATE users SET totp_secret = ?, totp_last_step = 1 WHERE id = ?", (sealed, ben))
        connection.execute("INSERT INTO recovery_codes VALUES (?, 'hash of a code', NULL)", (ben,))


def rows_of(database: Path) -> str:
    """Every row as INSERT, but those that SQLite and the migrations keep for themselves."""
    with closing(sqlite3.connect(database)) as connection:
        dumped = [line for line in connection.iterdump() if line.startswith("INSERT INTO")]
    return "\n".join(line for line in dumped if not line.startswith(('INSERT INTO "migrations"',))) + "\n"


def main() -> None:
    number = scripts()[-1].name[:4]
    with tempfile.TemporaryDirectory() as temporary:
        server = Server(Path(temporary) / "server", heartbeat_seconds=1, tick_seconds=0.3)
        opens = trio.run(live, server)
        second_factor(server)
        here = Path(__file__).parent
        (here / f"{number}.sql").write_text(rows_of(server.data_dir / "rm.db"))
        (here / f"{number}.json").write_text(json.dumps(opens, indent=1) + "\n")


main()
