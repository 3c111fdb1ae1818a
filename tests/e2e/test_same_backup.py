"""Alerts when one plan is run in several ways, gets worse, or has nothing to back up: on real processes.

Server and agent are processes of their own, restic is the real one, and so are its failures.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.agents import AgentProcess
from harness.processes import Server, away
from harness.sink import Request, Sink


@pytest.fixture
def agent(server: Server, tmp_path: Path, restic: str) -> Iterator[AgentProcess]:
    """With a second source, which can go away."""
    process = AgentProcess(server, tmp_path / "nas", "nas")
    second = process.folder / "second"
    second.mkdir()
    (second / "photo.jpg").write_text("worth keeping too\n")
    process.config.write_text(process.config.read_text().replace("sources = [", f'sources = ["{second}", '))
    yield process
    process.end()


async def ready(server: Server, agent: AgentProcess, sink: Sink) -> tuple[str, str]:
    """(host, a schedule of its plan that does not run by itself within a test)."""
    await away(lambda: server.webhook(sink.url()))
    host_id = await away(agent.enroll)
    await away(lambda: agent.start(host_id))
    made = await away(
        lambda: server.ask(
            "POST", f"/api/hosts/{host_id}/schedules",
            {"name": "Nightly", "kind": "backup", "cron": "0 3 1 1 *", "params": {"plan": "home"}},
        )
    )  # fmt: skip
    return host_id, made["id"]


def run(agent: AgentProcess, host_id: str, schedule_id: str | None) -> str:
    """A run of the plan, as one of the schedule or by hand; how it ended."""
    wanted = {"kind": "backup", "params": {"plan": "home"}} | ({"schedule_id": schedule_id} if schedule_id else {})
    job = agent.until_ended(agent.server.ask("POST", f"/api/hosts/{host_id}/jobs", wanted))
    return f"{job['status']} {job['reason']}"


def open_alerts(server: Server) -> list[tuple[str, str, int]]:
    return sorted((a["kind"], a["subject"], a["occurrences"]) for a in server.all_items("/api/alerts"))


def said(requests: list[Request]) -> list[tuple[Any, Any]]:
    return [(request.body["event"], request.body["subject"]) for request in requests]


async def test_a_good_run_of_a_plan_ends_what_another_run_of_it_raised(
    server: Server, agent: AgentProcess, sink: Sink
) -> None:
    host, nightly = await ready(server, agent, sink)
    agent.wrong_password()
    assert await away(lambda: run(agent, host, None)) == "failed wrong_password"
    agent.right_password()
    assert await away(lambda: run(agent, host, nightly)) == "succeeded ok"
    assert said(await sink.until_told(2)) == [("alert.raised", "plan:home"), ("alert.resolved", "plan:home")]

    agent.wrong_password()
    assert await away(lambda: run(agent, host, nightly)) == "failed wrong_password"
    assert await away(lambda: run(agent, host, None)) == "failed wrong_password"  # tried by hand: the same trouble
    assert await away(lambda: open_alerts(server)) == [("backup_failed", nightly, 2)]
    agent.right_password()
    assert await away(lambda: run(agent, host, None)) == "succeeded ok"
    assert said(await sink.until_told(4))[2:] == [("alert.raised", nightly), ("alert.resolved", nightly)]
    assert await away(lambda: open_alerts(server)) == []


async def test_a_partial_run_that_was_acknowledged_and_then_fails_is_told_again(
    server: Server, agent: AgentProcess, sink: Sink
) -> None:
    host, nightly = await ready(server, agent, sink)
    await away(lambda: server.ask("PATCH", f"/api/schedules/{nightly}", {"on_partial": "ok"}))
    (agent.folder / "second").rename(agent.folder / "elsewhere")
    assert await away(lambda: run(agent, host, nightly)) == "partial no_source"  # which no schedule can call well
    [raised] = await sink.until_told(1)
    alert = raised.body["alert_id"]
    await away(lambda: server.ask("POST", f"/api/alerts/{alert}/acknowledge", {"note": "I move it"}))
    await sink.until_told(2)

    agent.wrong_password()
    for _ in range(2):
        assert await away(lambda: run(agent, host, nightly)) == "failed wrong_password"
    [_, _, again] = await sink.until_told(3)
    assert (again.body["event"], again.body["alert_id"]) == ("alert.raised", alert)
    assert again.body["message"].startswith("This got worse. Backup of Nightly failed:")
    assert again.body["delivery_id"] != raised.body["delivery_id"]
    shown = await away(lambda: server.ask("GET", f"/api/alerts/{alert}"))
    assert (shown["status"], shown["acknowledged_by"], shown["occurrences"]) == ("open", None, 3)
    story = [entry["event"] for entry in shown["timeline"] if entry["event"] != "delivered"]
    assert story == ["raised", "acknowledged", "worsened"]

    agent.right_password()
    (agent.folder / "elsewhere").rename(agent.folder / "second")
    assert await away(lambda: run(agent, host, nightly)) == "succeeded ok"
    [*_, resolved] = await sink.until_told(4)
    assert (resolved.body["event"], resolved.body["alert_id"]) == ("alert.resolved", alert)


async def test_a_backup_of_nothing_is_told_until_somebody_says_that_it_is_meant(
    server: Server, agent: AgentProcess, sink: Sink
) -> None:
    host, nightly = await ready(server, agent, sink)
    for _ in range(3):
        assert await away(lambda: run(agent, host, nightly)) == "succeeded ok"
    for file in (agent.source / "letter.txt", agent.folder / "second" / "photo.jpg"):
        file.unlink()  # as if neither disk were mounted
    assert await away(lambda: run(agent, host, nightly)) == "succeeded ok"
    [raised] = await sink.until_told(1)
    assert (raised.body["kind"], raised.body["severity"]) == ("backup_suspicious", "warning")
    assert raised.body["message"].startswith(
        "Nightly was backed up, but with 0 files (usually about 2) and 0 bytes (usually about"
    )
    assert await away(lambda: run(agent, host, None)) == "succeeded ok"
    assert await away(lambda: open_alerts(server)) == [("backup_suspicious", nightly, 2)]

    alert = raised.body["alert_id"]
    await away(lambda: server.ask("POST", f"/api/alerts/{alert}/resolve", {"note": "emptied on purpose"}))
    assert await away(lambda: run(agent, host, nightly)) == "succeeded ok"
    assert said(await sink.until_told(2)) == [("alert.raised", nightly), ("alert.resolved", nightly)]
    assert await away(lambda: open_alerts(server)) == []
