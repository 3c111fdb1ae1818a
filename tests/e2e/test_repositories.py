"""Repositories as wholes, with a real server, real agents and real restic: two hosts that share one, and who cannot
tell."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.agents import AgentProcess, enroll_host, raw_link
from harness.processes import Server, away, eventually, running_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """One that does not wait for agents to come back."""
    with running_server(tmp_path / "server", restart_grace_seconds=0.5) as running:
        yield running


pytestmark = pytest.mark.usefixtures("restic")

SHARED, OWN = 300_000, 100_000
"""Bytes that both hosts back up, and that each has alone: random, so that nothing is saved."""


def sharing(server: Server, folder: Path, name: str, repository: "AgentProcess | None" = None) -> AgentProcess:
    """An agent whose snapshots are filed under its name, in that repository or one of its own."""
    agent = AgentProcess(server, folder / name, name)
    there = repository.repository if repository is not None else agent.repository
    (agent.source / "own").write_bytes(os.urandom(OWN))
    agent.config.write_text(
        f"""allow = ["backup", "check", "prune", "browse"]
host = "{name}"
[repositories.{name}-store]
repository = {json.dumps(f"local:{there}" if repository is not None else str(there))}
password_file = {json.dumps(str(agent.password_file))}
[plans.{name}-home]
repository = "{name}-store"
sources = [{json.dumps(str(agent.source))}]
"""
    )
    return agent


def page(server: Server) -> str:
    headers = {"Authorization": f"Bearer {server.token}"}
    return httpx.get(f"{server.url}/repositories", headers=headers, timeout=60, trust_env=False).text


def only(server: Server) -> dict[str, Any]:
    items: list[dict[str, Any]] = server.ask("GET", "/api/repositories")["items"]
    return items[0] if len(items) == 1 else {"hosts": [], "items": items}


def test_two_hosts_with_one_repository_are_one_row_with_what_each_has_alone(server: Server, tmp_path: Path) -> None:
    common = os.urandom(SHARED)
    nas = sharing(server, tmp_path, "nas")
    web = sharing(server, tmp_path, "web", nas)
    ids = {}
    try:
        for agent in (nas, web):
            (agent.source / "both").write_bytes(common)
            ids[agent.name] = agent.enroll()
            agent.start(ids[agent.name])
            ended = agent.run_job(ids[agent.name], "backup", {"plan": f"{agent.name}-home"})
            assert ended["status"] == "succeeded", ended
        check = nas.run_job(ids["nas"], "check", {"repository": "nas-store"})
        assert check["status"] == "succeeded", check
        prune = web.run_job(ids["web"], "prune", {"plan": "web-home"})
        assert prune["status"] == "succeeded", prune

        def is_told() -> bool:
            return len(only(server)["hosts"]) == 2 and all(host["unique_bytes"] for host in only(server)["hosts"])

        eventually(is_told, 90, lambda: json.dumps(server.ask("GET", "/api/repositories"), indent=1) + server.log)
        row = only(server)
        assert len(row["id"]) == 64
        assert [(host["name"], host["id"], host["snapshots"]) for host in row["hosts"]] == [
            ("nas", ids["nas"], 1), ("web", ids["web"], 1),
        ]  # fmt: skip
        for host in row["hosts"]:
            assert OWN <= host["unique_bytes"] < OWN + 20_000
            assert SHARED + OWN <= host["bytes"] < SHARED + OWN + 20_000
        assert row["unique_bytes"] == sum(host["unique_bytes"] for host in row["hosts"])
        assert SHARED + 2 * OWN <= row["size_bytes"] < SHARED + 2 * OWN + 40_000
        assert (row["name"], row["plans"], row["snapshots"]) == ("nas-store", ["nas-home", "web-home"], 2)
        assert [(use["name"], use["location"]) for use in row["uses"]] == [
            ("nas-store", str(nas.repository)), ("web-store", f"local:{nas.repository}"),
        ]  # fmt: skip
        assert (row["last_check"], row["last_prune"]) == (check["finished_at"], prune["finished_at"])
        assert [point["bytes"] for point in row["growth"]] == [row["size_bytes"]]

        server.kill()
        server.start()
        again = server.ask("GET", f"/api/repositories/{row['id']}")
        assert again == row
        eventually(
            lambda: all(server.ask("GET", f"/api/hosts/{host}")["status"] == "online" for host in ids.values()),
            60, lambda: server.log,
        )  # fmt: skip
        (web.source / "more").write_bytes(os.urandom(OWN))
        assert web.run_job(ids["web"], "backup", {"plan": "web-home"})["status"] == "succeeded"
        assert server.ask("POST", f"/api/repositories/{row['id']}/refresh")["wanted_at"] is not None
        eventually(lambda: only(server)["size_bytes"] >= SHARED + 3 * OWN, 90, lambda: str(only(server)) + server.log)
        assert only(server)["snapshots"] == 3
    finally:
        nas.end()
        web.end()


async def test_a_host_that_does_not_tell_is_named_with_what_would_help(server: Server) -> None:
    forbids, old = await enroll_host(server, "forbids"), await enroll_host(server, "too-old")
    async with raw_link(server, forbids.token) as first, raw_link(server, old.token) as second:
        await first.hello(allow=["backup"])
        await second.hello()
        while (await second.receive(also_stats=True))["type"] != "request":
            pass
        await second.send({"type": "error", "code": "unknown_type", "detail": "what is that"})
        await away(
            lambda: eventually(lambda: "The agent is too old to be asked" in page(server), 60, lambda: server.log)
        )
        text = await away(lambda: page(server))
        assert "browse is not allowed on forbids: add it to `allow`" in text
