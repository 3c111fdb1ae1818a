"""Limits on unauthenticated connections, per client address and port. Pure: the time is handed in.

A connection waits until its request has been read; then it has a place among those of the address that the request
comes from. That is the address before a trusted proxy, so that who is behind one is counted as if it were not there.

waiting     for the request. One address may have 200 such connections, a trusted proxy as many as there are places
            at all. There is always room for one more, and the one that waits longest goes: a proxy, and any client that
            means well, has sent the request before it is their turn.
counted     one address may have 200. Where it has, only who shows a credential that is good is let in: some places are
            kept back, in which that is looked up.
signed in   not counted, however many share an address.

Who showed a wrong credential is counted for a while longer: an address can try only so many in a second. Others do
not notice, and no client is locked out for good. Over all addresses together there is a limit too, of places and of
bytes in bodies that are not complete: there, as well, it is the oldest that goes.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from rmactors.server.edges.addresses import Network, is_within, throttle_key

PER_ADDRESS = 200
KEPT_BACK = 50
"""For each address: connections in excess whose credential is being looked up, or that have a good one."""
IN_ALL = 2_000
"""Of those that wait, and as many of those that are counted."""
BODIES_IN_ALL = 16 << 20
"""Bytes."""
BODY_AT_MOST = 1 << 17
"""Bytes that one body counts as, however much of it comes: the rest is not kept."""
PENALTY_SECONDS = 5.0
"""As long as a wrong credential counts after its connection has ended: 40 tries a second for an address."""


def places(most: int) -> int:
    """How many may wait, and as many be counted, if that many files may be open for the connections of two ports."""
    return min(IN_ALL, max(most // 4, 100))


def in_line(most: int) -> int:
    """The same of those that are taken in and not looked at yet."""
    return min(IN_ALL // 2, max(most // 16, 50))


_Stage = Literal["waiting", "counted", "refused", "kept back", "signed in", "gone"]


@dataclass(slots=True)
class PreauthLimits:
    """`proxies` are the networks of `RM_TRUSTED_PROXIES`, `in_all` is for a port that may have fewer files open. Times
    are seconds of any clock that never goes back."""

    proxies: tuple[Network, ...] = ()
    in_all: int = IN_ALL
    _waiting: "_Line" = field(default_factory=lambda: _Line())
    _counted: "_Line" = field(default_factory=lambda: _Line())
    _kept_back: "Counter[str]" = field(default_factory=Counter)
    _penalties: deque[tuple[float, str]] = field(default_factory=deque)
    _penalised: "Counter[str]" = field(default_factory=Counter)
    _bodies: "dict[Slot, int]" = field(default_factory=dict)
    _body_bytes: int = 0

    def admit(self, peer: str, give_up: Callable[[], None]) -> "Slot":
        """A slot for a new connection from `peer`. `give_up` ends that connection at once: another needs the slot. It
        may be called from within any method of this class, once."""
        slot = Slot(self, throttle_key(peer), self.is_proxy(peer), give_up)
        self._wait(slot)
        return slot

    def is_proxy(self, address: str) -> bool:
        return is_within(address, self.proxies)

    def are_many(self) -> bool:
        """Whether an address may have too many of them: so few places are taken else that none has."""
        return len(self._counted) + len(self._penalties) >= PER_ADDRESS

    def __len__(self) -> int:
        """Places taken, penalties included."""
        return len(self._waiting) + len(self._counted) + self._kept_back.total() + len(self._penalties)

    def _wait(self, slot: "Slot") -> None:
        slot._stage, slot._key = "waiting", slot._peer
        self._waiting.join(slot, slot._peer)
        if not slot._by_proxy and self._waiting.of(slot._peer) > PER_ADDRESS:
            self._waiting.oldest(slot._peer).give_up()
        elif len(self._waiting) > self.in_all:
            self._waiting.oldest().give_up()

    def _has_room(self, address: str, now: float) -> bool:
        while self._penalties and self._penalties[0][0] <= now:
            _less(self._penalised, self._penalties.popleft()[1])
        key = throttle_key(address)
        limit = self.in_all if self.is_proxy(address) else PER_ADDRESS
        return self._counted.of(key) + self._penalised[key] < limit

    def _count(self, slot: "Slot") -> None:
        self._counted.join(slot, slot._key)
        if len(self._counted) > self.in_all:
            self._counted.oldest().give_up()

    def _weigh(self, slot: "Slot", size: int) -> None:
        """The body of `slot` has grown."""
        before = self._bodies.get(slot, 0)
        self._bodies[slot] = after = min(before + size, BODY_AT_MOST)
        self._body_bytes += after - before
        if self._body_bytes > BODIES_IN_ALL:
            next(iter(self._bodies)).give_up()

    def _leave(self, slot: "Slot") -> None:
        match slot._stage:
            case "waiting":
                self._waiting.leave(slot, slot._key)
            case "counted":
                self._counted.leave(slot, slot._key)
            case "kept back":
                _less(self._kept_back, slot._key)
        self._body_bytes -= self._bodies.pop(slot, 0)


@dataclass(slots=True, eq=False)
class Slot:
    """One connection. Call `leave` when it has ended."""

    _all: PreauthLimits
    _peer: str
    _by_proxy: bool
    _give_up: Callable[[], None]
    _stage: _Stage = "waiting"
    _key: str = ""

    def is_of(self, address: str) -> None:
        """The proxy that connected has said for whom, before any request: as if they had connected themselves."""
        if self._stage == "waiting":
            self._all._leave(self)
            self._peer, self._by_proxy = throttle_key(address), self._all.is_proxy(address)
            self._all._wait(self)

    def comes_from(self, address: str, now: float) -> bool:
        """Its request has been read. False if its address has too many already."""
        if self._stage == "waiting":
            self._all._leave(self)
            self._key = throttle_key(address)
            if not self._all._has_room(address, now):
                self._stage = "refused"
                return False
            self._stage = "counted"
            self._all._count(self)
        return self._stage in ("counted", "signed in")

    def is_kept_back(self) -> bool:
        """After a no of `comes_from`: whether there is a place in which its credential can be looked up."""
        if self._stage != "refused" or self._all._kept_back[self._key] >= KEPT_BACK:
            return False
        self._stage = "kept back"
        self._all._kept_back[self._key] += 1
        return True

    def takes(self, size: int) -> None:
        """More of its body has come, in bytes. Those of who has signed in are not counted."""
        if self._stage in ("counted", "kept back"):
            self._all._weigh(self, size)

    def has_signed_in(self) -> None:
        if self._stage != "gone":
            self._all._leave(self)
            self._stage = "signed in"

    def waits(self) -> None:
        """Its request has been answered, and another may follow. On a proxy's connection that may be of any client; on
        any other it is of the one that signed in there."""
        if self._stage == "gone" or (self._stage == "signed in" and not self._by_proxy):
            return
        self._all._leave(self)
        self._all._wait(self)

    def leave(self) -> None:
        self._all._leave(self)
        self._stage = "gone"

    def penalise(self, now: float) -> None:
        """It showed a wrong credential: a place of its address stays taken for a while, also after it has left."""
        if self._stage == "counted":
            self._all._penalties.append((now + PENALTY_SECONDS, self._key))
            self._all._penalised[self._key] += 1

    def give_up(self) -> None:
        """Another needs its place."""
        self.leave()
        self._give_up()


class _Line:
    """Connections in the order in which they came, all of them and those of each key."""

    def __init__(self) -> None:
        self._all: dict[Slot, None] = {}
        self._of: dict[str, dict[Slot, None]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def of(self, key: str) -> int:
        return len(self._of.get(key, ()))

    def join(self, slot: Slot, key: str) -> None:
        self._all[slot] = None
        self._of.setdefault(key, {})[slot] = None

    def leave(self, slot: Slot, key: str) -> None:
        del self._all[slot]
        del self._of[key][slot]
        if not self._of[key]:
            del self._of[key]

    def oldest(self, key: str | None = None) -> Slot:
        return next(iter(self._all if key is None else self._of[key]))


def _less(counts: "Counter[str]", key: str) -> None:
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
