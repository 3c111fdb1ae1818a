"""A host that falls silent is told of once, and so is its return; a server that was away accuses nobody. In seconds."""

import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from harness.agents import ended, enroll_host, raw_link, simulated
from harness.processes import Server, away, eventually, running_server
from harness.sink import Sink
from rmactors.common import wire


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(
        tmp_path / "server",
        heartbeat_seconds=0.2,
        offline_after_seconds=0.8,
        offline_alert_seconds=1.6,
        tick_seconds=0.2,
        restart_grace_seconds=5,
        stale_grace_seconds=1,
    ) as running:
        yield running


def status(server: Server, host_id: str) -> str:
    found: str = server.ask("GET", f"/api/hosts/{host_id}")["status"]
    return found


async def until_online(server: Server, host_id: str) -> None:
    await away(lambda: eventually(lambda: status(server, host_id) == "online", 60, lambda: "not online"))


async def test_a_silent_host_is_told_of_once_and_resolved_by_its_hello(server: Server, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    credential = await enroll_host(server, "nas")
    assert await away(lambda: status(server, credential.host_id)) == "never_seen"
    async with simulated(server, credential):
        await until_online(server, credential.host_id)
    [raised] = await sink.until_told(1)
    assert (raised.body["event"], raised.body["kind"]) == ("alert.raised", "agent_offline")
    assert raised.body["subject"] == ""
    assert await away(lambda: status(server, credential.host_id)) == "offline"
    async with simulated(server, credential):
        [_, resolved] = await sink.until_told(2)
    assert (resolved.body["event"], resolved.body["alert_id"]) == ("alert.resolved", raised.body["alert_id"])


async def test_who_says_nothing_on_an_open_connection_is_cut_off(server: Server) -> None:
    credential = await enroll_host(server, "mute")
    async with raw_link(server, credential.token) as link:
        await link.hello()
        began = trio.current_time()
        await link.close_code()
        assert trio.current_time() - began > 0.5


async def test_a_server_that_was_away_raises_nothing_about_hosts_that_return(server: Server, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    returning, gone = await enroll_host(server, "returning"), await enroll_host(server, "gone")
    async with simulated(server, returning) as [agent]:
        async with simulated(server, gone):
            await until_online(server, returning.host_id)
            await until_online(server, gone.host_id)
            await away(server.kill)
        await trio.sleep(0.9)
        await trio.sleep(0.9)  # away for longer than a host may be silent
        await away(server.start)
        [raised] = await sink.until_told(1)
        assert raised.body["host_name"] == "gone"
        assert agent.connections == 2
        await trio.sleep(0.8)  # a few ticks more
    assert [request.body["host_name"] for request in sink.requests] == ["gone"]


async def test_a_server_that_was_stopped_raises_nothing_about_hosts_that_went_on(server: Server, sink: Sink) -> None:
    """Stopped for longer than a host may be silent, while a slot passes whose run is reported in time."""
    await away(lambda: server.webhook(sink.url()))
    staying, gone = await enroll_host(server, "staying"), await enroll_host(server, "gone")
    async with simulated(server, staying) as [agent]:
        async with simulated(server, gone):
            await until_online(server, staying.host_id)
            await until_online(server, gone.host_id)
            assert server.process is not None
            slot = (wire.utc_now() + timedelta(seconds=6)).replace(microsecond=0)
            schedule = await away(lambda: server.ask(
                "POST", f"/api/hosts/{staying.host_id}/schedules",
                {"name": "once", "kind": "backup", "mode": "external", "on_calendar": f"{slot:%Y-%m-%d %H:%M:%S} UTC"},
            ))  # fmt: skip
            server.process.send_signal(signal.SIGSTOP)
            assert wire.utc_now() < slot, "the machine is too slow for this test"
            of_plan = ended("once", "succeeded", at=slot)
            agent.report(lambda seq: replace(of_plan(seq), schedule_id=schedule["id"], scheduled_for=slot))
            late = slot + timedelta(seconds=2)
            await trio.sleep((late - wire.utc_now()).total_seconds())  # the server's grace has passed: real time it is
            server.process.send_signal(signal.SIGCONT)
            await agent.settled()
        told = [
            (request.body["event"], request.body["kind"], request.body["host_name"])
            for request in await sink.until_told(1)
        ]
        assert told == [("alert.raised", "agent_offline", "gone")]
        alerts = await away(lambda: server.all_items("/api/alerts?status=all"))
    assert [(alert["kind"], alert["host_name"]) for alert in alerts] == [("agent_offline", "gone")]


async def test_a_link_that_comes_and_goes_makes_no_storm(server: Server, sink: Sink) -> None:
    await away(lambda: server.webhook(sink.url()))
    credential = await enroll_host(server, "flapping")
    for _ in range(12):
        async with simulated(server, credential):
            await trio.sleep(0.15)
        await trio.sleep(0.1)
    assert await away(lambda: server.all_items("/api/alerts?status=all")) == []
    assert sink.requests == []
