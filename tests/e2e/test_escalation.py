"""A real server with a channel that hears later, one with quiet hours and one with a digest, over SIGKILL.

Minutes are fractions here, and quiet hours are those around the present.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from harness.agents import ended, enroll_host, simulated
from harness.processes import Server, away, eventually, running_server
from harness.sink import Sink
from rmactors.simulate.agent import SimulatedAgent

SECOND = 1 / 60
"""In minutes."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with running_server(tmp_path / "server", tick_seconds=0.2, restart_grace_seconds=0.2) as running:
        yield running


@asynccontextmanager
async def host(server: Server) -> AsyncIterator[SimulatedAgent]:
    async with simulated(server, await enroll_host(server, "nas")) as [agent]:
        yield agent


async def channel(server: Server, sink: Sink, path: str, **more: object) -> None:
    await away(lambda: server.webhook(sink.url(path), path, **more))


async def named(server: Server, name: str) -> dict[str, Any]:
    [found] = [each for each in await away(lambda: server.all_items("/api/notifications")) if each["name"] == name]
    return found


async def change(server: Server, name: str, **more: object) -> None:
    found = await named(server, name)
    changed = {each: found[each] for each in ("kind", "name", "config")} | more
    await away(lambda: server.ask("PUT", f"/api/notifications/{found['id']}", changed))


def told(sink: Sink, path: str) -> list[tuple[str, str]]:
    """(event, subject) of what came there, each delivery once."""
    bodies = [request.body for request in sink.told_once(path)]
    return [(body["event"].removeprefix("alert."), body["subject"]) for body in bodies]


async def until_told(sink: Sink, path: str, *expected: tuple[str, str]) -> None:
    await away(lambda: eventually(lambda: told(sink, path) == list(expected), 120, lambda: str(told(sink, path))))


async def alert_about(server: Server, subject: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [each for each in server.all_items("/api/alerts?status=all") if each["subject"] == subject]

    await away(lambda: eventually(lambda: bool(found()), 120, lambda: subject))
    return (await away(found))[0]


async def test_what_nobody_looks_after_is_escalated_over_a_kill_and_what_somebody_does_is_not(
    server: Server, sink: Sink
) -> None:
    await channel(server, sink, "/first")
    await channel(server, sink, "/pager", after_minutes=600)
    async with host(server) as agent:
        agent.report(ended("left"))
        agent.report(ended("seen"))
        seen = await alert_about(server, "plan:seen")
        await away(lambda: server.ask("POST", f"/api/alerts/{seen['id']}/acknowledge", {"note": "on it"}))
        left = await alert_about(server, "plan:left")
        server.kill()
        server.start()
        assert told(sink, "/pager") == []
        await change(server, "/pager", after_minutes=SECOND)  # which counts from the raise, for what waits, too
        await until_told(sink, "/pager", ("raised", "plan:left"))
        [request] = sink.told("/pager")[:1]
        assert "Nobody has acknowledged it since" in request.body["message"]
        raised_at, occurred_at = (datetime.fromisoformat(request.body[at]) for at in ("raised_at", "occurred_at"))
        assert occurred_at - raised_at >= timedelta(seconds=0.999)
        agent.report(ended("seen", "succeeded", reason="ok"))
        agent.report(ended("left", "succeeded", reason="ok"))
        await until_told(sink, "/pager", ("raised", "plan:left"), ("resolved", "plan:left"))
    timeline = (await away(lambda: server.ask("GET", f"/api/alerts/{left['id']}")))["timeline"]
    assert [each["event"] for each in timeline if each["event"] != "delivered"] == ["raised", "escalated", "resolved"]
    assert ("acknowledged", "plan:seen") in told(sink, "/first")


async def test_quiet_hours_hold_back_what_is_not_critical_and_the_channel_says_until_when(
    server: Server, sink: Sink
) -> None:
    now = datetime.now(UTC)
    quiet = {
        "timezone": "UTC", "from": f"{now - timedelta(hours=2):%H:%M}", "to": f"{now + timedelta(hours=2):%H:%M}",
        "days": [],
    }  # fmt: skip
    await channel(server, sink, "/loud")
    await channel(server, sink, "/quiet", quiet_hours=quiet)
    async with host(server) as agent:
        agent.report(ended("home"))
        await until_told(sink, "/loud", ("raised", "plan:home"))
        server.kill()
        server.start()
        found = await named(server, "/quiet")
        assert (found["health"]["queued"], found["health"]["oldest_queued_at"]) == (1, None)
        assert found["health"]["held_because"] == "its quiet hours"
        assert told(sink, "/quiet") == []
        await change(server, "/quiet", quiet_hours=None)
        await until_told(sink, "/quiet", ("raised", "plan:home"))


async def test_a_digest_comes_with_the_minute_once_over_a_kill(server: Server, sink: Sink) -> None:
    async with host(server) as agent:
        agent.report(ended("home", "succeeded", reason="ok"))
        await channel(server, sink, "/digest", digest={"cron": "* * * * *", "timezone": "UTC"})
        await away(lambda: eventually(lambda: bool(told(sink, "/digest")), 240, lambda: server.log))
        server.kill()
        server.start()
    bodies = [request.body for request in sink.told_once("/digest")]
    slots = [body["raised_at"] for body in bodies]
    assert slots == sorted(set(slots)), "each minute once"
    assert {(body["event"], body["kind"], body["host_name"]) for body in bodies} == {
        ("alert.digest", "digest", "restic-manager")
    }
