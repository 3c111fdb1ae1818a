"""Restarting an actor that crashed, within a budget; and supervising actors of one kind, one for each id.

Expected trouble never gets here: it is a value inside the actor. What arrives is a bug, and a bug that keeps
coming back is better met by a new process than by a loop.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import trio

from rmactors.common.logs import fields

H = TypeVar("H")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """At most `restarts` within any `seconds`."""

    restarts: int
    seconds: float


class OverBudgetError(Exception):
    """An actor crashed more often than its budget allows. You get it once, as the end of the process."""


@dataclass(slots=True)
class ActorStatus:
    """Which actors are up, for `/healthz`. An actor is down from its crash until its next start."""

    down: dict[str, str] = field(default_factory=dict)
    restarts: int = 0


async def supervise(name: str, run: Callable[[], Awaitable[None]], budget: Budget, status: ActorStatus) -> None:
    """Run an actor until it returns, starting it again after each crash. Raises OverBudgetError."""
    crashes: deque[float] = deque()
    while True:
        status.down.pop(name, None)
        try:
            await run()
            return
        except Exception as error:
            _log.exception("actor %s crashed", name, extra=fields("actor.crashed", actor=name))
            status.down[name] = f"{name} crashed: {type(error).__name__}"
            status.restarts += 1
            now = trio.current_time()
            crashes.append(now)
            while crashes[0] < now - budget.seconds:
                crashes.popleft()
            if len(crashes) > budget.restarts:
                raise OverBudgetError(f"{name} crashed {len(crashes)} times within {budget.seconds:g} s") from error
        # Let the others take their turn: a crash must not become a busy loop.
        await trio.sleep(0.05 * len(crashes))


class Children(Generic[H]):
    """Actors of one kind, one for each id, each with the same budget. Their supervisor knows each by a handle."""

    def __init__(self, kind: str, budget: Budget, status: ActorStatus, nursery: trio.Nursery) -> None:
        self._kind, self._budget, self._status, self._nursery = kind, budget, status, nursery
        self.running: dict[str, H] = {}
        """By id. Of several with one id, the newest."""

    def start(self, child_id: str, handle: H, run: Callable[[], Awaitable[None]], ended: Callable[[], None]) -> None:
        """Supervise `run` until it returns; `ended` is called then. An older child with this id goes on until it
        returns by itself."""
        self.running[child_id] = handle
        self._nursery.start_soon(self._supervise, child_id, handle, run, ended)

    async def _supervise(
        self, child_id: str, handle: H, run: Callable[[], Awaitable[None]], ended: Callable[[], None]
    ) -> None:
        await supervise(f"{self._kind}:{child_id}", run, self._budget, self._status)
        if self.running.get(child_id) is handle:
            del self.running[child_id]
        ended()
