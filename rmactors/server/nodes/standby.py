"""A node's turns: it waits for the lease behind a porch, and holds it while it leads.

Owns      the lease's row, as long as it is this node's.
Sends     nothing: what is committed in a turn is checked in the transaction itself.
Restart   none: who lost the lease ends its process, and the service manager starts it again, as one that waits.
"""

import logging
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Final

import trio

from rmactors.common.logs import fields
from rmactors.server.config.settings import Settings
from rmactors.server.nodes.membership import Membership
from rmactors.server.nodes.tenure import RENEWALS, Tenure
from rmactors.server.store.database import DatabaseError
from rmactors.server.store.leadership import Lease

_log = logging.getLogger(__name__)

POLL_SECONDS: Final = 1.0
END_SECONDS: Final = 3.0
"""Who lost the lease has so long to end by itself. A thread that waits for the database cannot be called off."""


STUCK_SECONDS: Final = 60.0
"""An event loop that does not turn for so long leads nobody."""


class LeaseLostError(Exception):
    """This node does not lead any more, or cannot know it. The message says which."""


class Waiting:
    """Waits for the lease. `lease` is what it saw last; None while the database cannot be asked."""

    def __init__(self, settings: Settings, membership: Membership) -> None:
        self._settings, self._membership = settings, membership
        self.lease: Lease | None = None
        self._said = ""

    @property
    def leader(self) -> str | None:
        """Where the leader is, if there is one."""
        return self.lease.url if self.lease is not None and self.lease.left > 0 else None

    @property
    def trouble(self) -> str:
        """Why this node would not lead; empty if it would."""
        return self._said

    async def until_taken(self, tenure: Tenure) -> None:
        """Returns with the lease in `tenure`. Cancel it to give up."""
        pause = min(POLL_SECONDS, tenure.pause)
        while True:
            try:
                self.lease = await trio.to_thread.run_sync(self._membership.look)
                self._say(self._membership.unable)
                if self.lease.left <= 0 and not self._membership.unable:
                    sent = tenure.now()
                    # Not to be called off in between: a lease that nobody knows of would have to run out.
                    with trio.CancelScope(shield=True):
                        turn = await trio.to_thread.run_sync(self._membership.take)
                    if turn is not None:
                        tenure.turn, tenure.renewed_at = turn, sent
                        return
            except DatabaseError as error:
                self.lease = None
                self._say(f"the database cannot be asked: {error}")
            await trio.sleep(pause)

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self._said:
            _log.warning("this node cannot lead: %s", trouble, extra=fields("node.unable", detail=trouble))
        self._said = trouble


async def hold(membership: Membership, tenure: Tenure) -> None:
    """Renew the lease until it is lost. Raises LeaseLostError; the process has to end then.

    A thread renews it: what keeps the event loop busy for some seconds, a start say, must not cost the lease. An event
    loop that is stuck for longer does.
    """
    token = trio.lowlevel.current_trio_token()
    stop = threading.Event()
    tenure.alive_at = tenure.now()

    def lost(why: str) -> None:
        tenure.why = why
        end = threading.Timer(END_SECONDS, os._exit, (1,))
        end.daemon = True
        end.start()
        token.run_sync_soon(tenure.lost.set)

    threading.Thread(target=_renew, args=(membership, tenure, stop, lost), name="lease", daemon=True).start()
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_be_alive, tenure)
            await tenure.lost.wait()
            raise LeaseLostError(tenure.why)
    finally:
        stop.set()


async def _be_alive(tenure: Tenure) -> None:
    while True:
        tenure.alive_at = tenure.now()
        await trio.sleep(tenure.pause)


def _renew(membership: Membership, tenure: Tenure, stop: threading.Event, lost: Callable[[str], None]) -> None:
    assert tenure.turn is not None
    pause = tenure.pause
    while not stop.wait(pause):
        sent = tenure.now()
        if sent - tenure.alive_at > STUCK_SECONDS + tenure.lease_seconds:
            return lost("the event loop is stuck")
        try:
            if not membership.renew(tenure.turn):
                return lost("another node leads by now")
            tenure.renewed_at, pause = sent, tenure.pause
        except DatabaseError as error:
            if tenure.now() > tenure.gives_up_at:
                return lost(f"the lease could not be renewed in time: {error}")
            pause = tenure.pause / RENEWALS
            _log.warning("the lease cannot be renewed: %s", error, extra=fields("lease.unsure", error=str(error)))
    return None


async def lead(membership: Membership, tenure: Tenure, tree: Callable[[], Awaitable[None]]) -> None:
    """Run the tree while the lease is held, and give it back after it. Raises LeaseLostError in a group."""
    assert tenure.turn is not None
    _log.info("this node leads", extra=fields("lease.taken", turn=tenure.turn))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(hold, membership, tenure)
        await tree()
        nursery.cancel_scope.cancel()
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(membership.give_back, tenure.turn)
