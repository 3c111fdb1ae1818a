"""Jobs whose process is killed: they are listed as running for as long as they run, and their loss is told once."""

import signal
import subprocess
import sys
from pathlib import Path

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rmactors.agent import pipes, this_host
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.report_queue import open_queue
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.agent.wrapping import run_exec
from rmactors.common import ids, wire

from .conftest import FAST
from .server_double import ServerDouble, eventually, serving
from .test_wrapping import exec_command

ROOT = Path(__file__).resolve().parents[2]
NOTHING = AgentFile(allow=[])
SCHEDULE = ids.new()


def started(job_id: str | None = None) -> wire.JobStarted:
    return wire.JobStarted(0, job_id or ids.new(), "backup", wire.utc_now(), plan="home", schedule_id=SCHEDULE)


async def test_a_wrapped_run_is_in_the_hello_for_as_long_as_it_runs(server: ServerDouble, enrolled: StateDir) -> None:
    process = await trio.lowlevel.open_process(exec_command(enrolled, ["cat"]), stdin=subprocess.PIPE, cwd=ROOT)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(NOTHING, enrolled.path, timings=FAST))
        (start,) = await eventually(server.starts)
        first = await server.an_agent()
        await first.socket.aclose(1001)
        second = await eventually(lambda: [s for s in server.agents() if s is not first])
        hello = second[0].hello
        assert hello is not None
        assert hello.running_jobs == [start.job_id]
        assert process.stdin is not None
        await process.stdin.aclose()
        (end,) = await eventually(server.ends)
        nursery.cancel_scope.cancel()
    await process.wait()
    assert (end.job_id, end.status) == (start.job_id, "succeeded")


async def test_an_exec_that_was_killed_is_told_as_lost_by_the_agent(state: StateDir) -> None:
    double = ServerDouble()
    async with serving(double):
        state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
        process = await trio.lowlevel.open_process(
            exec_command(state, ["sleep", "0.5"], "--plan", "home"), cwd=ROOT, stdout=subprocess.DEVNULL
        )
        await eventually(lambda: state.spool_file.exists() and unfinished(state))
        process.send_signal(signal.SIGKILL)
        await process.wait()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_agent(NOTHING, state.path, timings=FAST))
            (end,) = await eventually(double.ends)
            session = await double.an_agent()
            nursery.cancel_scope.cancel()
    assert (end.status, end.reason, end.plan) == ("failed", "lost", "home")
    assert session.hello is not None
    assert session.hello.running_jobs == []


async def test_of_several_that_notice_one_tells(state: StateDir) -> None:
    gone = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)  # noqa: ASYNC220
    owner = this_host.process_identity(gone.pid)
    assert owner is not None
    spool = Spool(state.spool_file)
    report = started()
    spool.add(report, owner=owner)
    async with open_queue(state) as one, open_queue(state) as other:
        assert await one.running() == [report.job_id]
        await one.report_orphans()
        assert spool.count() == 1
        gone.communicate(b"\n")
        for queue in (one, other, one):
            await queue.report_orphans()
        assert await one.running() == []
    frames = [wire.decode_from_agent(spooled.frame) for spooled in spool.pending(0, 10)]
    spool.close()
    (end,) = [frame for frame in frames if isinstance(frame, wire.JobFinished)]
    assert (end.job_id, end.reason, end.schedule_id) == (report.job_id, "lost", SCHEDULE)


async def test_one_whose_end_was_handed_over_and_is_not_kept_yet_is_nobodys_orphan(
    state: StateDir, mock_clock: MockClock
) -> None:
    reports = [started(), started()]
    async with open_queue(state) as queue, trio.open_nursery() as nursery:
        for report in reports:
            await queue.add(report, owner="1:gone")
        nursery.start_soon(queue.report_orphans, 10.0)
        await wait_all_tasks_blocked()  # it has asked who is gone, or will be told before the next line is
        now = wire.utc_now()
        await queue.add(wire.JobFinished(0, reports[0].job_id, "backup", "succeeded", "ok", now, now, 0))
        await wait_all_tasks_blocked()
        mock_clock.jump(10.0)
    assert ends(state) == {reports[0].job_id: "ok", reports[1].job_id: "lost"}


async def test_where_an_agent_runs_it_tells_of_orphans_and_no_exec_does(state: StateDir) -> None:
    """Their end may be in its memory, because it could not be written."""
    async with open_queue(state) as queue:
        await queue.add(report := started(), owner="1:gone")
    with state.held():
        assert await run_exec(["true"], "backup", state.path, forward_signals=False, say=lambda _: None) == 0
    assert report.job_id not in ends(state)
    assert await run_exec(["true"], "backup", state.path, forward_signals=False, say=lambda _: None) == 0
    assert ends(state)[report.job_id] == "lost"


async def test_a_job_that_has_ended_is_nobodys_orphan(state: StateDir) -> None:
    async with open_queue(state) as queue:
        report = started()
        await queue.add(report)
        assert await queue.running() == [report.job_id]
        now = wire.utc_now()
        await queue.add(wire.JobFinished(0, report.job_id, "backup", "succeeded", "ok", now, now, 0))
        assert await queue.running() == []
        assert await queue.count() == 2


def test_another_process_with_the_same_number_is_another_process() -> None:
    own = this_host.process_identity()
    assert own is not None
    assert this_host.is_running(own)
    number, _, rest = own.partition(":")
    assert not this_host.is_running(f"{number}:1:{rest.partition(':')[2]}")
    assert not this_host.is_running("nonsense")


def ends(state: StateDir) -> dict[str, str]:
    """Reasons of the ends in the spool, by job; the first that comes counts."""
    spool = Spool(state.spool_file)
    frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 100)]
    spool.close()
    return {frame.job_id: frame.reason for frame in reversed(frames) if isinstance(frame, wire.JobFinished)}


def unfinished(state: StateDir) -> bool:
    spool = Spool(state.spool_file)
    try:
        return bool(spool.unfinished())
    finally:
        spool.close()


async def test_an_agent_starts_no_matter_who_is_said_to_answer_for_a_run(tmp_path: Path) -> None:
    """Whatever came through the pipe."""
    state = StateDir(tmp_path)
    async with open_queue(state) as queue:
        await queue.add(started(), owner="nobody")
        await pipes.until_runs_are_known(state, queue, 0.1)
