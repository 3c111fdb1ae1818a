"""How long to wait before the next try to reach the server. Pure; chance is handed in."""

from collections.abc import Callable

from rmactors.agent.connection import Timings


class Pauses:
    """Full jitter: anything between nothing and a limit that doubles, so that a fleet comes back spread out.

    Only a connection that lived for `stable` seconds makes the limit small again: a server that accepts and
    dies at once is not to be hammered.
    """

    def __init__(self, timings: Timings, chance: Callable[[float, float], float]) -> None:
        self._timings = timings
        self._chance = chance
        self._limit = timings.first_pause

    def after(self, lived: float) -> float:
        """Seconds to wait after a connection that lived `lived` seconds (0: it never came to be)."""
        if lived >= self._timings.stable:
            self._limit = self._timings.first_pause
        limit = self._limit
        self._limit = min(self._timings.longest_pause, limit * 2)
        return self._chance(0.0, limit)

    def after_refusal(self) -> float:
        """Seconds to wait after an answer that will be the same in a minute."""
        return self._chance(self._timings.refused_pause / 2, self._timings.refused_pause)
