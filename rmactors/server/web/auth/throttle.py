"""How often something may be tried: a burst, then one at a time. Pure: the time is handed in.

No account is locked for good: after a wait there is another try. Memory is bounded: the keys used longest ago are
forgotten first.
"""

from collections import OrderedDict

from rmactors.common import clock


class Throttle:
    """`burst` tries at once for each key, then one every `seconds`."""

    def __init__(self, burst: int, seconds: float, most_keys: int = 10_000) -> None:
        self._period = clock.seconds(seconds)
        self._slack = (burst - 1) * self._period
        self._most_keys = most_keys
        self._paid_until: OrderedDict[str, int] = OrderedDict()

    def wait(self, key: str, now: int) -> int:
        """Take one try. 0 where it is allowed, else how many microseconds to wait; a refused try costs nothing."""
        paid_until = max(self._paid_until.get(key, 0), now)
        too_early = paid_until - now - self._slack
        if too_early > 0:
            return too_early
        self._paid_until[key] = paid_until + self._period
        self._paid_until.move_to_end(key)
        while len(self._paid_until) > self._most_keys:
            self._paid_until.popitem(last=False)
        return 0
