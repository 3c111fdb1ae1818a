"""Crashed actors are started again, within a budget. Time is virtual."""

import logging

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from rmactors.server.runtime.supervision import ActorStatus, Budget, Children, OverBudgetError, supervise


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


async def test_a_crashed_actor_is_started_again_and_the_crash_is_logged(
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


async def test_children_have_one_name_each_and_one_budget(autojump_clock: MockClock) -> None:
    status, ended = ActorStatus(), []

    async def crash_once() -> None:
        if status.restarts == 0:
            raise CrashError

    async with trio.open_nursery() as nursery:
        children: Children[str] = Children("host", Budget(1, 60), status, nursery)
        children.start("a", "handle", crash_once, lambda: ended.append("a"))
        children.start("b", "handle", trio.sleep_forever, lambda: ended.append("b"))
        await wait_all_tasks_blocked()
        assert status.down == {"host:a": "host:a crashed: CrashError"}
        await trio.sleep(1)
        assert ended == ["a"]
        assert children.running == {"b": "handle"}, "it has returned, and the other goes on"
        nursery.cancel_scope.cancel()
    assert ended == ["a"], "what is cut off has not ended by itself"


async def test_a_child_that_follows_another_is_the_one_that_is_known(autojump_clock: MockClock) -> None:
    leave, ended = trio.Event(), []
    async with trio.open_nursery() as nursery:
        children: Children[str] = Children("delivery", Budget(1, 60), ActorStatus(), nursery)
        children.start("a", "older", leave.wait, lambda: ended.append("older"))
        children.start("a", "newer", trio.sleep_forever, lambda: ended.append("newer"))
        leave.set()
        await wait_all_tasks_blocked()
        assert (ended, children.running) == (["older"], {"a": "newer"})
        nursery.cancel_scope.cancel()
