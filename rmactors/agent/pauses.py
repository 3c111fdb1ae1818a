"""How long to wait before the next try to reach the server. Pure; chance is handed in."""

from collections.abc import Callable

from rmactors.agent.connection import Timings


class Pauses:
    """Full jitter: anything between nothing and a limit that doubles, so that a fleet comes back spread out.

    Only a connection that lived for `stable` seconds makes the limit small again: a server that accepts and dies at
    once is not to be hammered. A shorter one that was welcomed makes it moderate: at once where reports got to disk
    over it, else by and by. So the limit grows beyond that only if nobody welcomes.
    """

    def __init__(self, timings: Timings, chance: Callable[[float, float], float]) -> None:
        self._timings = timings
        self._chance = chance
        self._limit = timings.first_pause
        self._moderate = min(timings.moderate_pause, timings.longest_pause)

    def after(self, lived: float, *, acked: bool = False) -> float:
        """Seconds to wait after a connection that lived `lived` seconds from its welcome on (0: there was none), and
        over which the server acked something or not."""
        most = self._timings.longest_pause
        if lived >= self._timings.stable:
            self._limit = self._timings.first_pause
        elif lived > 0:
            most = self._moderate if acked else max(self._moderate, self._limit / 2)
            self._limit = min(self._limit, most)
        limit = self._limit
        self._limit = min(most, limit * 2)
        return self._chance(0.0, limit)

    def after_leaving(self) -> float:
        """Seconds to wait after a connection that this side ended, to say hello again: nothing is wrong with it."""
        return self._chance(0.0, self._timings.first_pause)

    def after_refusal(self) -> float:
        """Seconds to wait after an answer that will be the same in a minute."""
        return self._chance(self._timings.refused_pause / 2, self._timings.refused_pause)
