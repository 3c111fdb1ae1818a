"""Crashed actors are started anew, within a budget. Time is virtual."""

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rmactors.server.runtime.supervision import Budget, OverBudgetError, Standing, supervise


class CrashError(Exception):
    """A bug."""


async def test_an_actor_that_returns_has_ended(autojump_clock: MockClock) -> None:
    standing, runs = Standing(), []

    async def run() -> None:
        runs.append(1)

    await supervise("rules", run, Budget(1, 60), standing)
    assert len(runs) == 1
    assert standing.down == {}
    assert standing.restarts == 0


async def test_a_crashed_actor_is_started_anew_and_the_crash_is_logged(
    autojump_clock: MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    standing, runs = Standing(), []

    async def run() -> None:
        runs.append(trio.current_time())
        if len(runs) < 3:
            raise CrashError("first times")

    await supervise("rules", run, Budget(5, 60), standing)
    assert len(runs) == 3
    assert runs[0] < runs[1] < runs[2]  # never a busy loop
    assert standing.restarts == 2
    assert standing.down == {}
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_an_actor_is_down_from_its_crash_to_its_next_start(autojump_clock: MockClock) -> None:
    standing, runs, go = Standing(), [], trio.Event()

    async def run() -> None:
        runs.append(1)
        if len(runs) == 1:
            raise CrashError("once")
        await go.wait()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(supervise, "rules", run, Budget(5, 60), standing)
        while not runs:
            await trio.lowlevel.checkpoint()
        assert standing.down == {"rules": "rules crashed: CrashError"}
        await trio.sleep(1)
        await wait_all_tasks_blocked()
        assert standing.down == {}
        go.set()


async def test_over_its_budget_the_process_ends(autojump_clock: MockClock) -> None:
    async def run() -> None:
        raise CrashError("always")

    with pytest.raises(OverBudgetError, match=r"rules crashed 4 times within 60 s"):
        await supervise("rules", run, Budget(3, 60), Standing())


async def test_crashes_long_ago_are_forgiven(autojump_clock: MockClock) -> None:
    standing, runs = Standing(), 0

    async def run() -> None:
        nonlocal runs
        runs += 1
        await trio.sleep(30)
        if runs < 20:
            raise CrashError("every half minute")

    await supervise("rules", run, Budget(3, 60), standing)
    assert standing.restarts == 19


async def test_being_cancelled_is_no_crash(autojump_clock: MockClock) -> None:
    standing = Standing()
    with trio.move_on_after(5) as scope:
        await supervise("rules", trio.sleep_forever, Budget(0, 60), standing)
    assert scope.cancelled_caught
    assert standing.restarts == 0
