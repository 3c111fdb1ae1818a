"""unlock with real restics, and who is said to hold the repository afterwards."""

import os
import socket
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rmactors.agent.unlock_job import HeldLock, in_words, is_stale, read_lock

from .jobs import Jobs
from .repositories import ResticRepository, holding_a_lock, leave_a_lock
from .server_double import eventually

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def lock(minutes: float = 1, host: str = "nas", exclusive: bool = False) -> HeldLock:
    return HeldLock(host, "root", 12, NOW - timedelta(minutes=minutes), exclusive)


async def leave_a_lock_of_another_host(repository: ResticRepository) -> None:
    """A real restic makes it, under another host name."""
    if os.geteuid() != 0:
        pytest.skip("only root can give a process another host name")
    name = ["unshare", "--uts", "sh", "-c", "hostname elsewhere && exec restic backup --stdin --host elsewhere"]
    with subprocess.Popen(  # noqa: ASYNC220
        name, env=repository.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as holder:
        await eventually(repository.locks)
        holder.kill()


async def test_another_hosts_lock_that_stays_is_named(
    repository: ResticRepository, each_restic: str, tmp_path: Path
) -> None:
    await leave_a_lock_of_another_host(repository)
    jobs = Jobs(repository.agent_file(restic=each_restic), tmp_path / "state")
    end = await jobs.do("unlock")
    assert (end.verdict.status, end.verdict.error) == ("succeeded", None)
    assert (end.stats["locks_left"], end.stats["locks_removed"]) == (1, 0)
    assert end.stats["warning"].startswith("the repository is still locked by pid ")
    assert " on elsewhere since 2" in end.stats["warning"][:200], "what the server keeps of it"
    assert len(repository.locks()) == 1


async def test_a_lock_that_nobody_holds_is_removed_and_counted(
    repository: ResticRepository, each_restic: str, tmp_path: Path
) -> None:
    await leave_a_lock(repository)
    jobs = Jobs(repository.agent_file(restic=each_restic), tmp_path / "state")
    end = await jobs.do("unlock")
    assert (end.verdict.status, end.stats) == ("succeeded", {"locks_left": 0, "locks_removed": 1})
    end = await jobs.do("unlock")
    assert (end.verdict.status, end.stats) == ("succeeded", {"locks_left": 0, "locks_removed": 0})


async def test_a_lock_that_a_live_restic_holds_is_named_beside_those_that_went(
    repository: ResticRepository, tmp_path: Path
) -> None:
    await leave_a_lock(repository)
    async with holding_a_lock(repository) as holder:
        end = await Jobs(repository.agent_file(), tmp_path / "state").do("unlock")
        assert (end.stats["locks_left"], end.stats["locks_removed"]) == (1, 1)
        assert f"pid {holder.pid} of " in end.stats["warning"]
        assert f" on {socket.gethostname()} since " in end.stats["warning"]


@pytest.mark.parametrize(
    ("held", "alive", "stale"),
    [
        (lock(host="other"), False, False),  # another host's process cannot be seen from here
        (lock(minutes=29, host="other"), False, False),
        (lock(minutes=36, host="other"), False, True),
        (lock(), True, False),
        (lock(), False, True),
        (lock(minutes=-10, host="other"), False, False),  # a clock that is ahead
    ],
)
def test_a_lock_is_stale_when_restic_would_have_taken_it(held: HeldLock, alive: bool, stale: bool) -> None:
    assert is_stale(held, NOW, "nas", alive=alive) is stale


def test_a_lock_is_told_with_who_where_and_since_when() -> None:
    assert in_words([lock(2, exclusive=True), lock(300, "b"), lock(-5, "c")], NOW) == (
        "pid 12 of root on nas since 2026-11-28 11:58:00 UTC (2 min ago), exclusively; "
        "pid 12 of root on b since 2026-11-28 07:00:00 UTC (5 h ago); "
        "pid 12 of root on c since 2026-11-28 12:05:00 UTC (in the future: one of the two clocks is wrong)"
    )


@pytest.mark.parametrize(
    "answer", [b"", b"nonsense", b"[]", b"{}", b'{"time": "yesterday"}', b'{"time": "2026-11-28"}']
)
def test_what_is_no_lock_is_not_read_as_one(answer: bytes) -> None:
    assert read_lock(answer) is None


def test_a_lock_of_strange_content_is_shown_in_printable_words() -> None:
    found = read_lock(b'{"time": "2026-11-28T12:00:00.123456789+01:00", "hostname": "a\\u001b[2J", "pid": "x"}')
    assert found is not None
    assert (found.host, found.user, found.pid, found.exclusive) == ("a\ufffd[2J", "?", 0, False)
