"""Child processes: all their bytes, a stop in three steps, and nobody left behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from rmactors.agent import guard, process
from rmactors.agent.process import Stop
from rmactors.agent.restic_output import Stream

from .server_double import eventually

ROOT = Path(__file__).resolve().parents[2]


class Output:
    def __init__(self) -> None:
        self.bytes: dict[Stream, bytes] = {"stdout": b"", "stderr": b""}

    def __call__(self, stream: Stream, data: bytes) -> None:
        self.bytes[stream] += data


async def run_shell(script: str, output: Output, stop: Stop | None = None, grace: float = 5.0) -> int:
    with trio.fail_after(30):
        return await process.run(["sh", "-c", script], os.environ, output, stop or Stop(), grace)


async def test_output_comes_whole_and_stdin_is_closed() -> None:
    output = Output()
    assert await run_shell("cat; head -c 300000 /dev/zero; echo err >&2; exit 5", output) == 5
    assert output.bytes == {"stdout": b"\0" * 300_000, "stderr": b"err\n"}


async def test_a_command_that_is_not_there_says_so() -> None:
    output = Output()
    code = await process.run(["/nonexistent/restic"], os.environ, output, Stop(), 1.0)
    assert code != 0
    assert b"/nonexistent/restic: No such file or directory" in output.bytes["stderr"]


@pytest.mark.parametrize(
    ("ignored", "ended_by"),
    [("", signal.SIGINT), ("INT", signal.SIGTERM), ("INT TERM", signal.SIGKILL)],
)
async def test_a_stop_begins_gently_and_gets_its_way(ignored: str, ended_by: signal.Signals) -> None:
    output, stop = Output(), Stop()
    ignoring = f"trap '' {ignored}; " if ignored else ""
    codes: list[int] = []

    async def go() -> None:
        codes.append(await run_shell(f"{ignoring}echo on; exec sleep 1000", output, stop, grace=0.2))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(go)
        await eventually(lambda: output.bytes["stdout"])
        stop.ask("cancelled")
    assert codes == [-ended_by]


async def test_what_a_child_leaves_running_ends_with_it() -> None:
    output = Output()
    assert await run_shell("sleep 1000 & echo $!; exit 0", output) == 0
    left_behind = int(output.bytes["stdout"])
    await eventually(lambda: not is_running(left_behind))


async def test_a_helper_in_a_process_group_of_its_own_ends_with_it() -> None:
    """As restic's ssh and rclone are."""
    output = Output()
    assert await run_shell("exec bash -c 'set -m; sleep 1000 & echo $!; exit 0'", output) == 0
    await eventually(lambda: not is_running(int(output.bytes["stdout"])))


@pytest.mark.parametrize("ignored", ["", "INT", "INT TERM"])
async def test_nothing_survives_an_agent_that_is_killed(ignored: str) -> None:
    script = f"set -m; trap '' {ignored or 'USR1'}; sleep 1000 & echo $! $$ ; wait"
    code = (
        "import os, sys, trio\n"
        "from rmactors.agent import process\n"
        "def on_output(stream, data): os.write(1, data)\n"
        "trio.run(process.run, ['bash', '-c', sys.argv[1]], os.environ, on_output, process.Stop(), 0.3)\n"
    )
    agent = await trio.lowlevel.open_process([sys.executable, "-c", code, script], stdout=subprocess.PIPE, cwd=ROOT)
    assert agent.stdout is not None
    pids = [int(word) for word in (await agent.stdout.receive_some()).split()]
    assert all(is_running(pid) for pid in pids)
    agent.kill()
    await agent.wait()
    await eventually(lambda: not any(is_running(pid) for pid in pids))
    await eventually(lambda: not guard.members(pids[1]))
    await agent.stdout.aclose()


async def test_cancellation_stops_the_child_and_waits_for_it() -> None:
    output = Output()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            run_shell, "trap 'echo cleaned up; exit 0' INT; echo $$; while :; do sleep 0.02; done", output
        )
        await eventually(lambda: output.bytes["stdout"])
        nursery.cancel_scope.cancel()
    assert not is_running(int(output.bytes["stdout"].split()[0]))


async def test_a_stop_asked_for_before_the_start_still_stops() -> None:
    stop = Stop()
    stop.ask("cancelled")
    assert await run_shell("sleep 1000", Output(), stop) == -signal.SIGINT


def test_the_first_reason_to_stop_stays() -> None:
    stop = Stop()
    stop.ask("timeout")
    stop.ask("cancelled")
    assert stop.reason == "timeout"


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
