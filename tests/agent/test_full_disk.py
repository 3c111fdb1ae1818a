"""A state dir on a disk that takes nothing more, or cannot be written at all: every outcome is told all the same.

The disk is a real one (`small_disk`) where root may mount it; a limit on the size of files does the same to one process
for everybody. Nothing is judged by how long it takes.
"""

import errno
import shlex
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from rmactors.agent import disk_trouble, pipes
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import Timings
from rmactors.agent.daemon import run_agent
from rmactors.agent.report_queue import open_queue
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import ids, wire

from .server_double import ServerDouble, eventually, schedule, serving
from .small_disk import SmallDisk, small_disk
from .test_wrapping import exec_command, execute, spooled

ROOT = Path(__file__).resolve().parents[2]
NOTHING = AgentFile(allow=[])
PATIENT = replace(Timings(), first_pause=0.05, longest_pause=0.2, mend=0.1, runs=60)
"""Nothing is sent again, and no connection is given up, because the machine is busy."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk") as made:
        yield made


@pytest.fixture
def on_disk(disk: SmallDisk, server: ServerDouble) -> StateDir:
    """The state dir of a host that the server knows, on a disk with room as yet."""
    return a_state_dir(disk.path / "state", server)


def a_state_dir(path: Path, server: ServerDouble) -> StateDir:
    state = StateDir(path)
    state.make()
    state.save_credential(HostCredential(server.url, server.host_id, "nas", "agent-1"))
    return state


def waiting(state: StateDir, number: int) -> list[str]:
    """So many outcomes in the spool of a host whose agent is away."""
    spool = Spool(state.spool_file)
    jobs = [ids.new() for _ in range(number)]
    now = wire.utc_now()
    for job in jobs:
        spool.add(wire.JobFinished(0, job, "backup", "failed", "error", now, now, 1, "boom"))
    spool.close()
    return jobs


@asynccontextmanager
async def running(state: StateDir) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run_agent(NOTHING, state.path, timings=PATIENT, task_status=task_status)
        )
        yield
        nursery.cancel_scope.cancel()


def told(server: ServerDouble) -> Counter[str]:
    """How often each job's end came."""
    return Counter(end.job_id for end in server.ends())


def problems(server: ServerDouble) -> list[str | None]:
    """What the hellos of agents said of the spool, one after the other."""
    hellos = [session.hello for session in server.sessions]
    return [hello.spool_problem for hello in hellos if hello is not None and hello.purpose == "agent"]


def numbers_stand_for_one_report_each(server: ServerDouble) -> bool:
    seen: dict[tuple[str | None, int], tuple[str, str]] = {}
    for session in server.sessions:
        for frame in session.frames:
            if isinstance(frame, wire.JobStarted | wire.JobFinished):
                assert session.hello is not None
                report = (type(frame).__name__, frame.job_id)
                if seen.setdefault((session.hello.spool_id, frame.seq), report) != report:
                    return False
    return True


# ---- exec


@pytest.mark.parametrize("trouble", [SmallDisk.fill, SmallDisk.make_read_only], ids=["full", "read-only"])
async def test_without_an_agent_exec_tells_what_it_cannot_write_and_what_waits(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir, trouble: Callable[[SmallDisk], None]
) -> None:
    before = waiting(on_disk, 3)
    trouble(disk)
    done = await execute(on_disk, ["sh", "-c", "echo out; exit 7"], "--plan", "home")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"")
    (start,) = server.starts()
    end = server.ends()[0]
    assert (end.job_id, end.status, end.exit_code, end.plan) == (start.job_id, "failed", 7, "home")
    assert told(server) == Counter([*before, end.job_id])
    assert numbers_stand_for_one_report_each(server)
    words = "is full" if trouble is SmallDisk.fill else "read-only"
    assert all(words in (s.hello.spool_problem or "") for s in server.sessions if s.hello is not None)


async def test_a_limit_on_the_size_of_files_is_no_reason_to_say_nothing(
    server: ServerDouble, enrolled: StateDir
) -> None:
    line = "ulimit -f 0; exec " + shlex.join(exec_command(enrolled, ["sh", "-c", "exit 3"]))
    done = await trio.run_process(["sh", "-c", line], check=False, capture_stderr=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (3, b"")
    assert [end.exit_code for end in server.ends()] == [3]


@pytest.mark.parametrize("agent_runs", [False, True])
async def test_where_the_server_is_away_too_it_is_said_once_and_plainly(
    disk: SmallDisk, server: ServerDouble, agent_runs: bool
) -> None:
    state = a_state_dir(disk.path / "state", server)
    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    if not agent_runs:
        disk.fill()
        done = await execute(state, ["sh", "-c", "exit 4"])
        said = done.stderr.decode().splitlines()
        assert (done.returncode, len(said)) == (4, 1)
        for words in ("not reported", "is full", "cannot reach 127.0.0.1:1", "make room"):
            assert words in said[0]
        return
    async with running(state):
        disk.fill()
        done = await execute(state, ["sh", "-c", "exit 4"])
        assert (done.returncode, done.stderr) == (4, b""), "the agent keeps it"
        disk.make_room()
        await eventually(lambda: len(spooled(state)) == 2)


async def test_on_a_host_that_is_not_enrolled_it_is_said_once(disk: SmallDisk) -> None:
    state = StateDir(disk.path / "state")
    state.make()
    disk.fill()
    done = await execute(state, ["true"])
    assert done.returncode == 0
    (said,) = done.stderr.decode().splitlines()
    assert all(words in said for words in ("not reported", "is full", "not enrolled"))


async def test_a_schedule_is_asked_for_where_it_cannot_be_kept(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir
) -> None:
    nightly = schedule("nightly", mode="external")
    server.schedules = [nightly]
    disk.fill()
    done = await execute(on_disk, ["false"], "--schedule", "nightly")
    assert (done.returncode, done.stderr) == (1, b"")
    assert [report.schedule_id for report in server.received] == [nightly.id, nightly.id]


async def test_a_running_agent_takes_over_what_exec_cannot_write(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir
) -> None:
    """Also that the run goes on: the agent comes back meanwhile, and the run is not lost."""
    async with running(on_disk):
        first = await server.an_agent()
        disk.fill()
        command = exec_command(on_disk, ["sh", "-c", "cat; exit 1"], "--plan", "p")
        process = await trio.lowlevel.open_process(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT
        )
        (start,) = await eventually(server.starts)
        await eventually(lambda: first.gone and server.agents())
        hello = server.agents()[-1].hello
        assert hello is not None
        assert hello.running_jobs == [start.job_id]
        assert process.stdin is not None
        assert process.stderr is not None
        await process.stdin.aclose()
        assert await process.stderr.receive_some() == b""
        await process.stderr.aclose()
        assert await process.wait() == 1
        (end,) = await eventually(server.ends)
        assert ["is full" in (problem or "") for problem in problems(server)] == [False, True]
        disk.make_room()
        await eventually(lambda: problems(server)[-1] is None)
    assert (end.job_id, end.plan, end.status) == (start.job_id, "p", "failed")
    assert set(told(server)) == {end.job_id}
    assert numbers_stand_for_one_report_each(server)
    assert spooled(on_disk) == []


@asynccontextmanager
async def a_run(state: StateDir) -> AsyncIterator[None]:
    """A command under `exec` that fails, and does so as the block ends."""
    command = exec_command(state, ["sh", "-c", "cat; exit 1"], "--plan", "p")
    process = await trio.lowlevel.open_process(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, cwd=ROOT)
    assert process.stdin is not None
    async with process.stdin:
        yield
    assert await process.wait() == 1


async def test_an_agent_that_starts_knows_the_runs_that_are_on_no_disk_before_it_says_hello(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir
) -> None:
    """Two of them, told by `exec` itself before there was an agent; and again when that agent makes way for another."""
    disk.fill()
    async with a_run(on_disk), a_run(on_disk):
        await eventually(lambda: len(server.starts()) == 2)
        jobs = {start.job_id for start in server.starts()}
        for _ in range(2):
            async with running(on_disk):
                session = await server.an_agent()
                assert session.hello is not None
                assert set(session.hello.running_jobs) == jobs
            await eventually(lambda session=session: session.gone)  # type: ignore[misc]
    await eventually(lambda: set(told(server)) == jobs)
    assert {end.reason for end in server.ends()} == {"error"}
    assert numbers_stand_for_one_report_each(server)


async def test_a_run_that_is_on_no_disk_is_waited_for_as_long_as_it_lasts(disk: SmallDisk, on_disk: StateDir) -> None:
    disk.fill()
    async with a_run(on_disk):
        (_,) = await eventually(on_disk.runs_in_memory)
    assert on_disk.runs_in_memory() == set()


async def test_what_is_in_the_pipe_as_the_agent_is_stopped_is_kept(state: StateDir) -> None:
    """More than is read at once: many runs ended together, and none of them tells it again."""
    jobs = [ids.new() for _ in range(30)]
    now = wire.utc_now()

    def hand_over(job: str) -> bool:
        end = wire.JobFinished(0, job, "backup", "failed", "error", now, now, 1, "boom" * 50)
        return pipes.hand_over(state, wire.encode(end), owner=None)

    async with open_queue(state) as queue:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(pipes.receive_handovers, state, queue)
            await eventually(lambda: hand_over(jobs[0]))
            assert [hand_over(job) for job in jobs[1:]] == [True] * 29
            nursery.cancel_scope.cancel()
        kept = await queue.pending(0, 100)
    assert [report.ends for report in kept] == jobs


# ---- the running agent


async def test_acks_that_cannot_be_written_are_remembered_and_the_link_lives(
    disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    server = ServerDouble()
    async with serving(server):
        state = a_state_dir(disk.path / "state", server)
    jobs = waiting(state, 100)
    async with running(state):
        disk.fill()
        async with serving(server):
            await eventually(lambda: set(told(server)) == set(jobs))
            await eventually(lambda: problems(server)[-1] is not None and server.agents())
            session = server.agents()[-1]
            job = await server.run_job("backup", {"plan": "none"})
            assert (await server.an_end(job)).reason == "refused"
            assert not session.gone
            ends = [
                record.getMessage().partition(";")[0]
                for record in caplog.records
                if record.name.endswith(".server_link")
            ]
            assert [end for end in ends if "spool" in end] == ["the spool cannot be written"], "to say so, once"
            disk.make_room()
            await eventually(lambda: problems(server)[-1] is None)
        assert set(told(server)) == {*jobs, job}
        assert numbers_stand_for_one_report_each(server)
    assert spooled(state) == []


async def test_after_a_restart_in_between_it_is_sent_again_under_the_same_numbers(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir
) -> None:
    jobs = waiting(on_disk, 5)
    disk.fill()
    for times in (1, 2):
        async with running(on_disk):
            await eventually(lambda times=times: told(server) == Counter(jobs * times))  # type: ignore[misc]
    disk.make_room()
    async with running(on_disk):
        await eventually(lambda: told(server) == Counter(jobs * 3))
        await eventually(lambda: spooled(on_disk) == [])
    assert numbers_stand_for_one_report_each(server)


@pytest.mark.parametrize("trouble", [SmallDisk.fill, SmallDisk.make_read_only], ids=["full", "read-only"])
async def test_an_agent_starts_on_such_a_disk_and_says_so(
    server: ServerDouble, disk: SmallDisk, on_disk: StateDir, trouble: Callable[[SmallDisk], None]
) -> None:
    jobs, nightly = waiting(on_disk, 2), schedule("nightly")
    server.schedules = [nightly]
    trouble(disk)
    async with running(on_disk):
        session = await server.an_agent()
        assert session.hello is not None
        assert session.hello.spool_problem is not None
        assert ("is full" if trouble is SmallDisk.fill else "read-only") in session.hello.spool_problem
        assert session.hello.spool_problem_since is not None
        await eventually(lambda: told(server) == Counter(jobs))
        job = await server.run_job("backup", {"plan": "none"})
        await server.an_end(job)
        disk.make_room() if trouble is SmallDisk.fill else disk.make_writable()
        await eventually(lambda: problems(server)[-1] is None)
        await eventually(lambda: spooled(on_disk) == [])
        await eventually(lambda: on_disk.schedules().schedules == (nightly,))
    assert set(told(server)) == {*jobs, job}
    assert numbers_stand_for_one_report_each(server)


async def test_an_agent_that_is_stopped_tells_what_is_in_memory_alone(
    disk: SmallDisk, caplog: pytest.LogCaptureFixture
) -> None:
    server = ServerDouble()
    async with serving(server):
        state = a_state_dir(disk.path / "state", server)
        server.acking = False
        async with running(state):
            await server.an_agent()
            disk.fill()
            job = await server.run_job("backup", {"plan": "none"})
            await server.an_end(job)
            server.acking = True
    assert told(server)[job] > 1
    assert "are lost" not in caplog.text


def test_a_disk_is_tried_without_a_trace(disk: SmallDisk) -> None:
    assert disk_trouble.probe(disk.path) == 0
    disk.fill()
    assert disk_trouble.probe(disk.path) == errno.ENOSPC
    disk.make_room()
    disk.make_read_only()
    assert disk_trouble.probe(disk.path) == errno.EROFS
    assert list(disk.path.iterdir()) == []
