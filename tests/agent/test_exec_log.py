"""The output of a wrapped command reaches the server with its report, and never at the report's cost."""

import os
import shlex
import subprocess
from pathlib import Path

import msgspec
import pytest
import trio

from rmactors.agent import spool as spools
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.inheritance import Inheritance
from rmactors.agent.spool import Spool, SpoolError
from rmactors.agent.started_by import systemd
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import ids, wire
from tests.restics import version_of

from .conftest import FAST
from .repositories import ResticRepository
from .server_double import ServerDouble, eventually, schedule, serving
from .test_wrapping import ROOT, exec_command, execute, spooled


def logged(server: ServerDouble) -> dict[str, dict[int, tuple[str, str]]]:
    """Lines by job and number."""
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for session in server.sessions:
        for frame in session.frames:
            if isinstance(frame, wire.JobLog):
                for number, line in enumerate(frame.lines, start=frame.first_line):
                    found.setdefault(frame.job_id, {})[number] = (line.stream, line.text)
    return found


def kept_log(state: StateDir, job_id: str) -> list[str]:
    spool = Spool(state.spool_file)
    try:
        return spool.log_of(job_id)
    finally:
        spool.close()


async def test_the_output_comes_with_the_report_and_before_the_end(server: ServerDouble, enrolled: StateDir) -> None:
    await execute(enrolled, ["sh", "-c", "echo one; sleep 0.2; echo two >&2; exit 3"])
    (end,) = server.ends()
    assert logged(server) == {end.job_id: {0: ("stdout", "one"), 1: ("stderr", "two")}}
    kinds = [type(frame).__name__ for session in server.sessions for frame in session.frames]
    assert kinds.index("JobLog") < kinds.index("JobFinished")
    assert kept_log(enrolled, end.job_id) == [], "what the server has is not kept"


async def test_of_much_output_the_head_and_the_tail_come(server: ServerDouble, enrolled: StateDir) -> None:
    await execute(enrolled, ["seq", "0", "99999"])
    (lines,) = logged(server).values()
    assert [lines[0][1], lines[99_999][1]] == ["0", "99999"]
    assert all(text == str(number) for number, (_, text) in lines.items())
    assert 1_000 < len(lines) <= 2_000
    assert all(len(f.lines) <= 200 for s in server.sessions for f in s.frames if isinstance(f, wire.JobLog))


async def test_progress_of_restic_is_no_log(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    await execute(enrolled, ["restic", "backup", "--json", str(repository.source)], environment=repository.environment)
    ((end_id, lines),) = logged(server).items()
    assert end_id == server.ends()[0].job_id
    assert "{" not in "".join(text for _, text in lines.values())
    assert any("snapshot " in text for _, text in lines.values())


async def test_a_command_that_cannot_be_started_says_so_in_its_log(server: ServerDouble, enrolled: StateDir) -> None:
    await execute(enrolled, ["/nonexistent"])
    assert list(logged(server).values()) == [{0: ("stderr", "/nonexistent: command not found")}]


async def test_a_running_agent_delivers_the_log(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), enrolled.path, timings=FAST))
        await server.an_agent()
        await execute(enrolled, ["echo", "hello"])
        (end,) = await eventually(server.ends)
        assert logged(server) == {end.job_id: {0: ("stdout", "hello")}}
        await eventually(lambda: not kept_log(enrolled, end.job_id))
        nursery.cancel_scope.cancel()


async def test_a_log_waits_with_its_report_for_the_next_who_delivers(state: StateDir) -> None:
    server = ServerDouble()
    async with serving(server):
        state.save_credential(HostCredential(server.url, server.host_id, "nas", "agent-1"))
    await execute(state, ["echo", "first"])
    (job_id,) = {report.job_id for report in spooled(state)}
    assert kept_log(state, job_id)
    async with serving(server):
        await execute(state, ["echo", "second"])
    assert logged(server)[job_id] == {0: ("stdout", "first")}
    assert len(logged(server)) == 2


async def test_a_log_whose_report_is_gone_already_is_sent_and_forgotten(
    server: ServerDouble, enrolled: StateDir
) -> None:
    job_id = ids.new()
    spool = Spool(enrolled.spool_file)
    spool.keep_log(job_id, [wire.JobLog(job_id, 0, [wire.LogLine("stdout", "late")])])
    spool.close()
    await execute(enrolled, ["true"])
    assert logged(server) == {job_id: {0: ("stdout", "late")}}
    assert kept_log(enrolled, job_id) == []


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.db")


def log_frames(job_id: str, size: int) -> list[wire.JobLog]:
    return [wire.JobLog(job_id, n, [wire.LogLine("stdout", "x" * 1000)]) for n in range(size // 1000)]


def test_logs_are_bounded_together_and_the_oldest_goes(spool: Spool) -> None:
    jobs = [ids.new() for _ in range(40)]
    for job_id in jobs:
        spool.keep_log(job_id, log_frames(job_id, 250_000))
    here = [bool(spool.log_of(job_id)) for job_id in jobs]
    assert here == sorted(here), "the newest stay"
    assert 25 <= sum(here) <= 34
    spool.close()


def test_a_log_that_fills_the_disk_leaves_room_for_the_report(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    job_id, at = ids.new(), wire.utc_now()
    pages = spool._db.execute("PRAGMA page_count").fetchone()[0]
    spool._db.execute(f"PRAGMA max_page_count = {pages + 10}")
    with pytest.raises(SpoolError, match="full"):
        spool.keep_log(job_id, log_frames(job_id, 250_000))
    assert spool.log_of(job_id) == []
    spool.add(wire.JobFinished(0, job_id, "backup", "succeeded", "ok", at, at))
    assert spool.count() == 1
    spool.close()


def test_where_there_is_little_room_no_log_is_kept(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spools, "LEAST_ROOM_BYTES", 1 << 62)
    with pytest.raises(SpoolError, match="little room"):
        spool.keep_log("J" * 26, log_frames("J" * 26, 1000))
    spool.close()


def test_on_a_small_full_disk_the_command_runs_and_its_report_is_kept(tmp_path: Path) -> None:
    """A real disk of 2 MiB, in a mount namespace of its own."""
    state = tmp_path / "state"
    state.mkdir()
    words = shlex.join(exec_command(StateDir(state), ["sh", "-c", "seq 1 100000; exit 7"]))
    line = f"mount -t tmpfs -o size=2m t {state} && {words} | tail -n 1; cp {state}/spool.db* {tmp_path}"
    possible = subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False)
    if possible.returncode:
        pytest.skip("no mount namespaces here")
    done = subprocess.run(["unshare", "-rm", "bash", "-c", line], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert done.stdout == b"100000\n"
    assert b"little room" in done.stderr
    spool = Spool(tmp_path / "spool.db")
    assert spool.count() == 2
    spool.close()


# ---- what else travels in the stats


def test_systemd_tells_unit_and_timer(tmp_path: Path) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_text("0::/system.slice/system-backup.slice/backup@home.service/inner\n")
    told = {"INVOCATION_ID": "a" * 32, "TRIGGER_UNIT": "backup@home.timer", "TRIGGER_TIMER_REALTIME_USEC": "1"}
    assert systemd(told, cgroup) == {"systemd_unit": "backup@home.service", "systemd_timer": "backup@home.timer"}
    assert systemd({"INVOCATION_ID": "a"}, cgroup) == {"systemd_unit": "backup@home.service"}
    assert systemd({**told, "TRIGGER_UNIT": "watch.path"}, cgroup) == {"systemd_unit": "backup@home.service"}
    assert systemd({**told, "TRIGGER_UNIT": "a\nb.timer"}, tmp_path / "none") == {}
    assert systemd({}, cgroup) == {}, "cron, or a person"
    cgroup.write_text("3:cpu:/x\n1:name=systemd:/system.slice/old.service\n0::/\n")
    assert systemd({"INVOCATION_ID": "a"}, cgroup) == {"systemd_unit": "old.service"}
    cgroup.write_text("0::/user.slice/user-0.slice/session-1.scope\n")
    assert systemd({"INVOCATION_ID": "a"}, cgroup) == {}


async def test_the_timer_is_in_the_stats(server: ServerDouble, enrolled: StateDir) -> None:
    environment = {**os.environ, "INVOCATION_ID": "a" * 32, "TRIGGER_UNIT": "nightly.timer"}
    await execute(enrolled, ["true"], environment=environment)
    assert msgspec.json.decode(server.ends()[0].stats)["systemd_timer"] == "nightly.timer"
    assert server.ends()[0].scheduled_for is None, "when a timer goes off is no slot: it holds the random delay"


async def test_a_schedule_that_nobody_knows_is_in_the_stats_with_a_warning(
    server: ServerDouble, enrolled: StateDir
) -> None:
    server.schedules = [schedule("nightly", mode="external")]
    await execute(enrolled, ["true"], "--schedule", "nihgtly")
    stats = msgspec.json.decode(server.ends()[0].stats)
    assert stats["unknown_schedule"] == "nihgtly"
    assert "no schedule 'nihgtly' is known for this host" in stats["warning"]


async def test_a_script_that_hides_a_failed_restic_is_warned_of(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository, each_restic: str
) -> None:
    repository.password_file.write_text("wrong\n")
    words = shlex.join([each_restic, "backup", "--json", str(repository.source)])
    await execute(enrolled, ["sh", "-c", f"{words}; true"], environment=repository.environment)
    (end,) = server.ends()
    warning = msgspec.json.decode(end.stats).get("warning", "")
    if version_of(each_restic) < (0, 17):
        assert (end.status, warning) == ("succeeded", ""), "it says nothing in JSON: the exit code counts alone"
    else:
        assert (end.status, end.reason) == ("partial", "wrong_password")
        assert "wrong password" in warning


async def test_a_server_that_cannot_be_asked_makes_no_schedule_unknown(state: StateDir) -> None:
    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    await execute(state, ["true"], "--schedule", "nightly")
    (end,) = [report for report in spooled(state) if isinstance(report, wire.JobFinished)]
    stats = msgspec.json.decode(end.stats)
    assert "unknown_schedule" not in stats
    assert "the server could not be asked" in stats["warning"]


def test_what_nobody_gave_is_not_handed_on() -> None:
    assert not Inheritance().names_this_process
    assert not Inheritance(environment={b"LISTEN_PID": b"1"}).names_this_process
    assert Inheritance(environment={b"LISTEN_PID": b"%d" % os.getpid()}).names_this_process
