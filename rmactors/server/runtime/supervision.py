"""Restarting an actor that crashed, within a budget.

Expected trouble never gets here: it is a value inside the actor. What arrives is a bug, and a bug that keeps
coming back is better met by a new process than by a loop.
"""

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from rmactors.common.logs import fields

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
    """Run an actor until it returns, starting it anew after each crash. Raises OverBudgetError."""
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
