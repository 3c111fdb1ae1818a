"""Tells an outside monitor that this server lives, as long as it does what it is for.

Owns      nothing.
Receives  nothing; it looks: does the store commit, do the rules tick, is nothing overdue?
Sends     one request a minute to `RM_WATCHDOG_URL`, and none while something is wrong: the monitor then raises
          the alarm that this server cannot.
Restart   goes on.
"""

import logging
from collections.abc import Awaitable, Callable

import trio

from rmactors.common import clock
from rmactors.common.vocabulary import DELIVERY_OVERDUE_SECONDS
from rmactors.server.messages.notifications import Attempt
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.queries.figures import oldest_unsent
from rmactors.server.store.reader import Reader

_log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
LOOK_AGAIN_SECONDS = 1.0


async def run(
    fetch: Callable[[], Awaitable[Attempt]], healthy: Callable[[], bool], reader: Reader, every: float = EVERY_SECONDS
) -> None:
    """Fetch the URL every `every` seconds while all is well; after trouble, as soon as it is over."""
    while True:
        if not healthy() or await _overdue(reader):
            await trio.sleep(min(every, LOOK_AGAIN_SECONDS))
            continue
        result = await fetch()
        if result.verdict != "delivered":
            _log.warning("the watchdog URL could not be fetched: %s", result.error)
        await trio.sleep(every)


async def _overdue(reader: Reader) -> bool:
    """Whether a notification has been waiting for too long, or that cannot be read."""
    now = clock.now()
    try:
        oldest = await reader.run(oldest_unsent, now)
    except DatabaseError as error:
        _log.warning("the watchdog is not told that all is well: %s", error)
        return True
    return oldest is not None and oldest < now - clock.seconds(DELIVERY_OVERDUE_SECONDS)
