"""Which of a channel's queued deliveries are in memory, and which wait in the store until there is room. Pure.

Were memory filled in the order of the queue, one host with ten thousand alerts would fill it, and what another host
queued behind them would not even be known. So each host has its share of the memory, and of the rest only the places
are remembered: a number each.
"""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice

from rmactors.server.state.delivery import Delivery


@dataclass(slots=True)
class Backlog:
    """`window`: how many one host may have in memory while it is alone; each of several has an equal part of it, but
    never less than `least`. So a few more than `window` may be in memory: of n hosts at most `window` times
    1 + 1/2 + … + 1/n, or `least` each. `seen`: the store was read up to this place (`seq`). `apart`: what goes out in
    quiet hours, too, has a share of its own, so that what waits for their end does not keep it in the store.
    """

    window: int
    least: int
    apart: bool = False
    seen: int = 0
    _in_memory: dict[str, int] = field(default_factory=dict)  # host → how many; every host with something queued
    _waiting: dict[str, deque[int]] = field(default_factory=dict)  # host → places in the store, oldest first
    _with_room: set[str] = field(default_factory=set)  # hosts of which more may be read
    _last_share: int = field(init=False)

    def __post_init__(self) -> None:
        self._last_share = self._share()

    def found(self, deliveries: Iterable[Delivery]) -> list[Delivery]:
        """These are next in the store. Gives those that are in memory from now on; the others are noted."""
        taken = []
        for delivery in deliveries:
            self.seen = delivery.seq
            key = self._key(delivery.host_id, delivery.loud)
            number = self._in_memory.setdefault(key, 0)
            waiting = self._waiting.get(key)
            if waiting is not None:
                waiting.append(delivery.seq)
            elif number >= self._share():
                self._waiting[key] = deque([delivery.seq])
            else:
                self._in_memory[key] = number + 1
                taken.append(delivery)
        return taken

    def ended(self, host_id: str, loud: bool = False) -> None:
        """One of this host's is in memory no more."""
        key = self._key(host_id, loud)
        self._in_memory[key] -= 1
        self._look_at(key)

    def wanted(self) -> dict[str, list[int]]:
        """Share → places to read now, oldest first. `read` is given what came of it."""
        share = self._share()
        if share >= 2 * self._last_share:  # others are done
            self._with_room.update(self._waiting)
            self._last_share = share
        self._last_share = min(self._last_share, share)
        found = {}
        for host_id in self._with_room:
            room = share - self._in_memory[host_id]
            if room > 0:
                found[host_id] = list(islice(self._waiting[host_id], room))
        return found

    def read(self, wanted: Mapping[str, list[int]], deliveries: Iterable[Delivery]) -> None:
        """The store was asked for `wanted`, and `deliveries` are those of them that are queued still."""
        for delivery in deliveries:
            self._in_memory[self._key(delivery.host_id, delivery.loud)] += 1
        for host_id, places in wanted.items():
            waiting = self._waiting[host_id]
            for _ in places:
                waiting.popleft()
            if not waiting:
                del self._waiting[host_id]
            self._with_room.discard(host_id)
            self._look_at(host_id)

    def _look_at(self, host_id: str) -> None:
        """A host is done, or has so few in memory that more of it may be read."""
        number = self._in_memory[host_id]
        if host_id not in self._waiting:
            if not number:
                del self._in_memory[host_id]
        elif number <= self._share() // 2:
            self._with_room.add(host_id)

    def _key(self, host_id: str, loud: bool) -> str:
        return f"{host_id} loud" if loud and self.apart else host_id

    def _share(self) -> int:
        return max(self.least, self.window // max(1, len(self._in_memory)))
