"""The product's main way, on real processes: a restic backup on a host, a notification at a listener.

Server and agent are processes of their own, restic is the real one, its failures are real ones.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.agents import AgentProcess
from harness.processes import Server, away
from harness.sink import Sink


@pytest.fixture
def agent(server: Server, tmp_path: Path, restic: str) -> Iterator[AgentProcess]:
    process = AgentProcess(server, tmp_path / "nas", "nas")
    yield process
    process.end()


async def test_a_failing_backup_is_told_once_and_its_success_is_told_and_a_restart_changes_nothing(
    server: Server, agent: AgentProcess, sink: Sink
) -> None:
    await away(lambda: server.webhook(sink.url()))
    host_id = await away(agent.enroll)
    await away(lambda: agent.start(host_id))

    agent.wrong_password()
    failed = await away(lambda: agent.run_backup(host_id))
    assert (failed["status"], failed["reason"]) == ("failed", "wrong_password")
    [raised] = await sink.until_told(1)
    assert raised.body["event"] == "alert.raised"
    assert list(raised.body)[:9] == [
        "event", "alert_id", "severity", "kind", "host_id", "host_name", "message", "raised_at", "link",
    ]  # fmt: skip
    assert (raised.body["severity"], raised.body["kind"]) == ("warning", "backup_failed")
    assert (raised.body["host_id"], raised.body["host_name"], raised.body["subject"]) == (host_id, "nas", "plan:home")
    assert "wrong password" in raised.body["message"]
    assert raised.headers["idempotency-key"] == raised.body["delivery_id"]

    await away(lambda: agent.run_backup(host_id))
    [alert] = await away(lambda: server.all_items("/api/alerts"))
    assert (alert["occurrences"], alert["id"]) == (2, raised.body["alert_id"])
    assert len(sink.requests) == 1, "a recurrence notifies nobody"

    agent.right_password()
    succeeded = await away(lambda: agent.run_backup(host_id))
    assert succeeded["status"] == "succeeded"
    [_, resolved] = await sink.until_told(2)
    assert resolved.body["event"] == "alert.resolved"
    assert (resolved.body["alert_id"], resolved.body["actor"]) == (alert["id"], "rule")
    assert await away(lambda: server.all_items("/api/alerts")) == []

    # Once more, and between the failure and the success the server is stopped and restarted.
    agent.wrong_password()
    await away(lambda: agent.run_backup(host_id))
    [_, _, again] = await sink.until_told(3)
    assert again.body["alert_id"] != alert["id"], "after a resolution the same failure is a fresh alert"
    code, _ = await away(server.stop)
    assert code == 0
    await away(server.start)
    agent.right_password()
    await away(lambda: agent.run_backup(host_id))
    [_, _, _, last] = await sink.until_told(4)
    assert (last.body["event"], last.body["alert_id"]) == ("alert.resolved", again.body["alert_id"])

    shown = await away(lambda: server.ask("GET", f"/api/alerts/{again.body['alert_id']}"))
    assert shown["status"] == "resolved"
    assert {entry["event"] for entry in shown["timeline"]} == {"raised", "resolved", "delivered"}


async def test_an_outcome_that_exec_wraps_arrives_when_the_server_is_back(
    server: Server, agent: AgentProcess, sink: Sink
) -> None:
    await away(lambda: server.webhook(sink.url()))
    host_id = await away(agent.enroll)
    await away(lambda: agent.start(host_id))
    await away(server.stop)

    agent.wrong_password()
    backup = [*agent.restic_command, "backup", "--json", str(agent.source)]
    done = await away(lambda: agent.command("exec", "--kind", "backup", "--", *backup))
    assert done.returncode != 0, "the wrapped command's exit code passes through"
    assert "wrong password" in done.stderr, "so does its output"

    await away(server.start)
    [raised] = await sink.until_told(1)
    assert (raised.body["host_id"], raised.body["kind"]) == (host_id, "backup_failed")
    assert "wrong password" in raised.body["message"]


async def test_exec_without_an_agent_reports_by_itself(server: Server, agent: AgentProcess, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    host_id = await away(agent.enroll)
    agent.wrong_password()
    backup = [*agent.restic_command, "backup", str(agent.source)]
    await away(lambda: agent.command("exec", "--kind", "backup", "--", *backup))
    [raised] = await sink.until_told(1)
    assert raised.body["host_id"] == host_id
    agent.right_password()
    done = await away(lambda: agent.command("exec", "--kind", "backup", "--", *backup))
    assert done.returncode == 0
    [_, resolved] = await sink.until_told(2)
    assert resolved.body["event"] == "alert.resolved"
    assert (await away(lambda: server.ask("GET", f"/api/hosts/{host_id}")))["status"] == "reports_only"
