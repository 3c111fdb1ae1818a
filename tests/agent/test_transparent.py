"""`exec` changes nothing for the command: each test runs a command alone and wrapped, and looks for a difference."""

import os
import pty
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from rmactors.agent.state_dir import StateDir
from rmactors.common import wire

from .repositories import ResticRepository
from .server_double import eventually
from .test_wrapping import ROOT, exec_command, spooled

OPEN_FDS = "import os; print(sorted(fd for fd in map(int, os.listdir('/proc/self/fd')) if os.path.exists(f'/proc/self/fd/{fd}')))"  # noqa: E501


def end_of(state: StateDir) -> wire.JobFinished:
    (end,) = [report for report in spooled(state) if isinstance(report, wire.JobFinished)]
    return end


def in_shell(line: str, **changes: object) -> subprocess.CompletedProcess[bytes]:
    options: dict[str, object] = {"capture_output": True, "timeout": 120, "cwd": ROOT}
    return subprocess.run(["bash", "-c", line], check=False, **(options | changes))  # type: ignore[call-overload, no-any-return]


def both(state: StateDir, template: str, command: Sequence[str], **changes: object) -> list[tuple[int, bytes, bytes]]:
    """The same shell line around the command alone and around it wrapped: exit code, stdout, stderr of each."""
    found = []
    for words in (command, exec_command(state, command)):
        done = in_shell(template.format(shlex.join(words)), **changes)
        found.append((done.returncode, done.stdout, done.stderr.replace(_NOT_ENROLLED % bytes(state.path), b"")))
    return found


_NOT_ENROLLED = b"rmactors: this host is not enrolled (no %b/credential.json): run `rmactors agent enroll` first; "


@pytest.fixture
def quiet(state: StateDir) -> StateDir:
    """Enrolled with a server that is away: nothing is said about it, and reports stay in the spool."""
    from rmactors.agent.state_dir import HostCredential

    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", "H" * 26, "nas", "agent-1"))
    return state


def test_a_process_substitution_is_read(quiet: StateDir) -> None:
    line = shlex.join(exec_command(quiet, ["cat"])) + " <(echo secret) <(echo other)"
    done = in_shell(line)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"secret\nother\n", b"")


async def test_restic_gets_its_password_from_a_process_substitution(
    quiet: StateDir, repository: ResticRepository
) -> None:
    environment = {k: v for k, v in repository.environment.items() if k != "RESTIC_PASSWORD_FILE"}
    words = shlex.join(exec_command(quiet, ["restic"]))
    line = f"{words} -p <(cat {repository.password_file}) backup {repository.source}"
    done = await trio.run_process(
        ["bash", "-c", line], env=environment, cwd=ROOT, check=False, capture_stdout=True, capture_stderr=True
    )
    assert done.returncode == 0, done.stderr
    assert end_of(quiet).status == "succeeded"


def test_a_lock_on_a_descriptor_is_the_commands_too(quiet: StateDir, tmp_path: Path) -> None:
    template = f"exec 9>{tmp_path / 'lock'}; flock -n 9; {{}}"
    alone, wrapped = both(quiet, template, ["flock", "-n", "9"])
    assert alone == wrapped == (0, b"", b"")


@pytest.mark.parametrize("redirections", ["", "5</dev/null", "5</dev/null 77>/dev/null 200<&0"])
def test_the_command_has_the_same_open_descriptors_and_none_of_ours(quiet: StateDir, redirections: str) -> None:
    alone, wrapped = both(quiet, f"{{}} {redirections}", [sys.executable, "-c", OPEN_FDS], stdin=subprocess.DEVNULL)
    assert alone == wrapped
    assert alone[0] == 0


@pytest.mark.parametrize("locale", [[], ["LC_ALL=C"], ["LANG=C"], ["LC_CTYPE=POSIX"]])
def test_the_environment_is_the_same_in_every_locale(quiet: StateDir, locale: list[str]) -> None:
    prefix = shlex.join(["env", "-i", f"PATH={os.environ['PATH']}", "ODD=\udcff", "EMPTY=", "dots.in-it=1", *locale])
    alone, wrapped = both(quiet, f"{prefix} {{}}", ["/usr/bin/env"])
    assert alone == wrapped


def test_umask_limits_and_folder_are_the_same(quiet: StateDir, tmp_path: Path) -> None:
    template = f"umask 027; ulimit -c 0; ulimit -n 200; ulimit -t 100; export PYTHONPATH={ROOT}; cd {tmp_path}; {{}}"
    alone, wrapped = both(quiet, template, ["bash", "-c", "umask; ulimit -a; pwd; ps -o pgid=,sid= -p $$ | wc -l"])
    assert alone == wrapped


def test_the_command_is_in_the_process_group_that_exec_is_in(quiet: StateDir) -> None:
    command = ["sh", "-c", "ps -o pgid= -p $$"]
    done = subprocess.run(
        exec_command(quiet, command), capture_output=True, cwd=ROOT, process_group=0, check=True, timeout=60
    )
    assert int(done.stdout) != os.getpgrp()
    ours = subprocess.run(exec_command(quiet, command), capture_output=True, cwd=ROOT, check=True, timeout=60)
    assert int(ours.stdout) == os.getpgrp()


def test_signals_that_were_ignored_stay_so(quiet: StateDir) -> None:
    shows = "grep SigIgn /proc/self/status; grep SigBlk /proc/self/status"
    alone, wrapped = both(quiet, "trap '' HUP INT TERM USR1; {}", ["sh", "-c", shows])
    assert alone == wrapped


@pytest.mark.parametrize("word", ["relative", "absolute"])
def test_a_script_without_its_first_line_is_run_by_a_shell(quiet: StateDir, tmp_path: Path, word: str) -> None:
    script = tmp_path / "plain"
    script.write_text('echo "$0 $1"\nexit 3\n')
    script.chmod(0o755)
    name = "plain" if word == "relative" else str(script)
    alone, wrapped = both(quiet, f"PATH=$PATH:{tmp_path}; {{}}", [name, "a b"])
    assert alone[0] == wrapped[0] == 3
    assert wrapped[1].endswith(b"plain a b\n")


@pytest.mark.parametrize("most", [6, 10])
def test_where_there_is_no_room_to_wrap_it_the_command_runs_unreported(quiet: StateDir, most: int) -> None:
    done = in_shell(f"ulimit -n {most}; " + shlex.join(exec_command(quiet, ["sh", "-c", "echo ran; exit 5"])))
    assert (done.returncode, done.stdout) == (5, b"ran\n")
    assert b"this run is not reported" in done.stderr
    gone = in_shell(f"ulimit -n {most}; " + shlex.join(exec_command(quiet, ["/nonexistent"])))
    assert gone.returncode == 127


def test_arguments_that_are_no_text_arrive_as_they_are(quiet: StateDir) -> None:
    alone, wrapped = both(quiet, "{}", ["printf", "%s|", "\udcff\udcfe", "", "a\nb", "-n", "--"])
    assert alone == wrapped


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_no_exit_code(quiet: StateDir, closed: str) -> None:
    alone, wrapped = both(quiet, f"{{}} {closed}", ["sh", "-c", "test -e /proc/self/fd/0; exit $((5 + $?))"])
    assert alone == wrapped


def test_sockets_that_systemd_passes_on_are_for_the_command(quiet: StateDir) -> None:
    script = "import os, socket; s = socket.socket(fileno=3); print(os.environ['LISTEN_PID'] == str(os.getpid()), s.getsockname()[1])"  # noqa: E501
    with socket.create_server(("127.0.0.1", 0)) as listening:
        line = f"exec 3<&{listening.fileno()}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "
        for words in ([sys.executable, "-c", script], exec_command(quiet, [sys.executable, "-c", script])):
            done = in_shell(line + shlex.join(words), pass_fds=(listening.fileno(),))
            assert done.stdout.decode().split() == ["True", str(listening.getsockname()[1])], done.stderr


def test_a_command_that_systemd_names_and_that_is_not_there_ends_as_in_a_shell(quiet: StateDir) -> None:
    line = "export LISTEN_PID=$$; exec " + shlex.join(exec_command(quiet, ["/nonexistent"]))
    done = in_shell(line)
    assert (done.returncode, done.stderr) == (127, b"rmactors: /nonexistent: command not found\n")


# ---- output that cannot be written


async def test_a_backup_whose_output_fills_a_disk_makes_its_snapshot(
    quiet: StateDir, repository: ResticRepository
) -> None:
    for number in range(200):
        (repository.source / f"file {number}").write_text("x")
    words = exec_command(quiet, ["restic", "backup", "-v", "-v", str(repository.source)])
    done = await trio.run_process(
        ["sh", "-c", f"{shlex.join(words)} > /dev/full"], env=repository.environment, cwd=ROOT, check=False,
        capture_stderr=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert end_of(quiet).status == "succeeded"
    assert len(repository.restic("list", "snapshots").stdout.split()) == 1


@pytest.mark.parametrize("stream", [1, 2])
def test_much_output_to_a_full_disk_ends_nothing(quiet: StateDir, stream: int) -> None:
    command = ["sh", "-c", f"seq 1 100000 >&{stream}; exit 4"]
    done = in_shell(f"{shlex.join(exec_command(quiet, command))} {stream}>/dev/full")
    assert done.returncode == 4
    assert end_of(quiet).exit_code == 4


def test_a_reader_that_has_enough_ends_the_command_as_without_exec(quiet: StateDir) -> None:
    alone, wrapped = both(quiet, "{} | head -n 1; echo ${{PIPESTATUS[0]}}", ["yes"])
    assert alone == wrapped == (0, b"y\n141\n", b"")
    assert (end_of(quiet).reason, end_of(quiet).error) == (
        "terminated",
        "ended by SIGPIPE, which nobody here asked for",
    )


def test_a_journal_that_goes_away_ends_nothing(quiet: StateDir) -> None:
    """systemd's services ignore SIGPIPE, and Python ignores it before anyone can see that."""
    reading, writing = os.pipe()
    os.close(reading)
    found = os.fstat(writing)
    environment = {**os.environ, "JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}
    try:
        done = subprocess.run(
            exec_command(quiet, ["sh", "-c", "seq 1 100000; exit 4"]), stdout=writing, stderr=subprocess.PIPE,
            env=environment, cwd=ROOT, check=False, timeout=60,
        )  # fmt: skip
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (4, b"")


# ---- signals

WAITS = "echo ready; while :; do sleep 0.05; done"


PATIENCE = 120.0
"""Seconds until a test gives up on a command."""


async def at_a_terminal(command: Sequence[str], keys: bytes = b"", number: int | None = None) -> int:
    """Run as the foreground of a terminal of its own; once it says `ready`, press keys or send a signal to it alone."""
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - the child
        os.chdir(ROOT)
        os.execv(command[0], list(command))
    ended = False
    try:
        with trio.fail_after(PATIENCE):
            seen = b""
            while b"ready" not in seen:
                await trio.lowlevel.wait_readable(terminal)
                seen += os.read(terminal, 4096)
            if keys:
                os.write(terminal, keys)
            if number is not None:
                os.kill(pid, number)
            _, status = await trio.to_thread.run_sync(os.waitpid, pid, 0, abandon_on_cancel=True)
            ended = True
            return os.waitstatus_to_exitcode(status)
    finally:
        os.close(terminal)
        if not ended:
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(("key", "number"), [(b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)])
async def test_a_key_at_the_terminal_cancels(quiet: StateDir, key: bytes, number: int) -> None:
    code = await at_a_terminal(exec_command(quiet, ["sh", "-c", WAITS]), keys=key)
    end = end_of(quiet)
    assert code == -number
    assert (end.status, end.reason, end.error) == ("cancelled", "cancelled", "interrupted at the terminal")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP])
async def test_a_signal_from_somebody_else_terminates_also_at_a_terminal(quiet: StateDir, number: int) -> None:
    code = await at_a_terminal(exec_command(quiet, ["sh", "-c", f"exec {sys.executable} -c '{SLEEPS}'"]), number=number)
    end = end_of(quiet)
    assert code == -number
    assert (end.status, end.reason) == ("failed", "terminated")
    assert end.error == f"ended by {signal.Signals(number).name}, sent to `exec`"


SLEEPS = 'import signal; signal.signal(2, signal.SIG_DFL); print("ready", flush=True); signal.pause()'


async def test_ctrl_c_that_the_command_deals_with_is_a_success(quiet: StateDir) -> None:
    script = f"trap 'echo bye; exit 0' INT; {WAITS}"
    assert await at_a_terminal(exec_command(quiet, ["sh", "-c", script]), keys=b"\x03") == 0
    assert end_of(quiet).status == "succeeded"


async def test_a_time_limit_around_exec_terminates_every_run(quiet: StateDir) -> None:
    """As timeout(1) and systemd do it: the signal comes to `exec`, and to all that it has started."""
    process = await trio.lowlevel.open_process(
        exec_command(quiet, [sys.executable, "-c", SLEEPS]), stdout=subprocess.PIPE, cwd=ROOT, process_group=0
    )
    assert process.stdout is not None
    seen = b""
    while not seen.endswith(b"ready\n"):
        seen += await process.stdout.receive_some()
    os.kill(process.pid, signal.SIGTERM)
    os.killpg(process.pid, signal.SIGTERM)
    assert await process.wait() == -signal.SIGTERM
    await process.stdout.aclose()
    end = end_of(quiet)
    assert (end.status, end.reason, end.exit_code) == ("failed", "terminated", 143)
    assert end.error == "ended by SIGTERM, sent to `exec`"


@pytest.mark.parametrize("number", [signal.SIGALRM, signal.SIGXCPU, signal.SIGUSR1, signal.SIGRTMIN + 3])
async def test_every_signal_that_would_end_the_command_reaches_it(quiet: StateDir, number: int) -> None:
    process = await trio.lowlevel.open_process(
        exec_command(quiet, [sys.executable, "-c", SLEEPS]), stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    seen = b""
    while not seen.endswith(b"ready\n"):
        seen += await process.stdout.receive_some()
    process.send_signal(number)
    assert await process.wait() == -number
    await process.stdout.aclose()
    assert end_of(quiet).reason == "terminated"


async def test_a_signal_while_the_report_waits_for_the_server_changes_no_exit_code(quiet: StateDir) -> None:
    from rmactors.agent.state_dir import HostCredential

    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and says nothing
        quiet.save_credential(
            HostCredential(f"ws://127.0.0.1:{silent.getsockname()[1]}/ws/agent", "H" * 26, "nas", "agent-1")
        )
        process = await trio.lowlevel.open_process(exec_command(quiet, ["sh", "-c", "exit 6"]), cwd=ROOT)
        await eventually(lambda: [r for r in spooled(quiet) if isinstance(r, wire.JobFinished)])
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 6
    assert end_of(quiet).exit_code == 6
