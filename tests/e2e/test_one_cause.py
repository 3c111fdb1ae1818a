"""One cause, one message: forty hosts at once on channels that group over hosts, by a real server and real sockets.

Windows are in real seconds, long enough for a busy machine to notice forty hosts within one.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from harness.agents import ended, enroll_host
from harness.processes import Server, away, eventually, running_server
from harness.sink import Request, Sink
from rmactors.common import wire
from rmactors.simulate.agent import SimulatedAgent

HOSTS = 40
WINDOW = 25
BY = ("repository", "all")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"heartbeat_seconds": 2, "offline_after_seconds": 8, "offline_alert_seconds": 10, "tick_seconds": 0.5}
    with running_server(tmp_path / "server", **settings) as running:
        yield running


async def fleet(server: Server, sink: Sink) -> list[SimulatedAgent]:
    """Agents that are not connected yet, each with a folder of its own on one server; and a channel of each kind."""
    for by in BY:
        await away(lambda by=by: server.webhook(sink.url(f"/{by}"), by, group_by=by, group_seconds=WINDOW))  # type: ignore[misc]
    agents = []
    for n in range(HOSTS):
        place = f"rest:https://nas{n}:secret-of-{n}@backup.lan:8000/nas{n}/"
        credential = await enroll_host(server, f"nas{n:02}")
        agents.append(
            SimulatedAgent(server.agent_url, credential, reconnect_seconds=0.5, plans=(wire.Plan("home", None, place),))
        )
    return agents


def alerts_of(requests: list[Request]) -> list[str]:
    return [alert for request in requests for alert in members(request)]


def members(request: Request) -> list[str]:
    return [member["alert_id"] for member in request.body.get("group", [])] or [request.body["alert_id"]]


async def told_of_all(sink: Sink, event: str) -> dict[str, list[Request]]:
    """By channel the messages of this event, when all hosts are in them: few, and each alert once."""

    def of(by: str) -> list[Request]:
        return [request for request in sink.told_once(f"/{by}") if request.body["event"] == event]

    await sink.until(lambda _: all(len(set(alerts_of(of(by)))) == HOSTS for by in BY), 300)
    found = {by: of(by) for by in BY}
    for requests in found.values():
        assert 1 <= len(requests) <= 3
        assert len(alerts_of(requests)) == HOSTS
    return found


async def test_forty_hosts_that_fall_silent_at_once(server: Server, sink: Sink) -> None:
    agents = await fleet(server, sink)
    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as connected:
            async with trio.open_nursery() as first:
                for agent in agents:
                    first.start_soon(agent.run)
                await away(lambda: eventually(lambda: all(agent.connected for agent in agents), 120, lambda: "not all"))
                connected.cancel()  # a switch dies
        raised = await told_of_all(sink, "alert.raised")
        for requests in raised.values():
            assert requests[0].body["kind"] == "agent_offline"
            assert requests[-1].body["kind"] == "multiple"
            assert requests[-1].body["repository"] is None
        for agent in agents:
            nursery.start_soon(agent.run)
        resolved = await told_of_all(sink, "alert.resolved")
        for by in BY:
            assert sorted(alerts_of(resolved[by])) == sorted(alerts_of(raised[by]))
            assert resolved[by][-1].body["still_open"] == 0
        nursery.cancel_scope.cancel()


async def test_forty_hosts_that_fail_at_one_repository(server: Server, sink: Sink) -> None:
    agents = await fleet(server, sink)
    async with trio.open_nursery() as nursery:
        for agent in agents:
            agent.report(ended("home", error="Fatal: unable to open config file: connection refused"))
            nursery.start_soon(agent.run)
        raised = await told_of_all(sink, "alert.raised")
        together = raised["repository"][-1].body
        assert together["repository"] == "rest:https://backup.lan:8000"
        assert together["group_count"] == len(together["group"])
        lines = together["message"].splitlines()
        number = together["group_count"]
        assert lines[0] == f"{number} alerts of {number} hosts (repository rest:https://backup.lan:8000):"
        assert len(lines) == 12
        assert lines[11] == f"and {number - 10} more"
        assert together["host_name"] == f"{number} hosts"
        for agent in agents:
            agent.report(ended("home", "succeeded"))
        resolved = await told_of_all(sink, "alert.resolved")
        assert resolved["repository"][-1].body["message"].splitlines()[0].endswith("are resolved:")
        assert not any(b"secret-of" in request.raw for request in sink.requests)
        nursery.cancel_scope.cancel()


async def test_what_waits_for_its_group_survives_a_kill(server: Server, sink: Sink) -> None:
    agents = await fleet(server, sink)
    async with trio.open_nursery() as nursery:
        for agent in agents:
            agent.report(ended("home"))
            nursery.start_soon(agent.run)
        for agent in agents:
            await agent.settled()
        await away(server.kill)
        await away(server.start)
        await told_of_all(sink, "alert.raised")
        for agent in agents[:-1]:
            agent.report(ended("home", "succeeded"))
        for agent in agents[:-1]:
            await agent.settled()
        await away(server.kill)
        await away(server.start)
        agents[-1].report(ended("home", "succeeded"))
        resolved = await told_of_all(sink, "alert.resolved")
        assert all(requests[-1].body["group_count"] > 1 for requests in resolved.values())
        nursery.cancel_scope.cancel()
