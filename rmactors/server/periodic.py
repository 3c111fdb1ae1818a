"""What happens now and then: time as messages, a small commit, a look at whether this process was stopped."""

import time
from collections.abc import Callable

import trio

from rmactors.common import clock
from rmactors.server.actors.awake import LEAST_GAP, Moment
from rmactors.server.actors.store import actor as store
from rmactors.server.messages.answers import no_reply
from rmactors.server.messages.facts import Pulse
from rmactors.server.messages.requests import Tick
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet

PULSE_SECONDS = 10.0

PULSE_AGAIN_SECONDS = 1.0


async def tick(to_rules: Outlet[Tick], every: float, grace_until: Callable[[], float]) -> None:
    """A tick is dropped if the last one still waits: the next says the same."""
    while True:
        await trio.sleep(every)
        to_rules.put_once(Tick(clock.now(), judges=trio.current_time() >= grace_until()))


def moment() -> Moment:
    return Moment(trio.current_time(), time.time(), time.process_time())


async def stay_awake(grace_until: Callable[[], float]) -> None:
    """Notices that this process was stopped, or its machine suspended."""
    while True:
        await trio.sleep(LEAST_GAP / 2)
        grace_until()


async def pulse(to_store: Outlet[Commit], state: store.StoreState) -> None:
    while True:
        await to_store.send(Commit((Pulse(clock.now()),), no_reply))
        await trio.sleep(PULSE_AGAIN_SECONDS if state.failing else PULSE_SECONDS)
