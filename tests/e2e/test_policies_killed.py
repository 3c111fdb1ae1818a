"""SIGKILL in the midst of what a policy does to two hundred hosts: after the next start, it is done, and once each."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from harness.past_fleet import Scribe
from harness.processes import Server, eventually
from rmactors.server.config.settings import Settings

HOSTS = 200
SECONDS = 120


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Server]:
    """A server with two hundred hosts tagged db."""
    server = Server(tmp_path / "server")
    scribe = Scribe(Settings(data_dir=str(server.data_dir)))  # type: ignore[arg-type]
    for n in range(HOSTS):
        scribe.host(f"db-{n:03}", seen=None, tags=["db"])
    scribe.close()
    try:
        server.start()
        yield server
    finally:
        if server.running:
            server.kill()


def counted(server: Server, where: str) -> int:
    with closing(sqlite3.connect(f"{(server.data_dir / 'rm.db').as_uri()}?mode=ro", uri=True)) as database:
        found: int = database.execute(f"SELECT count(*) FROM schedules WHERE {where}").fetchone()[0]
        return found


def killed_during(server: Server, ask: Callable[[httpx.Client], httpx.Response], where: str, number: int) -> int:
    """Ask for it, kill the server once so many schedules are so; how many were at its end. It is started again."""

    def send() -> None:
        headers = {"Authorization": f"Bearer {server.token}"}
        with httpx.Client(base_url=server.url, headers=headers, timeout=SECONDS, trust_env=False) as client:
            try:
                ask(client)
            except httpx.TransportError:
                pass  # the kill came first

    asking = threading.Thread(target=send)
    asking.start()
    eventually(lambda: counted(server, where) >= number, SECONDS, lambda: server.log[-2000:], pause=0.001)
    server.kill()
    asking.join()
    reached = counted(server, where)
    server.start()
    return reached


def test_a_policy_is_carried_out_once_on_each_host_though_the_server_is_killed_in_the_midst(fleet: Server) -> None:
    _ = fleet.token
    body = {"name": "Nightly", "host_tags": ["db"], "kind": "backup", "cron": "0 2 * * *", "spread_minutes": 60}
    live = "policy_id IS NOT NULL AND deleted_at IS NULL"
    partly = [killed_during(fleet, lambda client: client.post("/api/policies", json=body), live, 20)]
    eventually(lambda: counted(fleet, live) == HOSTS, SECONDS, lambda: f"{counted(fleet, live)}")
    (policy,) = fleet.all_items("/api/policies")
    path = f"/api/policies/{policy['id']}"
    later = f"{live} AND timezone = 'Europe/Berlin'"
    partly.append(
        killed_during(fleet, lambda client: client.patch(path, json={"timezone": "Europe/Berlin"}), later, 50)
    )
    eventually(lambda: counted(fleet, later) == HOSTS, SECONDS, lambda: f"{counted(fleet, later)}")
    assert counted(fleet, live) == HOSTS
    assert counted(fleet, "policy_id IS NOT NULL") == HOSTS, "changed in place: none was made twice, or deleted"
    with closing(sqlite3.connect(fleet.data_dir / "rm.db")) as database:
        per_host = database.execute("SELECT count(*), count(DISTINCT host_id) FROM schedules").fetchone()
    assert per_host == (HOSTS, HOSTS)
    gone = "policy_id IS NOT NULL AND deleted_at IS NOT NULL"
    partly.append(killed_during(fleet, lambda client: client.delete(path), gone, 50))
    eventually(lambda: counted(fleet, gone) == HOSTS, SECONDS, lambda: f"{counted(fleet, gone)}")
    assert fleet.all_items("/api/policies") == []
    assert all(number < HOSTS for number in partly), f"a kill came too late to show anything: {partly}"
