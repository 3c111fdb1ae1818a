"""The agent's whole way with real restic: a command comes in, a report goes out. Nothing here is stubbed but the
server, which is a real WebSocket without rules. More cases, with the real server: tests/e2e/test_restic_cases.py."""

import os
import re
import shutil
import socket
from pathlib import Path

import msgspec
import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.state_dir import StateDir
from rmactors.common import wire
from tests.restics import version_of

from .conftest import FAST
from .repositories import ResticRepository, holding_a_lock, leave_a_lock, restic_processes
from .server_double import ServerDouble, Session, eventually


def stats(report: wire.JobFinished) -> dict[str, object]:
    return msgspec.json.decode(report.stats, type=dict[str, object])


async def outcome(
    server: ServerDouble, state: StateDir, agent_file: AgentFile, kind: str, params: dict[str, object] | None = None
) -> wire.JobFinished:
    """Run an agent for one job."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, state.path, timings=FAST))
        job_id = await server.run_job(kind, params)
        end = await server.an_end(job_id)
        nursery.cancel_scope.cancel()
    return end


async def test_a_good_backup_succeeds_and_carries_its_numbers(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    end = await outcome(server, enrolled, repository.agent_file(), "backup", {"plan": "home"})
    assert (end.status, end.reason, end.error, end.exit_code) == ("succeeded", "ok", None, 0)
    assert stats(end)["files_new"] == 3
    assert stats(end)["bytes_total"] == 50_014
    assert str(stats(end)["snapshot_id"])[:8] in repository.restic("snapshots").stdout
    assert [r.kind for r in server.starts()] == ["backup"]
    assert server.starts()[0].seq < end.seq


async def test_init_makes_the_repository(
    server: ServerDouble, enrolled: StateDir, bare_repository: ResticRepository
) -> None:
    end = await outcome(server, enrolled, bare_repository.agent_file(), "init")
    assert end.status == "succeeded"
    assert bare_repository.restic("snapshots").returncode == 0


async def test_a_source_that_vanished_makes_the_backup_partial(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    agent_file = repository.agent_file(plan={"sources": [str(repository.source), "/nonexistent/data"]})
    end = await outcome(server, enrolled, agent_file, "backup")
    assert (end.status, end.reason) == ("partial", "no_source")
    assert end.error == "/nonexistent/data does not exist"


async def test_when_all_sources_vanished_restic_is_not_even_asked(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    end = await outcome(server, enrolled, repository.agent_file(plan={"sources": ["/nonexistent"]}), "backup")
    assert (end.status, end.reason, end.exit_code) == ("failed", "no_source", None)
    assert "/nonexistent" in (end.error or "")


async def test_a_flipped_byte_is_found_where_check_reads_the_data_in_turn(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    repository.restic("backup", str(repository.source))
    pack = max((p for p in (repository.path / "data").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    pack.chmod(0o600)
    content = bytearray(pack.read_bytes())
    content[1000] ^= 0xFF
    pack.write_bytes(content)
    agent_file = repository.agent_file(plan={"check_parts": 1})
    end = await outcome(server, enrolled, agent_file, "check")
    assert (end.status, end.reason) == ("failed", "corrupt")


async def test_a_part_that_could_not_be_read_comes_again_and_then_the_next(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    """A stand-in for restic writes down how it was called."""
    spy = tmp_path / "spy"
    spy.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/called\nexec restic "$@"\n')
    spy.chmod(0o755)
    agent_file = repository.agent_file(plan={"check_parts": 2}, restic=str(spy))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        async with holding_a_lock(repository):
            locked = await server.an_end(await server.run_job("check"))
        repository.restic("unlock")
        ends = [await server.an_end(await server.run_job("check")) for _ in range(3)]
        nursery.cancel_scope.cancel()
    assert (locked.reason, [end.status for end in ends]) == ("locked", ["succeeded"] * 3)
    parts = re.findall(r"--read-data-subset=(\S+)", (tmp_path / "called").read_text())
    assert parts == ["1/2", "1/2", "2/2", "1/2"]


async def test_forget_keeps_what_the_plan_says_and_leaves_other_plans_alone(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    from rmactors.agent.agent_file import Keep

    other = tmp_path / "other"
    other.mkdir()
    for source in (repository.source, repository.source, other, other):
        repository.restic("backup", str(source))
    agent_file = repository.agent_file(plan={"keep": Keep(last=1)})
    end = await outcome(server, enrolled, agent_file, "forget", {"prune": True})
    assert end.status == "succeeded"
    assert (stats(end)["snapshots_kept"], stats(end)["snapshots_removed"]) == (1, 1)
    left = msgspec.json.decode(repository.restic("snapshots", "--json").stdout)
    assert sorted(one["paths"][0] for one in left) == sorted([str(repository.source), str(other), str(other)])


async def test_snapshots_are_listed(server: ServerDouble, enrolled: StateDir, repository: ResticRepository) -> None:
    repository.restic("backup", str(repository.source))
    end = await outcome(server, enrolled, repository.agent_file(), "snapshots")
    assert end.status == "succeeded"
    assert stats(end)["snapshots_count"] == 1


async def test_snapshots_are_listed_with_their_size_where_restic_knows_it(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, each_restic: str
) -> None:
    (repository.source / "large.txt").write_text("x" * 5000)
    agent_file = repository.agent_file(restic=each_restic)
    assert (await outcome(server, enrolled, agent_file, "backup")).status == "succeeded"
    end = await outcome(server, enrolled, agent_file, "snapshots")
    [one] = stats(end)["snapshots"]
    assert one["paths"] == [str(repository.source)]
    if version_of(each_restic) < (0, 17):
        assert "size" not in one
    else:
        assert one["size"] >= 5000


async def test_two_snapshots_are_compared(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    repository.restic("backup", str(repository.source))
    (repository.source / "new.txt").write_text("new\n")
    (repository.source / "a.txt").write_text("another alpha\n")
    repository.restic("backup", str(repository.source))
    snapshots = msgspec.json.decode(repository.restic("snapshots", "--json").stdout)
    older, newer = (snapshot["short_id"] for snapshot in snapshots)
    end = await outcome(server, enrolled, repository.agent_file(), "diff", {"from": older, "to": newer})
    assert end.status == "succeeded"
    assert stats(end)["changed_files"] == 1
    assert stats(end)["added"]["files"] == 1  # type: ignore[index]


async def test_unlock_takes_away_what_nobody_holds_and_nothing_else(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    await leave_a_lock(repository)
    async with holding_a_lock(repository):
        assert len(repository.locks()) == 2
        end = await outcome(server, enrolled, repository.agent_file(), "unlock")
        assert end.status == "succeeded"
        assert len(repository.locks()) == 1


async def test_a_lock_of_a_living_restic_is_named_and_left_alone(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    async with holding_a_lock(repository) as holder:
        end = await outcome(server, enrolled, repository.agent_file(), "prune")
        assert (end.status, end.reason) == ("failed", "locked")
        assert f"repository locked by pid {holder.pid} on {socket.gethostname()}" in (end.error or "")
        assert repository.locks()


async def test_the_lock_of_a_restic_that_was_killed_is_removed_once(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    await leave_a_lock(repository)
    end = await outcome(server, enrolled, repository.agent_file(lock_wait_seconds=30.0), "prune")
    assert end.status == "succeeded"
    assert not repository.locks()


async def test_a_lock_that_goes_away_in_time_is_waited_for(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    async with holding_a_lock(repository) as holder, trio.open_nursery() as nursery:
        agent_file = repository.agent_file(lock_wait_seconds=30.0)
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        job_id = await server.run_job("prune")
        session = await server.an_agent()
        await eventually(lambda: any("trying again" in line.text for line in logged(session)))
        assert holder.stdin is not None
        holder.stdin.close()  # and so its backup ends
        end = await server.an_end(job_id)
        nursery.cancel_scope.cancel()
    assert end.status == "succeeded"


async def test_without_leave_to_unlock_a_dead_lock_stays(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    await leave_a_lock(repository)
    end = await outcome(server, enrolled, repository.agent_file(allow=["prune"]), "prune")
    assert (end.status, end.reason) == ("failed", "locked")
    assert repository.locks()


async def test_a_cancelled_backup_leaves_no_lock_and_no_process(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    (repository.source / "big").write_bytes(os.urandom(60_000_000))
    agent_file = repository.agent_file(repository={"limit_upload": 4000})  # would take a quarter of a minute
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        job_id = await server.run_job("backup")
        await eventually(lambda: [p for p in (repository.path / "data").rglob("*") if p.is_file()])
        agent = await server.an_agent()
        await agent.send(wire.CancelJob(job_id))
        end = await server.an_end(job_id)
        nursery.cancel_scope.cancel()
    assert (end.status, end.reason) == ("cancelled", "cancelled")
    assert not repository.locks()
    assert not restic_processes(repository)


async def test_a_job_that_takes_too_long_is_stopped(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    from .server_double import schedule

    (repository.source / "big").write_bytes(os.urandom(30_000_000))
    agent_file = repository.agent_file(repository={"limit_upload": 500})
    short = schedule(max_runtime_seconds=0.8)
    server.schedules = [short]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        agent = await server.an_agent()
        await eventually(lambda: enrolled.schedules().schedules)
        job_id = "0" * 26
        await agent.send(wire.RunJob(job_id, "backup", short.id, {}))
        end = await server.an_end(job_id)
        nursery.cancel_scope.cancel()
    assert (end.status, end.reason) == ("failed", "timeout")
    assert end.schedule_id == short.id
    assert "0.8 s" in (end.error or "")


async def test_stopping_the_agent_stops_restic_and_keeps_the_end(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    (repository.source / "big").write_bytes(os.urandom(30_000_000))
    agent_file = repository.agent_file(repository={"limit_upload": 500})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        job_id = await server.run_job("backup")
        await eventually(repository.locks)
        nursery.cancel_scope.cancel()
    assert not restic_processes(repository)
    assert not repository.locks()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        end = await server.an_end(job_id)
        nursery.cancel_scope.cancel()
    assert (end.status, end.reason, end.error) == ("failed", "terminated", "the agent was stopped")


async def test_what_is_not_allowed_is_refused(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    end = await outcome(server, enrolled, repository.agent_file(allow=["backup"]), "prune")
    assert (end.status, end.reason) == ("failed", "refused")
    assert "prune is not allowed" in (end.error or "")


async def test_jobs_of_one_repository_run_one_after_the_other(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(repository.agent_file(), enrolled.path, timings=FAST))
        jobs = [await server.run_job(kind) for kind in ("backup", "check", "backup")]
        ends = [await server.an_end(job) for job in jobs]
        nursery.cancel_scope.cancel()
    assert [end.status for end in ends] == ["succeeded"] * 3
    events = [(type(r).__name__, r.job_id) for r in server.received]
    assert events == [(name, job) for job in jobs for name in ("JobStarted", "JobFinished")]


async def test_log_lines_come_in_order_and_progress_at_most_once_a_second(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    (repository.source / "big").write_bytes(os.urandom(3_000_000))
    agent_file = repository.agent_file(repository={"limit_upload": 1000})
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(agent_file, enrolled.path, timings=FAST))
        job_id = await server.run_job("backup")
        end = await server.an_end(job_id)
        session = await server.an_agent()
        await eventually(lambda: [f for f in session.frames if isinstance(f, wire.JobLog)])
        nursery.cancel_scope.cancel()
    progress = [f for f in session.frames if isinstance(f, wire.JobProgress)]
    lines = [f for f in session.frames if isinstance(f, wire.JobLog)]
    seconds = (end.finished_at - end.started_at).total_seconds()
    assert 1 <= len(progress) <= seconds + 2
    assert progress[-1].bytes_total > 3_000_000
    assert [f.first_line for f in lines] == sorted(f.first_line for f in lines)
    assert any("; snapshot " in line.text for f in lines for line in f.lines)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_an_unreadable_file_makes_a_partial_backup_for_who_is_not_root(
    server: ServerDouble, repository: ResticRepository, tmp_path: Path
) -> None:
    from rmactors.agent.wrapping import run_exec

    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    (repository.source / "closed").write_text("nobody may read this")
    (repository.source / "closed").chmod(0)
    for folder in [tmp_path, *tmp_path.parents]:
        if folder != Path("/") and folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o755)
    state = StateDir(tmp_path / "mine")
    await trio.run_process(["chown", "-R", "65534:65534", str(repository.path), str(repository.source)])
    os.chmod(repository.password_file, 0o644)
    variables = [f"{k}={v}" for k, v in repository.environment.items() if k.startswith("RESTIC_")]
    command = [
        "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "env", *variables,
        "restic", "backup", "--no-cache", "--json", str(repository.source),
    ]  # fmt: skip
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        from rmactors.agent.wrapped import Fds

        code = await run_exec(
            command, "backup", state.path, forward_signals=False, say=lambda text: None, fds=Fds(sink, sink)
        )
    finally:
        os.close(sink)
    from rmactors.agent.spool import Spool

    spool = Spool(state.spool_file)
    end = wire.decode_from_agent(spool.pending(0, 10)[-1].frame)
    spool.close()
    assert code == 3
    assert isinstance(end, wire.JobFinished)
    assert (end.status, end.reason, end.exit_code) == ("partial", "partial", 3)
    assert "1 file could not be read" in (end.error or "")
    assert "permission denied" in (end.error or "")


def logged(session: Session) -> list[wire.LogLine]:
    return [line for frame in session.frames if isinstance(frame, wire.JobLog) for line in frame.lines]
