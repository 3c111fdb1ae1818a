"""What an administrator reads in the log of a real server: each event a line, with the ids to look further."""

import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from harness.agents import AgentProcess, ended, enroll_host, simulated
from harness.processes import Server, away, eventually, running_server
from harness.sink import Sink


def events(server: Server) -> list[dict[str, Any]]:
    """Every line of the log; each must be a JSON object."""
    return [json.loads(line) for line in server.log.splitlines()]


def named(server: Server, name: str, **values: object) -> list[dict[str, Any]]:
    return [
        event
        for event in events(server)
        if event.get("event") == name and all(event.get(field) == value for field, value in values.items())
    ]


async def test_the_log_tells_what_happened_as_json_with_ids_and_no_secret(tmp_path: Path, sink: Sink) -> None:
    with running_server(tmp_path / "server", log_format="json", retry_max_seconds="1.5") as server:
        server.admin("create-user", "--username", "ann", "--role", "admin", RM_PASSWORD="a long enough password")
        sink.feel("error", status=500)
        secret = {"url": sink.url("/hook-Secret"), "bearer_token": "bearer-Secret"}
        body = {"kind": "webhook", "name": "ops", "config": secret}
        channel = (await away(lambda: server.ask("POST", "/api/notifications", body)))["id"]
        credential = await enroll_host(server, "nas1")
        async with simulated(server, credential) as [agent]:
            agent.report(ended("home", "failed", error="disk on fire"))
            with trio.fail_after(30):
                await agent.settled()
            await away(lambda: eventually(lambda: bool(named(server, "delivery.dead")), 60, lambda: server.log[-3000:]))
            agent.report(ended("home", "succeeded"))
            with trio.fail_after(30):
                await agent.settled()
            await away(lambda: eventually(lambda: bool(named(server, "alert.resolved")), 60, lambda: server.log))
        form = {"username": "ann", "password": "wrong-Secret"}
        await away(lambda: httpx.post(f"{server.url}/login", data=form, trust_env=False))
        await away(
            lambda: eventually(
                lambda: bool(named(server, "agent.disconnected") and named(server, "user.login")), 20,
                lambda: server.log[-3000:],
            )
        )  # fmt: skip
        code, _ = await away(server.stop)
        assert code == 0

    [raised] = named(server, "alert.raised")
    assert (raised["host"], raised["kind"], raised["severity"]) == ("nas1", "backup_failed", "warning")
    assert raised["host_id"] == credential.host_id
    [ended_job] = named(server, "job.ended", status="failed")
    assert raised["job_id"] == ended_job["job_id"]
    assert named(server, "alert.resolved", alert_id=raised["alert_id"], by="rule")
    failed = named(server, "delivery.failed", channel_id=channel, alert_id=raised["alert_id"])
    assert failed[0]["status_code"] == 500
    assert failed[0]["level"] == "warning"
    [dead, *_] = named(server, "delivery.dead", channel_id=channel)
    assert dead["level"] == "error"
    [connected] = named(server, "agent.connected", host="nas1")
    assert connected["address"] == "127.0.0.1"
    assert named(server, "agent.disconnected", host_id=credential.host_id)
    [login] = named(server, "user.login", result="failed")
    assert (login["level"], login["actor"], login["address"]) == ("warning", "ann", "127.0.0.1")
    assert named(server, "channel.create", target_id=channel)
    assert named(server, "host.enroll", target_id=credential.host_id)
    names = [event["event"] for event in events(server) if "event" in event]
    assert names.index("server.started") < names.index("server.stopping") < names.index("server.stopped")
    assert "Secret" not in server.log
    assert server.token not in server.log
    assert credential.token not in server.log


def test_a_server_that_cannot_start_says_so_in_json_too(tmp_path: Path) -> None:
    with running_server(tmp_path / "first") as first:
        second = Server(tmp_path / "second", data_dir=first.data_dir, log_format="json")
        second.spawn()
        assert second.process is not None
        assert second.process.wait(60) == 1
        [failed] = events(second)
        assert (failed["event"], failed["level"]) == ("server.failed", "error")
        assert str(first.data_dir) in failed["message"]


def test_the_setup_token_is_for_people_not_for_log_collectors(tmp_path: Path) -> None:
    with running_server(tmp_path / "server", log_format="json") as server:
        token = (server.data_dir / "setup-token").read_text().strip()
        eventually(lambda: bool(named(server, "server.setup")), 60, lambda: server.log)
        assert token not in server.log
        [setup] = named(server, "server.setup")
        assert str(server.data_dir / "setup-token") in setup["message"]


@pytest.mark.parametrize("wrong", [{"log_format": "xml"}, {"log_level": "loud"}], ids=str)
def test_a_log_that_cannot_be_written_so_is_said_at_the_start(tmp_path: Path, wrong: dict[str, str]) -> None:
    server = Server(tmp_path / "server", **wrong)
    server.spawn()
    assert server.process is not None
    assert server.process.wait(60) == 1
    assert f"{next(iter(wrong))} must be one of" in server.log


def test_a_signal_is_named(tmp_path: Path) -> None:
    with running_server(tmp_path / "server") as server:
        assert server.process is not None
        server.process.send_signal(signal.SIGINT)
        assert server.process.wait(60) == 0
        assert "SIGINT: stopping signal=SIGINT" in server.log
        assert server.log.rstrip().endswith("stopped")


class JsonAgent(AgentProcess):
    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"RM_LOG_FORMAT": "json"}


def test_agent_and_server_speak_of_a_job_by_the_same_id(tmp_path: Path, restic: str) -> None:
    with running_server(tmp_path / "server", log_format="json", log_level="debug") as server:
        agent = JsonAgent(server, tmp_path / "agent", "nas1")
        host_id = agent.enroll()
        agent.start(host_id)
        try:
            job = agent.run_backup(host_id)
        finally:
            agent.end()
        told = [json.loads(line) for line in agent.log_file.read_text().splitlines()]
        by_agent = [event["event"] for event in told if event.get("job_id") == job["id"]]
        assert by_agent == ["job.started", "job.ended"]
        assert [event["host_id"] for event in told if event.get("event") == "link.connected"] == [host_id]
        [ended_job] = named(server, "job.ended", job_id=job["id"])
        assert (ended_job["host_id"], ended_job["status"], ended_job["level"]) == (host_id, "succeeded", "debug")
