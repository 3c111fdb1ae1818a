"""Cancelling something at each of its steps in turn: wherever it was, nothing may stay open."""

import gc
import warnings
from collections.abc import Awaitable, Callable

import trio

_MOST = 500


class _CancelAt(trio.abc.Instrument):
    def __init__(self, step: int, scope: trio.CancelScope) -> None:
        self._left, self._scope = step, scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self._left -= 1
        if self._left == 0:
            self._scope.cancel()


async def left_open(work: Callable[[], Awaitable[None]]) -> list[str]:
    """What `work`, which takes some steps and closes what it opens, leaves open where it is cancelled. Fails if it is
    never done."""
    found: list[str] = []
    for step in range(1, _MOST):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ResourceWarning)
            with trio.CancelScope() as scope:
                instrument = _CancelAt(step, scope)
                trio.lowlevel.add_instrument(instrument)
                try:
                    await work()
                finally:
                    trio.lowlevel.remove_instrument(instrument)
            gc.collect()
        found += [f"at step {step}: {each.message}" for each in caught]
        if not scope.cancelled_caught:
            assert step > 2, "it takes no steps"
            return found
    raise AssertionError("it never ends")
