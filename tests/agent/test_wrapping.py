"""`exec` seen from outside: a process started as cron would start it, its bytes, its exit code, and what the server
was told."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import StateDir
from rmactors.common import wire

from .conftest import FAST
from .repositories import ResticRepository
from .server_double import ServerDouble, eventually, schedule, serving

ROOT = Path(__file__).resolve().parents[2]


def exec_command(state: StateDir, command: Sequence[str], *options: str) -> list[str]:
    return [sys.executable, "-m", "rmactors", "agent", "exec", "--kind", "backup", "--state-dir", str(state.path), *options, "--", *command]  # fmt: skip  # noqa: E501


async def execute(
    state: StateDir, command: Sequence[str], *options: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    with trio.fail_after(120):
        return await trio.run_process(
            exec_command(state, command, *options), capture_stdout=True, capture_stderr=True, check=False, cwd=ROOT,
            stdin=b"from stdin\n", env=environment,
        )  # fmt: skip


def spooled(state: StateDir) -> list[wire.Report]:
    spool = Spool(state.spool_file)
    try:
        frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 1000)]
    finally:
        spool.close()
    return [frame for frame in frames if isinstance(frame, wire.JobStarted | wire.JobFinished)]


async def test_output_stdin_and_exit_code_pass_through_and_the_server_is_told(
    server: ServerDouble, enrolled: StateDir
) -> None:
    script = r"cat; printf '\000\377out'; printf 'last words\n' >&2; exit 7"
    done = await execute(enrolled, ["sh", "-c", script])
    assert done.returncode == 7
    assert done.stdout == b"from stdin\n\x00\xffout"
    assert done.stderr == b"last words\n"
    (start,), (end,) = server.starts(), server.ends()
    assert (end.status, end.reason, end.exit_code, end.error) == ("failed", "error", 7, "last words")
    assert start.job_id == end.job_id
    assert [s.hello.purpose for s in server.sessions if s.hello] == ["report"]
    assert [s.hello.restic for s in server.sessions if s.hello] == [msgspec.UNSET], (
        "it does not know, and does not say `null`"
    )
    assert spooled(enrolled) == []


async def test_an_agents_file_that_this_user_may_not_look_at_keeps_nothing_back(
    server: ServerDouble, enrolled: StateDir
) -> None:
    """It would only name a client certificate. Root may look into every folder: so here it is a name that cannot be."""
    environment = {**os.environ, "RM_AGENT_CONFIG": f"/etc/{'x' * 300}/agent.toml"}
    done = await execute(enrolled, ["true"], environment=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [end.status for end in server.ends()] == ["succeeded"]
    assert spooled(enrolled) == []


async def test_a_good_command_succeeds(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["true"], "--plan", "home")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    (end,) = server.ends()
    assert (end.status, end.reason, end.plan, end.exit_code) == ("succeeded", "ok", "home", 0)


async def test_much_output_comes_out_whole(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; seq 1 50000 >&2"])
    assert done.stdout == b"x" * 3_000_000
    assert done.stderr == b"".join(b"%d\n" % n for n in range(1, 50_001))


async def test_a_restic_that_fails_is_understood(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    repository.password_file.write_text("wrong\n")
    plain = repository.restic("backup", str(repository.source), check=False)
    command = ["nice", "-n", "1", "restic", "backup", str(repository.source)]
    done = await execute(enrolled, command, environment=repository.environment)
    assert (done.returncode, done.stderr.decode()) == (plain.returncode, plain.stderr)
    (end,) = server.ends()
    assert (end.status, end.reason, end.error) == ("failed", "wrong_password", "wrong password")


async def test_restic_json_gives_the_numbers_also_behind_a_script(
    server: ServerDouble, enrolled: StateDir, repository: ResticRepository
) -> None:
    script = f"echo hello; restic backup --json {shlex.quote(str(repository.source))}"
    done = await execute(enrolled, ["sh", "-c", script], environment=repository.environment)
    assert done.returncode == 0
    assert b'"message_type":"summary"' in done.stdout
    stats = msgspec.json.decode(server.ends()[0].stats)
    assert stats["files_new"] == 3
    assert stats["duration_seconds"] > 0


async def test_a_command_that_is_not_there_ends_as_in_a_shell(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["/nonexistent/command"])
    assert done.returncode == 127
    assert b"command not found" in done.stderr
    (end,) = server.ends()
    assert (end.status, end.exit_code) == ("failed", 127)


async def test_names_that_are_no_text_disturb_nothing(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["/nonexistent/\udcff"], "--plan", "\udcfe")
    assert done.returncode == 127
    (end,) = server.ends()
    assert (end.status, end.plan) == ("failed", "?")
    assert "command not found" in (end.error or "")


async def test_a_closed_stdout_is_no_trouble(server: ServerDouble, enrolled: StateDir) -> None:
    line = shlex.join(exec_command(enrolled, ["sh", "-c", "echo out; exit 6"])) + " >&-"
    done = await trio.run_process(["sh", "-c", line], check=False, capture_stderr=True, cwd=ROOT)
    assert (done.returncode, done.stderr) == (6, b"")
    assert [end.exit_code for end in server.ends()] == [6]


async def test_a_signal_reaches_the_command_and_its_end_is_passed_on(server: ServerDouble, enrolled: StateDir) -> None:
    script = "trap 'echo got it; exit 41' TERM; echo ready; while :; do sleep 0.05; done"
    process = await trio.lowlevel.open_process(
        exec_command(enrolled, ["sh", "-c", script]), stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert await process.stdout.receive_some() == b"ready\n"
    process.send_signal(signal.SIGTERM)
    assert await process.stdout.receive_some() == b"got it\n"
    assert await process.wait() == 41
    await process.stdout.aclose()
    (end,) = server.ends()
    assert (end.status, end.reason, end.error) == (
        "failed",
        "terminated",
        "ended by SIGTERM, sent to `exec`; exit code 41",
    )


async def test_death_by_a_signal_is_death_by_that_signal(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["sh", "-c", "kill -KILL $$"])
    assert done.returncode == -signal.SIGKILL
    (end,) = server.ends()
    assert (end.status, end.exit_code, end.error) == (
        "failed",
        137,
        "ended by SIGKILL, which nobody here asked for (out of memory?)",
    )


async def test_with_the_server_away_nothing_changes_and_the_outcome_waits(state: StateDir) -> None:
    from rmactors.agent.state_dir import HostCredential

    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    done = await execute(state, ["sh", "-c", "echo fine; exit 3"])
    assert (done.returncode, done.stdout, done.stderr) == (3, b"fine\n", b"")
    assert [type(report).__name__ for report in spooled(state)] == ["JobStarted", "JobFinished"]


async def test_a_server_that_accepts_and_says_nothing_holds_nothing_up(
    enrolled: StateDir, server: ServerDouble
) -> None:
    from rmactors.agent.wrapping import run_exec

    server.welcoming = False
    with trio.fail_after(30):
        code = await run_exec(
            ["true"], "backup", enrolled.path, timings=FAST, deliver_seconds=0.5, forward_signals=False
        )
    assert code == 0
    assert len(spooled(enrolled)) == 2


async def test_on_a_host_that_is_not_enrolled_the_command_runs_and_stderr_says_so(state: StateDir) -> None:
    done = await execute(state, ["sh", "-c", "echo fine"])
    assert (done.returncode, done.stdout) == (0, b"fine\n")
    assert b"not enrolled" in done.stderr
    assert len(spooled(state)) == 2


async def test_without_a_usable_state_dir_the_command_runs(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = await execute(StateDir(tmp_path / "file" / "state"), ["sh", "-c", "echo fine; exit 5"])
    assert (done.returncode, done.stdout) == (5, b"fine\n")
    assert b"not reported" in done.stderr


async def test_a_schedule_is_found_by_asking_the_server(server: ServerDouble, enrolled: StateDir) -> None:
    nightly = schedule("nightly", mode="external")
    server.schedules = [nightly]
    done = await execute(enrolled, ["true"], "--schedule", "nightly")
    assert done.stderr == b""
    assert [report.schedule_id for report in server.received] == [nightly.id, nightly.id]
    assert [info.name for info in enrolled.schedules().schedules] == ["nightly"]


async def test_an_unknown_schedule_is_said_and_reported_without(server: ServerDouble, enrolled: StateDir) -> None:
    done = await execute(enrolled, ["sh", "-c", "exit 4"], "--schedule", "nihgtly")
    assert done.returncode == 4
    assert b"no schedule 'nihgtly' is known" in done.stderr
    assert [report.schedule_id for report in server.received] == [None, None]


async def test_a_running_agent_delivers(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), enrolled.path, timings=FAST))
        await server.an_agent()
        done = await execute(enrolled, ["false"])
        (end,) = await eventually(server.ends)
        nursery.cancel_scope.cancel()
    assert done.returncode == 1
    assert end.status == "failed"
    assert {s.hello.purpose for s in server.sessions if s.hello} == {"agent"}


async def test_a_run_of_some_length_is_known_while_it_runs(server: ServerDouble, enrolled: StateDir) -> None:
    process = await trio.lowlevel.open_process(exec_command(enrolled, ["cat"]), stdin=subprocess.PIPE, cwd=ROOT)
    await eventually(server.starts)
    assert server.ends() == []
    assert process.stdin is not None
    await process.stdin.aclose()
    assert await process.wait() == 0
    assert [end.status for end in server.ends()] == ["succeeded"]


async def test_two_at_once_share_the_spool(state: StateDir) -> None:
    async def one(code: int) -> None:
        done = await execute(state, ["sh", "-c", f"exit {code}"])
        assert done.returncode == code

    async with trio.open_nursery() as nursery:
        for code in range(4):
            nursery.start_soon(one, code)
    reports = spooled(state)
    assert len(reports) == 8
    assert len({report.seq for report in reports}) == 8
    assert sorted(r.exit_code or 0 for r in reports if isinstance(r, wire.JobFinished)) == [0, 1, 2, 3]


async def test_of_many_that_end_at_once_one_delivers_for_all(server: ServerDouble, enrolled: StateDir) -> None:
    """Each would have brought the reports of all others too: of 300 runs, 180,000, and a server takes in only so much
    of one host."""
    from rmactors.agent.wrapping import run_exec

    async def one() -> None:
        code = await run_exec(["true"], "backup", enrolled.path, deliver_seconds=120.0, forward_signals=False)
        assert code == 0

    with trio.fail_after(120):
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(one)
    assert spooled(enrolled) == []
    assert len({end.job_id for end in server.ends()}) == 30
    assert len(server.received) == 60, "none twice"
    assert len(server.sessions) <= 30


async def test_a_run_that_hangs_while_it_delivers_holds_up_no_other(server: ServerDouble, enrolled: StateDir) -> None:
    from rmactors.agent.wrapping import run_exec

    async def never() -> bool:
        return False

    with trio.fail_after(60):
        async with enrolled.turn(0.0, never) as is_due:
            assert is_due
            code = await run_exec(["true"], "backup", enrolled.path, deliver_seconds=10.0, forward_signals=False)
    assert code == 0
    assert len(server.ends()) == 1


async def test_what_was_kept_is_delivered_by_the_next_run_in_order(state: StateDir) -> None:
    from rmactors.agent.state_dir import HostCredential

    server = ServerDouble()
    async with serving(server):
        state.save_credential(HostCredential(server.url, server.host_id, "nas", "agent-1"))
    await execute(state, ["sh", "-c", "exit 1"])
    await execute(state, ["sh", "-c", "exit 2"])
    async with serving(server):
        await execute(state, ["sh", "-c", "exit 3"])
    assert [end.exit_code for end in server.ends()] == [1, 2, 3]
    assert [report.seq for report in server.received] == sorted(report.seq for report in server.received)
    assert spooled(state) == []


@pytest.mark.parametrize("gone", [1, 2])
async def test_a_reader_that_goes_away_is_not_waited_for(state: StateDir, gone: int) -> None:
    from rmactors.agent.wrapped import Fds
    from rmactors.agent.wrapping import run_exec

    reading, writing = os.pipe()
    os.close(reading)
    sink = os.open(os.devnull, os.O_WRONLY)
    fds = Fds(writing, sink) if gone == 1 else Fds(sink, writing)
    try:
        with trio.fail_after(30):
            code = await run_exec(
                ["sh", "-c", f"yes >&{gone}"],
                "backup",
                state.path,
                forward_signals=False,
                say=lambda text: None,
                fds=fds,
            )
    finally:
        os.close(writing)
        os.close(sink)
    assert code != 0


def test_numbers_that_fit_no_frame_are_left_out() -> None:
    from rmactors.agent.job_end import stats_of

    large = {"snapshots": ["x" * 1000] * 1000}
    assert bytes(stats_of({"files_new": 3}, 1.5)) == b'{"duration_seconds": 1.5, "files_new": 3}'
    assert bytes(stats_of(large, 1.5)) == b'{"duration_seconds": 1.5}'
