"""Crashed actors are started anew, within a budget. Time is virtual."""

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rmactors.server.runtime.supervision import ActorStatus, Budget, OverBudgetError, supervise


class CrashError(Exception):
    """A bug."""


async def test_an_actor_that_returns_has_ended(autojump_clock: MockClock) -> None:
    status, runs = ActorStatus(), []

    async def run() -> None:
        runs.append(1)

    await supervise("rules", run, Budget(1, 60), status)
    assert len(runs) == 1
    assert status.down == {}
    assert status.restarts == 0


async def test_a_crashed_actor_is_started_anew_and_the_crash_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    status, runs = ActorStatus(), []

    async def run() -> None:
        runs.append(trio.current_time())
        if len(runs) < 3:
            raise CrashError("first times")

    await supervise("rules", run, Budget(5, 60), status)
    assert len(runs) == 3
    assert runs[0] < runs[1] < runs[2]  # never a busy loop
    assert status.restarts == 2
    assert status.down == {}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_an_actor_is_down_from_its_crash_to_its_next_start(autojump_clock: MockClock) -> None:
    status, runs, go = ActorStatus(), [], trio.Event()

    async def run() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise CrashError("once")
        await go.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "rules", run, Budget(5, 60), status)
        while not runs:
            await trio.lowlevel.checkpoint()
        assert status.down == {"rules": "rules crashed: CrashError"}
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert status.down == {}
        go.set()


async def test_over_its_budget_the_process_ends(autojump_clock: MockClock) -> None:
    async def run() -> None:
        raise CrashError("always")

    with pytest.raises(OverBudgetError, match=r"rules crashed 4 times within 60 s"):
        await supervise("rules", run, Budget(3, 60), ActorStatus())


async def test_crashes_long_ago_are_forgiven(autojump_clock: MockClock) -> None:
    status, runs = ActorStatus(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        await trio.sleep(30)
        if runs < 20:
            raise CrashError("every half minute")

    await supervise("rules", run, Budget(3, 60), status)
    assert status.restarts == 19


async def test_being_cancelled_is_no_crash(autojump_clock: MockClock) -> None:
    status = ActorStatus()
    with trio.move_on_after(5) as scope:
        await supervise("rules", trio.sleep_forever, Budget(0, 60), status)
    assert scope.cancelled_caught
    assert status.restarts == 0
