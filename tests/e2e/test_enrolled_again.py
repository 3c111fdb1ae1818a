"""Tokens for several hosts, and machines that become a host again: with real servers, over the agents' port."""

import itertools
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import trio
import trio_websocket

from harness.agents import AgentProcess, RawLink, enroll_host, raw_link
from harness.processes import Server, away, eventually, running_server
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire
from rmactors.simulate.agent import EnrollmentRefused, SimCredential, enroll


def notes(server: Server, host_id: str) -> list[str]:
    """What an operator is told on the host's page."""
    with closing(sqlite3.connect(server.data_dir / "rm.db")) as db:
        found = db.execute("SELECT code FROM host_notes WHERE host_id = ? ORDER BY at", (host_id,)).fetchall()
    return [code for (code,) in found]


def token_for(server: Server, host_id: str) -> str:
    token: str = server.ask("POST", f"/api/hosts/{host_id}/enrollment-token")["token"]
    return token


async def exchange(server: Server, token: str, **fields: Any) -> dict[str, Any]:
    """What the server answers to a machine that enrolls."""
    frame = {"type": "enroll", "name": "debian", "hostname": "debian", "os": "linux", "arch": "x", "agent_version": "1"}
    async with raw_link(server, token) as link:
        await link.send(frame | fields)
        return await link.receive()


async def status_of(server: Server, token: str) -> int:
    """What a credential is worth: 101, or the refusal's status."""
    try:
        async with raw_link(server, token):
            return 101
    except trio_websocket.ConnectionRejected as refused:
        return int(refused.status_code)


def end_of(job_id: str, seq: int, status: str, reason: str) -> dict[str, Any]:
    now = wire.utc_now().isoformat().replace("+00:00", "Z")
    return {
        "type": "job_finished", "seq": seq, "job_id": job_id, "kind": "backup", "plan": "home", "status": status,
        "exit_code": 0, "reason": reason, "started_at": now, "finished_at": now, "stats": {},
    }  # fmt: skip


async def test_a_rebuilt_machine_takes_its_place_as_the_same_host(tmp_path: Path, restic: str) -> None:
    """State dir gone: the token brings back name, schedules and history, and the alert about its silence ends."""
    quick = {"tick_seconds": 0.2, "offline_after_seconds": 2, "offline_alert_seconds": 3, "restart_grace_seconds": 0}
    with running_server(tmp_path / "server", **quick, heartbeat_seconds=0.5) as server:
        agent = AgentProcess(server, tmp_path / "machine", "db-03")
        try:
            host_id = await away(agent.enroll)
            body = {"name": "Nightly", "kind": "backup", "cron": "0 3 * * *", "params": {"plan": "home"}}
            schedule = await away(lambda: server.ask("POST", f"/api/hosts/{host_id}/schedules", body))
            await away(lambda: agent.start(host_id))
            first = await away(lambda: agent.run_backup(host_id))
            assert first["status"] == "succeeded"
            await away(agent.end)
            old = StateDir(agent.folder / "state").credential().token
            await away(lambda: eventually(lambda: bool(alerts(server, host_id)), 60, lambda: "no alert"))
            [alert] = alerts(server, host_id)
            assert (alert["kind"], alert["host_name"]) == ("agent_offline", "db-03")
            shutil.rmtree(agent.folder / "state")
            token_file = agent.folder / "again"
            token_file.write_text(server.admin("create-enrollment-token", "--host", "DB-03"))
            assert await status_of(server, old) == 101, "until the token is used"
            command = ["enroll", "--server", server.agent_url, "--token-file", str(token_file)]
            done = await away(lambda: agent.command(*command))
            assert f"enrolled as db-03 (host {host_id})" in done.stdout, done.stderr
            assert await status_of(server, old) == 401
            await away(lambda: agent.start(host_id))
            await away(lambda: eventually(lambda: not alerts(server, host_id), 60, lambda: "it is open"))
            second = await away(lambda: agent.run_backup(host_id))
            assert second["status"] == "succeeded"
            [host] = await away(lambda: server.all_items("/api/hosts"))
            assert (host["id"], host["name"], host["last_jobs"]["backup"]["id"]) == (host_id, "db-03", second["id"])
            assert [each["id"] for each in host["schedules"]] == [schedule["id"]]
            jobs = await away(lambda: server.all_items(f"/api/jobs?host_id={host_id}"))
            assert {job["id"] for job in jobs} == {first["id"], second["id"]}
            assert notes(server, host_id) == []
            kept = (agent.folder / "state" / "schedules.json").read_text()
            assert schedule["id"] in kept, "it runs them without the server too"
        finally:
            agent.end()


def alerts(server: Server, host_id: str) -> list[dict[str, Any]]:
    return server.all_items(f"/api/alerts?host_id={host_id}")


async def test_the_old_machine_is_cut_off_when_the_token_is_used_and_nobody_is_called_a_clone(
    shared_server: Server,
) -> None:
    server = shared_server
    host = await enroll_host(server, f"host-{ids.new()}")
    token = await away(lambda: token_for(server, host.host_id))
    async with raw_link(server, host.token) as old:
        await old.hello(instance_id=ids.new(), spool_id=ids.new())
        seq, late = 7, ids.new()
        await old.send(end_of(late, seq, "failed", "error"))
        assert (await old.receive())["seq"] == seq
        answer = await exchange(server, token)
        assert (answer["type"], answer["host_id"], answer["name"]) == ("enrolled", host.host_id, host.name)
        async with raw_link(server, answer["agent_token"]) as new:
            welcome = await new.hello(instance_id=ids.new(), spool_id=ids.new())
            assert welcome["host_id"] == host.host_id
            assert await old.close_code() == wire.CLOSE_REVOKED
            await _reports_from_a_new_spool(server, new, host)
    assert await status_of(server, host.token) == 401
    assert notes(server, host.host_id) == []


async def _reports_from_a_new_spool(server: Server, new: RawLink, host: SimCredential) -> None:
    """Its numbers begin at 1 again, and mean nothing to those of the old machine: what happened last counts."""
    open_before = await away(lambda: alerts(server, host.host_id))
    assert [alert["kind"] for alert in open_before] == ["backup_failed"]
    good = ids.new()
    await new.send(end_of(good, 1, "succeeded", "ok"))
    assert await new.receive() == {"type": "ack", "seq": 1}
    assert await away(lambda: alerts(server, host.host_id)) == []
    jobs = await away(lambda: server.all_items(f"/api/jobs?host_id={host.host_id}"))
    assert {job["status"] for job in jobs} == {"succeeded", "failed"}


async def test_a_token_for_a_host_leaves_it_alone_until_a_name_fits(shared_server: Server) -> None:
    server = shared_server
    host = await enroll_host(server, f"host-{ids.new()}")
    token = await away(lambda: token_for(server, host.host_id))
    wrong = await exchange(server, token, name="another", name_given=True)
    assert (wrong["type"], wrong["code"]) == ("error", "other_host")
    assert await status_of(server, host.token) == 101
    right = await exchange(server, token, name=host.name.upper(), name_given=True)
    assert (right["type"], right["host_id"]) == ("enrolled", host.host_id)
    assert await status_of(server, token) == 401, "spent"


async def test_many_machines_at_once_spend_each_use_once(shared_server: Server) -> None:
    server, uses, machines = shared_server, 60, 80
    prefix = f"fleet-{ids.new()}"
    body = {"uses": uses, "tags": [prefix]}
    token = (await away(lambda: server.ask("POST", "/api/enrollment-tokens", body)))["token"]
    came: list[SimCredential] = []
    refused: list[str] = []

    async def machine(name: str) -> None:
        try:
            came.append(await enroll(server.agent_url, token, name))
        except EnrollmentRefused as problem:
            refused.append(str(problem))

    async with trio.open_nursery() as nursery:
        for number in range(machines):
            nursery.start_soon(machine, f"{prefix}-{number}")
    assert (len(came), len(refused)) == (uses, machines - uses)
    assert len({each.host_id for each in came} | {each.token for each in came}) == 2 * uses
    hosts = [host for host in await away(lambda: server.all_items("/api/hosts")) if host["name"].startswith(prefix)]
    assert {host["id"] for host in hosts} == {each.host_id for each in came}
    assert all(host["tags"] == [prefix] for host in hosts)
    [shown] = [each for each in await away(lambda: server.all_items("/api/enrollment-tokens")) if each["tags"]]
    assert (shown["uses"], shown["uses_left"]) == (uses, 0)


async def test_a_server_that_is_killed_has_spent_a_use_for_each_host_it_made(server: Server) -> None:
    token = (await away(lambda: server.ask("POST", "/api/enrollment-tokens", {"uses": 1_000})))["token"]
    came: list[SimCredential] = []

    async def machine(name: str, enough: trio.Event) -> None:
        """Enrolls one host after another until the server dies, however its connection ends then."""
        for turn in itertools.count():
            try:
                came.append(await enroll(server.agent_url, token, f"{name}-{turn}"))
            except Exception:
                enough.set()
                return
            if turn >= 2:
                enough.set()

    for kill in range(4):
        enough = trio.Event()
        with trio.fail_after(120):
            async with trio.open_nursery() as nursery:
                for number in range(4):
                    nursery.start_soon(machine, f"m-{kill}-{number}", enough)
                await enough.wait()
                await away(server.kill)
        with closing(sqlite3.connect(server.data_dir / "rm.db")) as db:
            [(used,)] = db.execute("SELECT used FROM enrollment_tokens").fetchall()
            known = {host for (host,) in db.execute("SELECT id FROM hosts").fetchall()}
        assert used == len(known)
        assert {each.host_id for each in came} <= known, "who was told so is a host"
        await away(server.start)
    assert len(came) >= 12
    assert [await status_of(server, each.token) for each in came[-3:]] == [101] * 3
