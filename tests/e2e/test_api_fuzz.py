"""Every route of the API of a real server, with what schemathesis makes of the description that the server gives of it.

Bounded by the number of cases, and the same ones each time: they follow from a seed. Nothing may be a 5xx, be another
status, type or shape than described, end the process, be kept in memory, or be noticed by the bystanders.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.agents import ended, enroll_host, simulated
from harness.processes import Server, away, environment
from rmactors.common import ids

SEED = os.environ.get("RM_FUZZ_SEED", "20261127")
CASES = os.environ.get("RM_FUZZ_API_CASES", "4")
"""For each operation, besides those at the bounds of each field."""
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
ENDLESS = ("--exclude-path", "/events")


def schemathesis(server: Server, folder: Path, known: dict[str, str], *options: str) -> dict[str, Any]:
    """Its report of one run. `known` are ids by the names of path parameters."""
    config, report = folder / "schemathesis.toml", folder / "report.json"
    config.write_text("[parameters]\n" + "".join(f'"path.{name}" = "{value}"\n' for name, value in known.items()))
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run",
            f"{server.url}/api/openapi.json", "--header", f"Authorization: Bearer {server.token}", "--checks", CHECKS,
            "--max-examples", CASES, "--seed", SEED, "--generation-deterministic", "--no-shrink", "--no-color",
            "--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "20", "--warnings", "off",
            "--report", "json", "--report-json-path", str(report), *ENDLESS, *options,
        ],
        cwd=folder, env=environment({"HOME": str(folder)}), capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}\n{server.log[-2000:]}"
    found: dict[str, Any] = json.loads(report.read_text())
    assert found["failures"] == found["errors"] == []
    return found


@pytest.fixture
async def known(besieged: Server) -> dict[str, str]:
    """An object of each kind, so that bodies are looked at and not only ids."""
    host = await enroll_host(besieged, f"fuzzed-{ids.new()}")
    async with simulated(besieged, host) as [agent]:
        agent.report(ended("home", "failed"))
        with trio.fail_after(30):
            await agent.settled()

    def make() -> dict[str, str]:
        ask = besieged.ask
        schedule = {"name": "n", "kind": "backup", "cron": "@daily"}
        channel = {"kind": "ntfy", "name": "n", "enabled": False,
                   "config": {"server_url": "http://127.0.0.1:9", "topic": "t"}}  # fmt: skip
        user = {"username": f"user of {host.host_id}", "password": "a long enough phrase", "role": "viewer"}
        policy = {"name": f"of {host.host_id}", "host_tags": ["t"], "kind": "backup", "cron": "@daily"}
        [job] = besieged.all_items(f"/api/jobs?host_id={host.host_id}")
        [alert] = besieged.all_items(f"/api/alerts?host_id={host.host_id}")
        return {
            "host_id": host.host_id, "job_id": job["id"], "alert_id": alert["id"],
            "schedule_id": ask("POST", f"/api/hosts/{host.host_id}/schedules", schedule)["id"],
            "silence_id": ask("POST", "/api/silences", {"reason": "r", "ends_at": "2999-01-01T00:00:00Z"})["id"],
            "channel_id": ask("POST", "/api/notifications", channel)["id"],
            "user_id": ask("POST", "/api/users", user)["id"],
            "policy_id": ask("POST", "/api/policies", policy)["id"],
            "page_id": ask("POST", "/api/status-pages", {"name": "n", "host_tags": [], "show": "hosts"})["id"],
        }  # fmt: skip

    made: dict[str, str] = await away(make)
    return made


async def test_every_operation_on_what_is_there(besieged: Server, known: dict[str, str], tmp_path: Path) -> None:
    phases = ("--phases", "coverage,fuzzing")
    report = await away(lambda: schemathesis(besieged, tmp_path, known, *phases, "--exclude-method", "DELETE"))
    described = await away(lambda: besieged.ask("GET", "/api/openapi.json"))
    operations = {f"{method.upper()} {path}" for path, methods in described["paths"].items() for method in methods}
    without = {"GET /events", "GET /api/openapi.json"}  # a stream without an end; the description itself
    wanted = {name for name in operations - without if not name.startswith("DELETE")}
    assert report["operations"]["tested"] == len(wanted) > 30
    assert report["test_cases"]["generated"] > 1000
    accepted = {name for name, phases in report["valid_rates"].items() if any(of["accepted"] for of in phases.values())}
    changes = {name for name in accepted if not name.startswith("GET")}
    assert "PATCH /api/hosts/{host_id}" in changes
    assert len(changes) >= 8, "what the fuzz sends is mostly refused before it is looked at"


async def test_every_deletion_and_what_comes_after_it(besieged: Server, known: dict[str, str], tmp_path: Path) -> None:
    only = ("--phases", "fuzzing", "--include-method", "DELETE")
    report = await away(lambda: schemathesis(besieged, tmp_path, known, *only))
    assert report["operations"]["tested"] == 10
    for path in ("hosts/{host_id}", "schedules/{schedule_id}", "silences/{silence_id}", "users/{user_id}",
                 "policies/{policy_id}", "status-pages/{page_id}"):  # fmt: skip
        async with besieged.client() as client:
            assert (await client.get(f"/api/{path.format(**known)}")).status_code == 404
