"""What networks do to the connection of a real agent and a real server: no outcome is lost, none counts twice, and no
host is stuck afterwards. The agent's waits are shortened; what it does is what it does."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio

from harness.accounts import Episode, episodes_of
from harness.agents import enroll_host
from harness.processes import Server, away, eventually, running_server
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import Timings
from rmactors.agent.daemon import run_agent
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import ids, wire
from tests.agent.faulty_wire import FaultyWire, between

IMPATIENT = Timings(
    connect=0.8, send=2, welcome=0.8, pong=0.5, ack=0.5, stable=60, first_pause=0.05, longest_pause=0.1, refused_pause=9
)
PATIENT = Timings(first_pause=0.05, longest_pause=0.1)
PLANS = ("home", "etc", "mail")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(
        tmp_path_factory.mktemp("faulty") / "server",
        heartbeat_seconds=0.3,
        offline_after_seconds=1.2,
        offline_alert_seconds=1.8,
        restart_grace_seconds=0.1,
        tick_seconds=0.2,
    ) as running:
        yield running
        running.must_live()


@dataclass
class Host:
    """One host behind a faulty wire: its spool, and what was put into it."""

    server: Server
    credential: HostCredential
    state: StateDir
    network: FaultyWire
    outcomes: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    job_ids: list[str] = field(default_factory=list)

    @property
    def host_id(self) -> str:
        return self.credential.host_id

    def fill(self, jobs: int) -> None:
        """Starts and ends of backups into the spool, as runs of `exec` would; two of three fail."""
        spool = Spool(self.state.spool_file)
        for number in range(jobs):
            job_id, now, plan = ids.new(), wire.utc_now(), PLANS[number % 2 + (number % 7 == 0)]
            status, reason, code = ("succeeded", "ok", 0) if number % 3 == 2 else ("failed", "error", 1)
            spool.add(wire.JobStarted(0, job_id, "backup", now, plan=plan))
            spool.add(
                wire.JobFinished(0, job_id, "backup", status, reason, now, now, code, "boom" if code else None, plan)  # type: ignore[arg-type]
            )
            self.outcomes[plan].append(status)
            self.job_ids.append(job_id)
        spool.close()
        self.state.wake_agent()

    def left(self) -> int:
        spool = Spool(self.state.spool_file)
        try:
            return spool.count()
        finally:
            spool.close()

    def status(self) -> str:
        found: str = self.server.ask("GET", f"/api/hosts/{self.host_id}")["status"]
        return found

    def alerts(self, kind: str) -> list[dict[str, Any]]:
        """Of each subject the oldest first: the list has open ones first, then the newest."""
        found = self.server.all_items(f"/api/alerts?status=all&kind={kind}&host_id={self.host_id}")
        return found[::-1]

    async def until(self, holds: Any, what: str, seconds: float = 120.0) -> None:
        await away(lambda: eventually(holds, seconds, lambda: f"{what}: {self.status()}, {self.left()} left"))

    async def is_well(self) -> None:
        """All is delivered, each job is there once, the alerts are those of its outcomes, and it obeys."""
        await self.until(lambda: self.left() == 0, "not all is delivered")
        await self.until(lambda: self.status() == "online", "not online")
        jobs = await away(lambda: self.server.all_items(f"/api/jobs?host_id={self.host_id}"))
        assert sorted(job["id"] for job in jobs) == sorted(self.job_ids)
        assert {job["status"] for job in jobs} <= {"failed", "succeeded"}
        found: dict[str, list[Episode]] = defaultdict(list)
        for alert in await away(lambda: self.alerts("backup_failed")):
            closed = alert["resolved_at"] is not None
            found[alert["subject"].removeprefix("plan:")].append(Episode(alert["occurrences"], closed))
        assert found == {plan: episodes_of(ends) for plan, ends in self.outcomes.items() if "failed" in ends}
        asked = await away(
            lambda: self.server.ask("POST", f"/api/hosts/{self.host_id}/jobs", {"kind": "prune", "params": {}})
        )
        await self.until(
            lambda: self.server.ask("GET", f"/api/jobs/{asked['id']}")["reason"] == "refused", "it does not obey"
        )
        self.job_ids.append(asked["id"])


@asynccontextmanager
async def host(server: Server, folder: Path, name: str, timings: Timings) -> AsyncIterator[Host]:
    """A running agent that reaches the server over a wire of its own."""
    enrolled = await enroll_host(server, name)
    state = StateDir(folder / "state")
    async with between(server.agent_port) as network, trio.open_nursery() as nursery:
        url = f"ws://127.0.0.1:{network.port}{wire.PATH}"
        credential = HostCredential(url, enrolled.host_id, name, enrolled.token)
        state.save_credential(credential)
        made = Host(server, credential, state, network)
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=timings))
        await made.until(lambda: made.status() == "online", "not online")
        yield made
        nursery.cancel_scope.cancel()


async def test_cut_in_mid_frame_again_and_again(server: Server, tmp_path: Path) -> None:
    async with host(server, tmp_path, "cut", IMPATIENT) as nas:
        network = nas.network
        nas.fill(40)
        for cut_after in (60, 400, 900, 1300, 2000, 3100, 4200):  # in the upgrade, in the hello, in reports
            network.cut_after = cut_after
            seen = network.connections
            await nas.until(lambda seen=seen: network.connections > seen + 1, "not cut")
        network.cut_after = float("inf")
        await nas.is_well()


async def test_half_open_for_longer_than_a_host_may_be_silent(server: Server, tmp_path: Path) -> None:
    """Both ends believe in a connection on which nothing passes: each notices by itself."""
    async with host(server, tmp_path, "halfopen", IMPATIENT) as nas:
        nas.network.silent = True
        nas.fill(10)
        await nas.until(lambda: nas.status() == "offline", "not noticed")
        await nas.until(lambda: "open" in statuses(nas), "not told")
        nas.network.silent = False
        await nas.is_well()
        await nas.until(lambda: set(statuses(nas)) == {"resolved"}, "not resolved")


def statuses(nas: Host) -> list[str]:
    return [alert["status"] for alert in nas.alerts("agent_offline")]


async def test_what_the_server_says_is_lost_and_so_everything_is_sent_again(server: Server, tmp_path: Path) -> None:
    async with host(server, tmp_path, "deaf", IMPATIENT) as nas:
        nas.network.deaf = True
        nas.fill(10)
        await nas.until(lambda: len(server.all_items(f"/api/jobs?host_id={nas.host_id}")) > 0, "not arrived")
        assert nas.left() == 20, "without an ack nothing is forgotten"
        seen = nas.network.connections
        await nas.until(lambda: nas.network.connections > seen, "not noticed")
        nas.network.deaf = False
        await nas.is_well()


async def test_a_hello_that_arrives_after_that_of_the_next_connection(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its agent has given it up; what was in flight arrives all the same."""
    async with host(server, tmp_path, "late", PATIENT) as nas:
        network, until = nas.network, trio.Event()
        network.cut_after, network.until = 0, until
        nas.fill(1)  # what it sends next is cut off, and the next hello is held up
        await nas.until(lambda: nas.left() == 0, "not back")
        assert network.connections == 3
        until.set()
        await nas.until(lambda: network.arrived_late == 1, "the late hello is not turned away")
        nas.fill(2)
        await nas.is_well()
        assert network.connections == 3, "nobody lost a connection over it"
    assert "clone" not in caplog.text


async def test_slow(server: Server, tmp_path: Path) -> None:
    async with host(server, tmp_path, "slow", PATIENT) as nas:
        nas.network.slowly = 0.0005
        nas.fill(8)
        await nas.is_well()


async def test_every_frame_twice(server: Server, tmp_path: Path) -> None:
    async with host(server, tmp_path, "twice", PATIENT) as nas:
        nas.network.twice = True
        nas.network.cut_after = 0
        await nas.until(lambda: nas.network.connections > 1, "not cut")
        nas.network.cut_after = float("inf")
        nas.fill(20)
        await nas.is_well()
        assert nas.network.repeated >= 1 + 40, "the hello and the reports"
