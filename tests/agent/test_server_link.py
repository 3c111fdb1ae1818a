"""The link under everything that networks and servers do to it: every report arrives, in order, and once per job
and event once the server sorts out repeats."""

import logging
import os
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import trio

from rmactors.agent import daemon
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import Timings
from rmactors.agent.daemon import run_agent
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import AlreadyRunning, HostCredential, NotEnrolled, StateDir
from rmactors.common import ids, wire, zones
from tests.zone_folders import folder

from .conftest import FAST
from .faulty_wire import between
from .server_double import ServerDouble, eventually, serving

ROOT = Path(__file__).resolve().parents[2]
NOTHING = AgentFile(allow=[])


def agent(state: StateDir, timings: Timings = FAST) -> object:
    return lambda: run_agent(NOTHING, state.path, timings=timings)


def fill(state: StateDir, jobs: int) -> list[str]:
    """Put starts and ends of some jobs into the spool, as runs of `exec` would."""
    spool = Spool(state.spool_file)
    job_ids = [ids.new() for _ in range(jobs)]
    for job_id in job_ids:
        now = wire.utc_now()
        spool.add(wire.JobStarted(0, job_id, "backup", now))
        spool.add(wire.JobFinished(0, job_id, "backup", "failed", "error", now, now, 1, "boom"))
    spool.close()
    return job_ids


def left(state: StateDir) -> int:
    spool = Spool(state.spool_file)
    try:
        return spool.count()
    finally:
        spool.close()


def distinct(server: ServerDouble) -> list[tuple[str, str]]:
    """(job, event) in the order of first arrival: what a server makes of repeats."""
    return list(dict.fromkeys((r.job_id, type(r).__name__) for r in server.received))


def expected(job_ids: list[str]) -> list[tuple[str, str]]:
    return [(job_id, event) for job_id in job_ids for event in ("JobStarted", "JobFinished")]


async def test_hello_says_what_the_host_is_and_how_much_follows(server: ServerDouble, enrolled: StateDir) -> None:
    fill(enrolled, 2)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        session = await server.an_agent()
        nursery.cancel_scope.cancel()
    hello = session.hello
    assert hello is not None
    assert (hello.protocol, hello.purpose, hello.spooled) == (wire.ProtocolRange(1, 1), "agent", 4)
    assert hello.hostname == os.uname().nodename
    assert hello.spool_id
    assert hello.timezone
    assert hello.utc_now is not None
    assert hello.tzdata_version == zones.version() != ""


async def test_hello_says_where_restores_may_go(server: ServerDouble, enrolled: StateDir) -> None:
    """Also that it is nowhere: a form can then say so, instead of waiting for a refusal."""
    for targets in ([], ["/srv/restore", "/mnt/usb disk"]):
        async with trio.open_nursery() as nursery:
            agent_file = AgentFile(allow=[], restore_targets=targets)
            nursery.start_soon(lambda file=agent_file: run_agent(file, enrolled.path, timings=FAST))  # type: ignore[misc]
            hello = (await server.an_agent()).hello
            nursery.cancel_scope.cancel()
        assert hello is not None
        assert hello.restore_targets == targets


async def test_each_hello_says_what_restic_is_now_and_a_change_is_told(
    server: ServerDouble, enrolled: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator installs restic, and updates it, while the agent runs."""
    monkeypatch.setattr(daemon, "watch_restic", partial(daemon.watch_restic, every=0.05))
    restic = tmp_path / "restic"

    def install(version: str) -> None:
        (tmp_path / "new").write_text(f"#!/bin/sh\necho restic {version} compiled with go\n")
        (tmp_path / "new").chmod(0o755)
        (tmp_path / "new").rename(restic)

    def heard() -> list[tuple[object, str | None]]:
        return [(s.hello.restic, s.hello.restic_problem) for s in server.sessions if s.hello is not None]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[], restic=str(restic)), enrolled.path, timings=FAST))
        await eventually(lambda: heard() == [(None, f"{restic}: command not found")])
        install("0.11.0")
        await eventually(lambda: len(heard()) == 2)
        install("0.19.1")
        await eventually(lambda: len(heard()) == 3)
        nursery.cancel_scope.cancel()
    assert heard()[1:] == [
        (wire.ResticInfo("0.11.0"), "restic 0.11.0 is older than 0.14: not supported"),
        (wire.ResticInfo("0.19.1"), None),
    ]


async def test_a_restic_that_hangs_keeps_no_server_waiting_for_the_hello(
    server: ServerDouble, enrolled: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is looked at before there is a connection."""
    os.mkfifo(tmp_path / "gate")
    restic = tmp_path / "restic"
    restic.write_text(f"#!/bin/sh\nread line < {tmp_path}/gate\necho restic 0.19.1 compiled with go\n")
    restic.chmod(0o755)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[], restic=str(restic)), enrolled.path, timings=FAST))
        await trio.to_thread.run_sync(open_and_close, tmp_path / "gate", server)
        session = await server.an_agent()
        nursery.cancel_scope.cancel()
    assert session.hello is not None
    assert session.hello.restic == wire.ResticInfo("0.19.1")


def open_and_close(gate: Path, server: ServerDouble) -> None:
    """Opening waits until restic reads."""
    with gate.open("w") as open_gate:
        assert server.sessions == []
        open_gate.write("go on\n")


async def test_new_time_zone_data_is_told_to_the_server(
    server: ServerDouble, enrolled: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder(tmp_path / "zoneinfo", "2025b", Japan="Asia/Tokyo")
    monkeypatch.setattr(zones, "_ours", zones.Zones(lambda: [path]))
    monkeypatch.setattr(daemon, "watch_zones", partial(daemon.watch_zones, every=0.02))

    def heard() -> list[str | None]:
        return [s.hello.tzdata_version for s in server.sessions if s.hello is not None]

    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await eventually(lambda: heard() == ["2025b"])
        folder(path, "2026f", Japan="Asia/Tokyo")
        await eventually(lambda: heard() == ["2025b", "2026f"])
        nursery.cancel_scope.cancel()


async def test_what_was_spooled_arrives_in_order_and_is_deleted_on_ack(
    server: ServerDouble, enrolled: StateDir
) -> None:
    jobs = fill(enrolled, 100)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled, replace(FAST, ack=30)))
        await eventually(lambda: left(enrolled) == 0)
        nursery.cancel_scope.cancel()
    assert [(r.job_id, type(r).__name__) for r in server.received] == expected(jobs)


async def test_without_acks_the_same_reports_come_again_on_the_same_connection(
    server: ServerDouble, enrolled: StateDir
) -> None:
    jobs = fill(enrolled, 2)
    server.acking = False
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await eventually(lambda: len(server.received) >= 4)
        server.acking = True
        await eventually(lambda: left(enrolled) == 0)
        nursery.cancel_scope.cancel()
    assert len(server.sessions) == 1
    assert [(r.job_id, type(r).__name__) for r in server.received] == expected(jobs) * 2


async def test_a_refused_report_is_dropped_and_blocks_nothing(
    server: ServerDouble, enrolled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    fill(enrolled, 2)
    server.refuse = {1}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await eventually(lambda: left(enrolled) == 0)
        nursery.cancel_scope.cancel()
    assert len(server.received) == 4
    assert "refuses report 1: not yours (foreign_job)" in caplog.text


async def test_after_a_server_restart_what_was_not_acked_comes_again(state: StateDir) -> None:
    double = ServerDouble(acking=False)
    async with trio.open_nursery() as nursery:
        async with serving(double):
            state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
            jobs = fill(state, 3)
            nursery.start_soon(agent(state))
            await eventually(lambda: len(double.received) >= 6)
        assert left(state) == 6
        double.acking = True
        double.received.clear()
        async with serving(double):
            await eventually(lambda: left(state) == 0)
        nursery.cancel_scope.cancel()
    assert distinct(double) == expected(jobs)


async def test_heartbeats_come_as_often_as_the_welcome_says(server: ServerDouble, enrolled: StateDir) -> None:
    server.heartbeat_seconds = 0.05
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        session = await server.an_agent()
        await eventually(lambda: sum(isinstance(f, wire.Heartbeat) for f in session.frames) >= 3)
        nursery.cancel_scope.cancel()
    assert all(f.utc_now is not None for f in session.frames if isinstance(f, wire.Heartbeat))


@pytest.mark.parametrize("cut_after", [150, 700, 1500, 4000])
async def test_a_cut_in_mid_frame_loses_nothing(server: ServerDouble, enrolled: StateDir, cut_after: int) -> None:
    jobs = fill(enrolled, 20)
    async with between(server.port) as network:
        network.cut_after = cut_after
        enrolled.save_credential(
            HostCredential(f"ws://127.0.0.1:{network.port}/ws/agent", server.host_id, "nas", "agent-1")
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent(enrolled))
            await eventually(lambda: network.connections >= 3)
            network.cut_after = float("inf")
            await eventually(lambda: left(enrolled) == 0)
            nursery.cancel_scope.cancel()
    assert distinct(server) == expected(jobs)


async def test_a_half_open_connection_is_noticed_and_replaced(server: ServerDouble, enrolled: StateDir) -> None:
    server.heartbeat_seconds = 0.1
    timings = Timings(connect=0.5, send=2, welcome=0.5, pong=0.3, ack=0.4, first_pause=0.05, longest_pause=0.1)
    async with between(server.port) as network:
        enrolled.save_credential(
            HostCredential(f"ws://127.0.0.1:{network.port}/ws/agent", server.host_id, "nas", "agent-1")
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent(enrolled, timings))
            await server.an_agent()
            network.silent = True
            jobs = fill(enrolled, 1)
            await eventually(lambda: network.connections >= 2)
            network.silent = False
            await eventually(lambda: left(enrolled) == 0)
            nursery.cancel_scope.cancel()
    assert distinct(server) == expected(jobs)


async def test_a_slow_network_only_takes_longer(server: ServerDouble, enrolled: StateDir) -> None:
    jobs = fill(enrolled, 3)
    async with between(server.port) as network:
        network.slowly = 0.001
        enrolled.save_credential(
            HostCredential(f"ws://127.0.0.1:{network.port}/ws/agent", server.host_id, "nas", "agent-1")
        )
        async with trio.open_nursery() as nursery:
            nursery.start_soon(agent(enrolled))
            await eventually(lambda: left(enrolled) == 0)
            nursery.cancel_scope.cancel()
    assert distinct(server) == expected(jobs)
    assert network.connections == 1


async def test_a_revoked_credential_is_not_hammered_and_a_new_one_is_tried_at_once(
    server: ServerDouble, enrolled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        session = await server.an_agent()
        server.tokens = {"agent-2"}
        await session.socket.aclose(wire.CLOSE_REVOKED)
        await eventually(lambda: "revoked this host's credential" in caplog.text)
        enrolled.save_credential(HostCredential(server.url, server.host_id, "nas", "agent-2"))
        enrolled.wake_agent()
        await eventually(lambda: [s for s in server.agents() if s.token == "agent-2"])
        nursery.cancel_scope.cancel()
    assert len(server.sessions) == 2


async def test_an_unknown_token_is_said_and_not_hammered(
    server: ServerDouble, enrolled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    server.tokens = set()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await eventually(lambda: "does not know this token" in caplog.text)
        nursery.cancel_scope.cancel()
    assert "trying again in" in caplog.text
    assert "agent-1" not in caplog.text


async def test_an_agent_whose_place_another_one_took_says_so_and_stays_away(
    server: ServerDouble, enrolled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        session = await server.an_agent()
        await session.send(wire.Error(wire.ANOTHER_INSTANCE, "another"))
        await session.socket.aclose(wire.CLOSE_REPLACED)
        await eventually(lambda: "is this machine a clone" in caplog.text)
        nursery.cancel_scope.cancel()
    [said] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert FAST.refused_pause / 2 <= pause_in(said.getMessage())


async def test_an_agent_whose_newer_connection_is_preferred_comes_back_as_after_a_break(
    server: ServerDouble, enrolled: StateDir, caplog: pytest.LogCaptureFixture
) -> None:
    """A server of before, or a hello of its own that was long delayed."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        for number in range(3):
            await eventually(lambda number=number: len(server.sessions) > number)
            await server.an_agent()
            await server.sessions[-1].socket.aclose(wire.CLOSE_REPLACED, "replaced by a newer connection")
        await eventually(lambda: len([s for s in server.sessions if s.hello is not None]) > 3)
        nursery.cancel_scope.cancel()
    assert "clone" not in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    hellos = [s.hello for s in server.sessions if s.hello is not None]
    assert [hello.connection for hello in hellos] == list(range(1, len(hellos) + 1))
    assert len({hello.instance_id for hello in hellos}) == 1


async def test_an_agent_that_runs_twice_in_a_copied_machine_becomes_another_instance(
    server: ServerDouble, enrolled: StateDir
) -> None:
    """A virtual machine that was copied while it ran: the other copy has connected more often, so this one's hello
    counts as late. Under the same instance nobody would ever see that there are two."""
    server.preferring_another = True
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await eventually(lambda: len([s for s in server.sessions if s.hello is not None]) >= 2)
        nursery.cancel_scope.cancel()
    first, second = [s.hello for s in server.sessions if s.hello is not None][:2]
    assert first is not None
    assert second is not None
    assert first.instance_id != second.instance_id


def pause_in(message: str) -> float:
    """Seconds until the next try, as the log says them."""
    return float(message.rpartition("trying again in ")[2].removesuffix(" s"))


async def test_frames_that_a_newer_server_sends_are_ignored(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        session = await server.an_agent()
        for text in ('{"type":"from_the_future"}', "not json", '{"type":"ack","seq":"x"}', "[]"):
            await session.socket.send_message(text)
        await session.socket.send_message(b"\x00binary")
        fill(enrolled, 1)
        enrolled.wake_agent()
        await eventually(lambda: left(enrolled) == 0)
        nursery.cancel_scope.cancel()
    assert len(server.sessions) == 1


async def test_two_agents_on_one_state_dir_are_refused(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(agent(enrolled))
        await server.an_agent()
        with pytest.raises(AlreadyRunning, match="another agent runs"):
            await run_agent(NOTHING, enrolled.path)
        nursery.cancel_scope.cancel()
    assert not enrolled.agent_runs()


async def test_an_agent_that_is_not_enrolled_says_what_to_do(state: StateDir) -> None:
    with pytest.raises(NotEnrolled, match="rmactors agent enroll"):
        await run_agent(NOTHING, state.path)


async def test_an_agent_killed_at_any_moment_loses_no_report(state: StateDir) -> None:
    """A real process, SIGKILL five times while it delivers and while others put reports into the spool."""
    double = ServerDouble(heartbeat_seconds=0.2)
    jobs: list[str] = []
    async with serving(double):
        state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
        command = [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(state.path)]
        for round_number in range(5):
            jobs += fill(state, 20)
            seen = len(double.received)
            process = await trio.lowlevel.open_process(
                command, cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "RM_AGENT_CONFIG": ""}
            )
            await eventually(lambda seen=seen, n=round_number: len(double.received) > seen + 3 * n)
            process.kill()
            await process.wait()
        process = await trio.lowlevel.open_process(
            command, cwd=ROOT, stderr=subprocess.DEVNULL, env={**os.environ, "RM_AGENT_CONFIG": ""}
        )
        await eventually(lambda: left(state) == 0)
        await eventually(state.agent_runs)
        process.terminate()
        assert await process.wait() == 0
    assert distinct(double) == expected(jobs)
