"""One host does its worst on a real server, beside honest ones: the drill in short, judged by counts and events alone.

How long things take is judged by `make drill ARGS=--hostile`.
"""

import sqlite3
from contextlib import closing
from typing import Any

import trio

from harness.agents import ended, enroll_host, raw_link, simulated
from harness.hostile_host import LARGE, HostileHost
from harness.processes import Server
from rmactors.common import ids
from rmactors.server.edges.places import GREETED, SILENT
from rmactors.server.runtime.rate_limits import NOTES
from rmactors.simulate.agent import SimCredential, SimulatedAgent

ENOUGH = 200


async def test_a_host_that_does_its_worst_is_bounded_and_the_others_are_acked_throughout(
    besieged: Server, host: SimCredential
) -> None:
    honest = await enroll_host(besieged, f"honest-{ids.new()}")
    hostile = HostileHost(besieged.agent_port, host.token, ENOUGH)
    most_connected = 0.0
    done = trio.Event()

    async def do_its_worst() -> None:
        await hostile.run(300)
        done.set()

    async with simulated(besieged, honest) as [agent], besieged.client() as client, trio.open_nursery() as nursery:
        nursery.start_soon(do_its_worst)
        rounds = 0
        while not done.is_set() or rounds < 3:
            rounds += 1
            await report(agent, rounds)
            assert (await client.get("/healthz")).status_code == 200
            figures = (await client.get("/metrics")).text
            most_connected = max(most_connected, metric(figures, "rmactors_agents_connected"))
        assert agent.connections == 1
    few = {name for name, number in hostile.sent.items() if number < (ENOUGH / 10 if name in LARGE else ENOUGH)}
    assert few <= {"begin"}, "what it sends is slowed down, not refused"
    assert most_connected < 2 * (SILENT + GREETED["report"]), "those that are being closed counted"
    with closing(sqlite3.connect(f"file:{besieged.data_dir}/rm.db?mode=ro", uri=True)) as db:
        (notes,) = db.execute("SELECT count(*) FROM host_notes WHERE host_id = ?", (host.host_id,)).fetchone()
    assert 0 < notes < 2 * NOTES[1], "of hundreds of refused reports"


async def report(agent: SimulatedAgent, number: int) -> None:
    agent.report(ended(f"plan {number % 5}", "failed" if number % 2 else "succeeded"))
    with trio.fail_after(60):
        await agent.settled()


def metric(text: str, name: str) -> float:
    """The value of one series of `/metrics`; 0 where it is not there."""
    return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(f"{name} "))


async def test_fifty_outcomes_that_come_at_once_over_connections_of_their_own_all_arrive(
    shared_server: Server, host: SimCredential
) -> None:
    """As fifty runs of `exec` bring them that end together."""
    acked: list[dict[str, Any]] = []

    async def run_of_exec(number: int) -> None:
        async with raw_link(shared_server, host.token) as link:
            await link.hello(purpose="report", spool_id=ids.new(), spooled=1)
            await link.send(ended(f"plan {number}")(1))
            acked.append(await link.receive(120))

    async with trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(run_of_exec, number)
    assert acked == [{"type": "ack", "seq": 1}] * 50
