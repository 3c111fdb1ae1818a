"""Two channels on a real server, of which one does not deliver: the other one is told, also over SIGKILL."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from harness.agents import ended, enroll_host, simulated
from harness.processes import Server, away, eventually, running_server
from harness.sink import Request, Sink
from rmactors.simulate.agent import SimulatedAgent

DOWN, FINE = "/down", "/fine"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    settings = {"channel_failing_seconds": 0.5, "tick_seconds": 0.2, "restart_grace_seconds": 0.2}
    with running_server(tmp_path / "server", **settings) as running:
        yield running


@asynccontextmanager
async def host(server: Server) -> AsyncIterator[SimulatedAgent]:
    async with simulated(server, await enroll_host(server, "nas")) as [agent]:
        yield agent


def about_channels(sink: Sink, path: str) -> list[tuple[str, str, Any, Any]]:
    """(event, subject, host id, host name) of what a path was told of channels, in order."""
    bodies = [request.body for request in sink.told_once(path)]
    return [
        (body["event"], body["subject"], body["host_id"], body["host_name"])
        for body in bodies if body["kind"] == "channel_failing"
    ]  # fmt: skip


def alerts(server: Server) -> list[dict[str, Any]]:
    return server.all_items("/api/alerts?kind=channel_failing&status=all")


async def until_alert(server: Server, status: str) -> dict[str, Any]:
    """Wait until there is one alert about a channel, in this state."""

    def so() -> bool:
        return [alert["status"] for alert in alerts(server)] == [status]

    await away(lambda: eventually(so, 120, lambda: f"{status}: {alerts(server)}"))
    [alert] = await away(lambda: alerts(server))
    return alert


async def two_channels(server: Server, sink: Sink) -> str:
    """The one that is down."""
    failing = await away(lambda: server.webhook(sink.url(DOWN), "failing"))
    await away(lambda: server.webhook(sink.url(FINE), "fine"))
    return failing


async def test_a_channel_that_fails_is_told_to_the_other_over_a_kill_until_it_delivers_again(
    server: Server, sink: Sink
) -> None:
    sink.feel("error", path=DOWN, status=503)
    channel_id = await two_channels(server, sink)
    async with host(server) as agent:
        agent.report(ended("home"))
        alert = await until_alert(server, "open")
        assert (alert["severity"], alert["host_id"], alert["host_name"]) == ("warning", None, None)
        assert alert["subject"] == f"channel:{channel_id}"
        assert "Notifications to the channel failing have been failing since" in alert["message"]
        assert "503 Service Unavailable" in alert["message"]
        await sink.until(lambda sink: len(about_channels(sink, FINE)) == 1)
        await away(server.kill)
        await away(server.start)
        sink.feel("up", path=DOWN)
        resolved = await until_alert(server, "resolved")
        assert (resolved["id"], resolved["resolved_by"]) == (alert["id"], "rule")
        await sink.until(lambda sink: len(about_channels(sink, FINE)) == 2)
    subject = f"channel:{channel_id}"
    assert about_channels(sink, FINE) == [
        ("alert.raised", subject, None, None), ("alert.resolved", subject, None, None),
    ]  # fmt: skip
    assert about_channels(sink, DOWN) == [], "it is not told of itself"
    assert [request.body["kind"] for request in sink.told_once(DOWN)] == ["backup_failed"]


async def test_a_message_that_was_given_up_is_told_until_somebody_dismisses_it(server: Server, sink: Sink) -> None:
    sink.feel("error", path=DOWN, status=410)
    await two_channels(server, sink)
    async with host(server) as agent:
        agent.report(ended("home"))
        alert = await until_alert(server, "open")
        assert "410 Gone" in alert["message"]
        assert "1 notification to the channel failing was given up on" in alert["message"]
    [delivery_id] = {request.body["delivery_id"] for request in sink.requests if request.path == DOWN}
    await away(lambda: server.ask("POST", f"/api/deliveries/{delivery_id}/dismiss"))
    await until_alert(server, "resolved")


async def test_two_channels_that_give_up_everything_do_not_tell_of_each_other_without_an_end(
    server: Server, sink: Sink
) -> None:
    for path in (DOWN, FINE):
        sink.feel("error", path=path, status=410)
    await two_channels(server, sink)

    def settled(sink: Sink) -> bool:
        return len({request.body["delivery_id"] for request in sink.requests}) == 4

    async with host(server) as agent:
        agent.report(ended("home"))
        await sink.until(settled)  # the failure to both, and each to the other
        ticks = len(await away(lambda: alerts(server)))
        sink.feel("up")
        sink.by_path.clear()
        agent.report(ended("other"))
        await sink.until_told(2)
    assert ticks == 2
    assert len(await away(lambda: alerts(server))) == 2

    def tells_of_a_channel(request: Request) -> bool:
        return bool(request.body["kind"] == "channel_failing")

    ids = {request.body["delivery_id"] for request in sink.requests if tells_of_a_channel(request)}
    assert len(ids) == 2
