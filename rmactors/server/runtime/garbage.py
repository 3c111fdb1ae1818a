"""When Python looks for garbage that reference counts do not find.

A look at every object of a server with ten thousand agents takes seconds, and nobody is answered meanwhile. So objects
that have outlived a few looks are set aside (`gc.freeze`), and are not looked at again but for a rare look at all, when
their number says that there may be much garbage among them. Objects that are set aside are freed as ever when nobody
refers to them; what waits for the rare look are those that refer to each other.
"""

import gc
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import trio

from rmactors.common.logs import fields

_log = logging.getLogger(__name__)

YOUNG: Final = 2_000
"""Objects more than before, after which the youngest are looked at: some milliseconds."""
LOOKS: Final = 10
"""Looks that an object outlives before it is set aside."""
AGENT_SECONDS: Final = 600.0
"""Looks come this often, divided by how many agents are connected. What an agent's next heartbeat makes takes the place
of what the one before made: the number does not grow, and Python would look when the young are a hundred thousand."""
SHORTEST, LONGEST = 0.05, 10.0
"""Seconds between two looks."""
LOOKS_BY_TIME: Final = 3
"""Of these, an object outlives so many before it is set aside: at ten, the last of them would take 40 ms."""
_NEVER: Final = 1 << 30
CHECK_SECONDS: Final = 600.0
GROWTH: Final = 1.5
"""So many times the objects of the last look at all, and there is another one."""
OF_AN_AGENT: Final = 250
"""Objects that a connected agent is made of, at most: where ten thousand come, that is no garbage, and to look at all
of it takes seconds."""


def start() -> None:
    """From now on, what there is already, modules and their code, is not looked at again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG, LOOKS, _NEVER)
    if _set_survivors_aside not in gc.callbacks:
        gc.callbacks.append(_set_survivors_aside)


def _set_survivors_aside(phase: str, info: dict[str, Any]) -> None:
    if phase == "stop" and info["generation"] == 1:
        gc.freeze()


async def keep(agents: Callable[[], int]) -> None:
    """Look at the young before they are many; and at everything where so much was set aside since the last time that
    some of it may be garbage. `agents`: how many are connected."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_keep_few_young, agents)
        nursery.start_soon(_find_what_was_set_aside, agents)


async def _keep_few_young(agents: Callable[[], int]) -> None:
    while True:
        for look in range(LOOKS_BY_TIME):
            await trio.sleep(min(LONGEST, max(SHORTEST, AGENT_SECONDS / max(1, agents()))))
            gc.collect(1 if look == LOOKS_BY_TIME - 1 else 0)


async def _find_what_was_set_aside(agents: Callable[[], int]) -> None:
    known, there = gc.get_freeze_count(), agents()
    while True:
        await trio.sleep(CHECK_SECONDS)
        came = max(0, agents() - there)
        if gc.get_freeze_count() > GROWTH * (known + OF_AN_AGENT * came):
            known, there = look_at_all(), agents()


def look_at_all() -> int:
    """How many objects are left, all of them set aside."""
    before = time.perf_counter()
    gc.unfreeze()
    found = gc.collect()
    gc.freeze()
    took = time.perf_counter() - before
    _log.debug("looked for garbage", extra=fields("garbage.collected", objects=found, seconds=round(took, 3)))
    return gc.get_freeze_count()
