"""A simulated agent keeps the protocol's promises: what is not acked is sent again, in order."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from rmactors.agent.connection import Timings
from rmactors.common import ids, wire
from rmactors.simulate.agent import PROTOCOL, REVOKED, EnrollmentRefused, SimCredential, SimulatedAgent, enroll

from .conftest import Listener, Peer

AT = datetime(2026, 1, 1, tzinfo=UTC)
NAS = SimCredential(ids.new(), "nas", "secret-token")


def start_of(job_id: str) -> Callable[[int], wire.Report]:
    return lambda seq: wire.JobStarted(seq=seq, job_id=job_id, kind="backup", started_at=AT)


def end_of(job_id: str) -> Callable[[int], wire.Report]:
    return lambda seq: wire.JobFinished(
        seq=seq, job_id=job_id, kind="backup", status="succeeded", reason="ok", started_at=AT, finished_at=AT
    )


async def played(listener: Listener, agent: SimulatedAgent) -> None:
    """Run the agent until the last script is over."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        with trio.fail_after(30):
            await listener.done.wait()
        nursery.cancel_scope.cancel()


async def test_reports_are_sent_in_order_and_forgotten_when_acked(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        for seq in (1, 2, 3):
            assert (await peer.receive())["seq"] == seq
            await peer.send({"type": "ack", "seq": seq})
        await agent.settled()

    listener.scripts = [script]
    agent = SimulatedAgent(listener.url, NAS)
    for _ in range(3):
        agent.report(end_of(ids.new()))
    await played(listener, agent)
    assert agent.spool == {}


async def test_what_was_not_acked_comes_again_after_a_reconnect_and_the_hello_says_how_much(listener: Listener) -> None:
    running = ids.new()
    hellos = []

    async def cut_off(peer: Peer) -> None:
        hellos.append(await peer.welcome())
        assert [(await peer.receive())["seq"] for _ in range(3)] == [1, 2, 3]
        await peer.send({"type": "ack", "seq": 2})
        await peer.connection.aclose(1001)

    async def take_the_rest(peer: Peer) -> None:
        hellos.append(await peer.welcome())
        assert [(await peer.receive())["seq"] for _ in range(2)] == [1, 3]

    listener.scripts = [cut_off, take_the_rest]
    agent = SimulatedAgent(listener.url, NAS, reconnect_seconds=0.01)
    agent.report(end_of(ids.new()))
    agent.report(end_of(ids.new()))
    agent.report(start_of(running))
    await played(listener, agent)
    assert [hello["spooled"] for hello in hellos] == [3, 2]
    assert [hello["running_jobs"] for hello in hellos] == [[running], [running]]
    assert hellos[0]["instance_id"] == hellos[1]["instance_id"], "one process, one instance"
    assert hellos[0]["spool_id"] == hellos[1]["spool_id"]


async def test_without_an_ack_a_report_comes_again_on_the_live_connection(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        seen = 0
        while seen < 2:
            frame = await peer.receive()
            seen += frame["type"] == "job_finished"

    listener.scripts = [script]
    agent = SimulatedAgent(listener.url, NAS, heartbeat_seconds=0.02, timings=Timings(ack=0.05))
    agent.report(end_of(ids.new()))
    await played(listener, agent)
    assert listener.connections == 1


async def test_a_refused_report_is_dropped_and_said(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.receive()
        await peer.send({"type": "ack", "seq": 1, "refused": "foreign_job", "detail": "no"})
        await agent.settled()

    listener.scripts = [script]
    acks: list[wire.Ack] = []
    agent = SimulatedAgent(listener.url, NAS, on_ack=lambda _, ack: acks.append(ack))
    agent.report(end_of(ids.new()))
    await played(listener, agent)
    assert [ack.refused for ack in acks] == ["foreign_job"]


async def test_a_job_that_is_asked_for_twice_is_handed_on_once(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        job: dict[str, Any] = {
            "type": "run_job",
            "job_id": ids.new(),
            "kind": "backup",
            "schedule_id": None,
            "params": {},
        }
        await peer.send(job)
        await peer.send(job)
        await peer.send({"type": "something new", "at": 1})
        while (await peer.receive())["type"] != "heartbeat":
            pass

    listener.scripts = [script]
    jobs: list[wire.RunJob] = []
    await played(listener, SimulatedAgent(listener.url, NAS, heartbeat_seconds=0.1, on_job=jobs.append))
    assert len(jobs) == 1


@pytest.mark.parametrize(("code", "ended"), [(wire.CLOSE_REVOKED, REVOKED), (wire.CLOSE_PROTOCOL, PROTOCOL)])
async def test_it_does_not_come_back_when_it_is_not_wanted(listener: Listener, code: int, ended: str) -> None:
    async def script(peer: Peer) -> None:
        await peer.welcome()
        await peer.connection.aclose(code)

    listener.scripts = [script]
    agent = SimulatedAgent(listener.url, NAS, reconnect_seconds=0.01)
    with trio.fail_after(30):
        await agent.run()
    assert (agent.ended, listener.connections) == (ended, 1)


async def test_a_token_that_is_not_taken_ends_it(listener: Listener) -> None:
    listener.status = 401
    agent = SimulatedAgent(listener.url, NAS)
    with trio.fail_after(30):
        await agent.run()
    assert agent.ended == "rejected: HTTP 401"
    assert "secret-token" not in repr(agent.credential)


async def test_a_server_that_is_not_there_is_tried_again(listener: Listener) -> None:
    listener.status = 503
    agent = SimulatedAgent(listener.url, NAS, reconnect_seconds=0.01)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent.run)
        await trio.sleep(0.05)
        assert agent.ended is None
        listener.status = None

        async def script(peer: Peer) -> None:
            await peer.welcome()

        listener.scripts = [script]
        with trio.fail_after(30):
            await listener.done.wait()
        nursery.cancel_scope.cancel()


async def test_enrollment_gives_a_credential(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        frame = await peer.receive()
        assert (frame["type"], frame["name"]) == ("enroll", "nas")
        await peer.send({"type": "enrolled", "host_id": NAS.host_id, "agent_token": "fresh"})

    listener.scripts = [script]
    made = await enroll(listener.url, "one-time", "nas")
    assert (made.host_id, made.name, made.token) == (NAS.host_id, "nas", "fresh")


async def test_a_refused_enrollment_says_why(listener: Listener) -> None:
    async def script(peer: Peer) -> None:
        await peer.receive()
        await peer.send({"type": "error", "code": "name_taken", "detail": "nas is taken"})

    listener.scripts = [script]
    with pytest.raises(EnrollmentRefused, match="name_taken"):
        await enroll(listener.url, "one-time", "nas")
    listener.status = 401
    with pytest.raises(EnrollmentRefused, match="does not know this token"):
        await enroll(listener.url, "one-time", "nas")
