"""A database that cannot be written: no ack without a commit, /healthz names the store, and it recovers by itself."""

import resource
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from pathlib import Path

import httpx
import pytest
import trio

from harness.agents import ended, enroll_host
from harness.processes import Server, away, eventually, running_server
from harness.sink import Sink
from rmactors.agent.connection import Timings
from rmactors.simulate.agent import SimulatedAgent


@contextmanager
def locked(server: Server) -> Iterator[None]:
    """Somebody else holds the write lock: a backup tool, a forgotten shell."""
    with closing(sqlite3.connect(server.data_dir / "rm.db", isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextmanager
def no_room(server: Server) -> Iterator[None]:
    """No file of the server's may grow: to SQLite, a disk that takes nothing more."""
    soft, hard = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (4096, hard))
    yield
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (soft, hard))


Trouble = Callable[[Server], AbstractContextManager[None]]


def health(server: Server) -> httpx.Response:
    return httpx.get(f"{server.url}/healthz", trust_env=False, timeout=120, verify=server.verify)


def watched(server: Server, times: int) -> set[int]:
    """What /healthz answered, asked so often."""
    found = set()
    for _ in range(times):
        found.add(health(server).status_code)
        time.sleep(0.05)
    return found


@asynccontextmanager
async def impatient(server: Server, name: str) -> AsyncIterator[SimulatedAgent]:
    """An agent that sends again after half a second without an ack, so that nobody waits thirty."""
    timings = Timings(ack=0.5)
    agent = SimulatedAgent(
        server.agent_url,
        await enroll_host(server, name),
        heartbeat_seconds=0.3,
        reconnect_seconds=0.2,
        timings=timings,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        yield agent
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("trouble", [locked, no_room])
async def test_nothing_is_acked_that_is_not_on_disk_and_nothing_is_lost(
    server: Server, sink: Sink, trouble: Trouble
) -> None:
    await away(lambda: server.webhook(sink.url()))
    async with impatient(server, "nas") as agent:
        agent.report(ended("before"))
        await sink.until_told(1)
        with trio.fail_after(30):
            await agent.settled()
        with trouble(server):
            agent.report(ended("meanwhile"))
            await away(
                lambda: eventually(
                    lambda: health(server).status_code == 503, 20, lambda: f"still well: {health(server).text}"
                )
            )
            said = (await away(lambda: health(server))).json()
            assert said["checks"]["store"] != "ok"
            assert said["checks"]["rules"] == "ok", "what is down is the store"
            assert len(agent.spool) == 1, "an ack without a commit is a broken promise"
            assert len(sink.requests) == 1
        with trio.fail_after(30):
            await agent.settled()
        told = await sink.until_told(2)
        await away(lambda: eventually(lambda: health(server).status_code == 200, 60, lambda: health(server).text))
    assert [request.body["subject"] for request in told] == ["plan:before", "plan:meanwhile"]
    server.must_live()
    alerts = await away(lambda: server.all_items("/api/alerts"))
    assert {(alert["subject"], alert["occurrences"]) for alert in alerts} == {("plan:before", 1), ("plan:meanwhile", 1)}


@pytest.mark.parametrize("trouble", [locked, no_room])
def test_a_fault_is_seen_without_traffic_for_as_long_as_it_lasts_and_then_seen_to_be_over(
    tmp_path: Path, trouble: Trouble
) -> None:
    # The rules' ticks commit what changes nothing: that ends well on a full disk too.
    with running_server(tmp_path / "server", tick_seconds=0.2) as server:
        with trouble(server):
            eventually(lambda: health(server).status_code == 503, 60, lambda: f"still well: {health(server).text}")
            assert watched(server, 60) == {503}, "it is not well for a moment either, while nothing can be committed"
        eventually(lambda: health(server).status_code == 200, 60, lambda: health(server).text)
