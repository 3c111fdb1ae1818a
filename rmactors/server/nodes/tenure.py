"""For how long this server may act as the one that leads."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import trio

RENEWALS: Final = 4
"""In the time of a lease."""


@dataclass(slots=True)
class Tenure:
    """From taking the lease to losing it. `turn` is None on SQLite, where nobody else can come.

    `lost` is set when the lease is another's, or cannot be known to be ours any more.
    """

    turn: int | None = None
    lease_seconds: float = 0.0
    renewed_at: float = 0.0
    """On the clock of `now`: when the last renewal that succeeded was sent."""
    lost: trio.Event = field(default_factory=trio.Event)
    why: str = ""
    """Why it was lost."""
    now: Callable[[], float] = time.monotonic
    alive_at: float = 0.0
    """When the event loop was last seen to turn."""

    @property
    def pause(self) -> float:
        """Seconds between two renewals."""
        return self.lease_seconds / RENEWALS

    @property
    def gives_up_at(self) -> float:
        """Without a renewal until then, this node stops: well before another may begin."""
        return self.renewed_at + self.lease_seconds * (RENEWALS - 1) / RENEWALS

    def outlasts(self, seconds: float) -> bool:
        """Whether what takes so long may begin: nobody else leads before it ends. At most half of a lease is asked for,
        or a short lease would let nothing begin."""
        if self.turn is None:
            return True
        left = self.renewed_at + self.lease_seconds - self.now()
        return not self.lost.is_set() and left > min(seconds, self.lease_seconds / 2)
