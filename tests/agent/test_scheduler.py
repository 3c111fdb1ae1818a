"""Schedules on a running agent: kept on disk, run on time with the server away, caught up once."""

from pathlib import Path

import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent, watch_zones
from rmactors.agent.due_runs import Due, definition
from rmactors.agent.keeper import Keeper
from rmactors.agent.report_queue import ReportQueue
from rmactors.agent.scheduler import Scheduler
from rmactors.agent.spool import Mark, Spool
from rmactors.agent.state_dir import HostCredential, KeptSchedules, StateDir
from rmactors.common import clock, wire, zones
from tests.zone_folders import folder

from .conftest import FAST
from .repositories import ResticRepository
from .server_double import ServerDouble, eventually, schedule, serving

YESTERDAY = clock.now() - clock.DAY


def mark(state: StateDir, info: wire.ScheduleInfo, slot: int) -> None:
    spool = Spool(state.spool_file)
    spool.set_marks([Mark(info.id, definition(info), slot)])
    spool.close()


def reports(state: StateDir) -> list[wire.Report]:
    spool = Spool(state.spool_file)
    frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 1000)]
    spool.close()
    return [frame for frame in frames if isinstance(frame, wire.JobStarted | wire.JobFinished)]


async def test_a_slot_missed_while_off_is_caught_up_once_with_the_server_away(
    state: StateDir, repository: ResticRepository
) -> None:
    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    hourly = schedule("hourly", cron="@hourly", params={"plan": "home"})
    state.save_schedules(KeptSchedules("H" * 26, 1, (hourly,)))
    mark(state, hourly, YESTERDAY)
    for _ in range(2):  # the second life finds the slot taken
        async with trio.open_nursery() as nursery:
            await nursery.start(lambda task_status: run_agent(repository.agent_file(), state.path, timings=FAST, task_status=task_status))  # fmt: skip  # noqa: E501
            await eventually(lambda: len(reports(state)) >= 2)
            await trio.sleep(0.1)
            nursery.cancel_scope.cancel()
    start, end = reports(state)
    assert isinstance(end, wire.JobFinished)
    assert (end.status, end.schedule_id, end.job_id) == ("succeeded", hourly.id, start.job_id)
    slot = clock.from_datetime(end.scheduled_for) if end.scheduled_for else 0
    assert slot % clock.HOUR == 0
    assert slot > clock.now() - clock.HOUR - clock.MINUTE


async def test_schedules_of_the_welcome_are_kept_and_changes_replace_them(
    server: ServerDouble, enrolled: StateDir
) -> None:
    nightly, weekly = schedule("nightly"), schedule("weekly", cron="@weekly")
    server.schedules, server.rev = [nightly], 7
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), enrolled.path, timings=FAST))
        session = await server.an_agent()
        await eventually(lambda: enrolled.schedules().schedules == (nightly,))
        await session.send(wire.Schedules(8, [weekly]))
        await eventually(lambda: enrolled.schedules().schedules == (weekly,))
        nursery.cancel_scope.cancel()
    kept = enrolled.schedules()
    assert (kept.host_id, kept.schedules_rev) == (server.host_id, 8)
    assert reports(enrolled) == []  # a new schedule counts from now on


async def test_an_external_schedule_is_only_watched(state: StateDir) -> None:
    external = schedule(cron="* * * * *", mode="external")
    state.save_schedules(KeptSchedules("H" * 26, 1, (external,)))
    mark(state, external, YESTERDAY)
    taken: list[Due] = []

    async def take(due: Due) -> None:
        taken.append(due)

    spool = Keeper(state.spool_file)
    async with trio.open_nursery() as nursery:
        await nursery.start(Scheduler(state, ReportQueue(spool), take, 0.0).run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    spool.close()
    assert taken == []


async def test_new_time_zone_data_is_seen_while_the_agent_runs(
    state: StateDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slot of this hour by the new data lay in the future by the old."""
    path = folder(tmp_path / "zoneinfo", "2025b", America__Vancouver="America/Los_Angeles")
    monkeypatch.setattr(zones, "_ours", zones.Zones(lambda: [path]))
    daily = schedule(cron="0 3 * * *", timezone="America/Vancouver")
    clock_now = clock.from_rfc3339("2026-11-20T10:30:00Z")
    monkeypatch.setattr(clock, "now", lambda: clock_now)
    state.save_schedules(KeptSchedules("H" * 26, 1, (daily,)))
    mark(state, daily, clock_now - 12 * clock.HOUR)
    taken: list[Due] = []

    async def take(due: Due) -> None:
        taken.append(due)

    spool = Keeper(state.spool_file)
    scheduler = Scheduler(state, ReportQueue(spool), take, 0.0)
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        nursery.start_soon(lambda: watch_zones(scheduler.look_again, every=0.001))
        await trio.testing.wait_all_tasks_blocked()
        assert taken == []
        folder(path, "2026f", America__Vancouver="America/Phoenix")
        await eventually(lambda: bool(taken))
        nursery.cancel_scope.cancel()
    spool.close()
    assert [due.slot for due in taken] == [clock.from_rfc3339("2026-11-20T10:00:00Z")]


async def test_a_run_whose_predecessor_has_not_ended_is_skipped_and_reported(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    from rmactors.agent.agent_file import Hooks
    from rmactors.agent.job_runner import JobRunner
    from rmactors.agent.livefeed import LiveFeed

    gate = tmp_path / "gate"
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.02; done\n")
    hook.chmod(0o755)
    agent_file = repository.agent_file(plan={"hooks": Hooks(before=[str(hook)])})
    nightly = schedule()
    spool = Keeper(enrolled.spool_file)
    job_runner = JobRunner(agent_file, ReportQueue(spool), LiveFeed())
    async with trio.open_nursery() as nursery:
        await nursery.start(job_runner.run)
        await job_runner.start_due(Due(nightly, clock.HOUR))
        await job_runner.start_due(Due(nightly, 2 * clock.HOUR))
        gate.touch()
        await eventually(lambda: not job_runner.accepted_jobs())
        nursery.cancel_scope.cancel()
    spool.close()
    ends = [report for report in reports(enrolled) if isinstance(report, wire.JobFinished)]
    assert sorted((end.status, end.reason) for end in ends) == [("skipped", "skipped"), ("succeeded", "ok")]


async def test_an_interval_counts_from_the_end_of_a_run_also_of_one_that_was_asked_for(
    enrolled: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    from rmactors.agent.agent_file import Hooks
    from rmactors.agent.job_runner import JobRunner
    from rmactors.agent.livefeed import LiveFeed

    gate, hook = tmp_path / "gate", tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\nwhile [ ! -e {gate} ]; do sleep 0.02; done\n")
    hook.chmod(0o755)
    laptop = schedule("laptop", cron="", every_hours=24.0, params={"plan": "home"})
    enrolled.save_schedules(KeptSchedules("H" * 26, 1, (laptop,)))
    mark(enrolled, laptop, YESTERDAY - clock.MINUTE)
    spool = Keeper(enrolled.spool_file)
    queue = ReportQueue(spool)
    job_runner = JobRunner(repository.agent_file(plan={"hooks": Hooks(before=[str(hook)])}), queue, LiveFeed())
    job_runner.schedules = {laptop.id: laptop}
    async with trio.open_nursery() as nursery:
        await nursery.start(job_runner.run)
        await nursery.start(Scheduler(enrolled, queue, job_runner.start_due, 0.0).run)
        await eventually(lambda: bool(job_runner.accepted_jobs()))
        await job_runner.start_due(
            Due(laptop, None, clock.now())
        )  # it has not ended: no second one, and no word about it
        before = clock.now()
        gate.touch()
        await eventually(lambda: not job_runner.accepted_jobs())
        ended = (await queue.marks())[laptop.id].slot
        assert ended >= before
        await job_runner.on_command(wire.RunJob("J" * 26, "backup", laptop.id, {"plan": "home"}))
        await eventually(lambda: len(reports(enrolled)) == 4 and not job_runner.accepted_jobs())
        assert (await queue.marks())[laptop.id].slot > ended
        nursery.cancel_scope.cancel()
    spool.close()
    told = reports(enrolled)
    assert [report.scheduled_for for report in told] == [None] * 4
    ends = [(report.status, report.schedule_id) for report in told if isinstance(report, wire.JobFinished)]
    assert ends == [("succeeded", laptop.id)] * 2


async def test_when_an_interval_seems_over_the_end_that_is_in_the_spool_counts(state: StateDir) -> None:
    laptop = schedule("laptop", cron="", every_hours=24.0)
    state.save_schedules(KeptSchedules("H" * 26, 1, (laptop,)))
    mark(state, laptop, YESTERDAY)
    taken: list[Due] = []

    async def take(due: Due) -> None:
        taken.append(due)

    spool = Keeper(state.spool_file)
    scheduler = Scheduler(state, ReportQueue(spool), take, 0.0)
    scheduler._marks = await ReportQueue(spool).marks()
    mark(state, laptop, clock.now())  # a run ended that the scheduler was not told of
    assert await scheduler._learn_ends()
    assert not await scheduler._learn_ends()
    async with trio.open_nursery() as nursery:
        await nursery.start(scheduler.run)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    spool.close()
    assert taken == []


async def test_ten_jobs_with_the_server_away_and_the_agent_killed_all_arrive_once_and_in_order(
    state: StateDir, repository: ResticRepository, tmp_path: Path
) -> None:
    """Runs that fail and runs that succeed, alternating, each by an `exec` of its own, the last two with restic; an
    agent that is killed half-way; then server and agent are back."""
    targets = ["/nonexistent", str(repository.source)]
    import subprocess
    import sys

    from .test_wrapping import ROOT, execute

    double = ServerDouble()
    async with serving(double):
        state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
    agent = await trio.lowlevel.open_process(
        [sys.executable, "-m", "rmactors", "agent", "run", "--state-dir", str(state.path)],
        cwd=ROOT, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    await eventually(state.agent_runs)
    for number in range(10):
        if number == 5:
            agent.kill()
            await agent.wait()
        command = ["sh", "-c", f"exit {number % 2}"] if number < 8 else ["restic", "backup", targets[number - 8]]
        await execute(state, command, environment=repository.environment)
    assert len(reports(state)) == 20
    async with serving(double), trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=FAST))
        await eventually(lambda: not reports(state))
        nursery.cancel_scope.cancel()
    assert [end.reason for end in double.ends()] == ["ok", "error"] * 4 + ["no_source", "ok"]
    assert [report.seq for report in double.received] == list(range(1, 21))
