"""Sees that the machine's time zone data was updated, beside the running server.

Owns      nothing: the zones are the process's own (`rmactors.common.zones`).
Receives  nothing: it looks once an hour.
Sends     `ZonesChanged` to the rules, whose next looks at schedules were computed with the older data.
Restart   goes on.
"""

import logging
from collections.abc import Callable

import trio

from rmactors.common import zones
from rmactors.server.messages.requests import ZonesChanged
from rmactors.server.runtime.mailbox import Outlet

_log = logging.getLogger(__name__)

EVERY_SECONDS = 3600.0


async def run(
    to_rules: Outlet[ZonesChanged], every: float = EVERY_SECONDS, refresh: Callable[[], bool] = zones.refresh
) -> None:
    """Look at the files every `every` seconds."""
    while True:
        await trio.sleep(every)
        if await trio.to_thread.run_sync(refresh):
            _log.info("new time zone data: version %s", zones.version() or "unknown")
            await to_rules.send(ZonesChanged())
