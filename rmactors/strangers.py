"""How many connections of one address have not signed in yet: one book for each port. Pure: the time is handed in.

Whoever has signed in is not counted, however many share an address behind a proxy. A trusted proxy's own address
stands for all who are behind it, so it gets more; it is the proxy that can tell them apart. Who showed a wrong
credential is counted for a while longer, so that an address can try only so many in a second; nobody else notices, and
nobody is locked out for good.
"""

from collections import Counter, deque
from dataclasses import dataclass, field

from rmactors.addresses import Network, is_within, throttle_key

PER_ADDRESS = 200
PER_PROXY = 2_000
PENALTY_SECONDS = 5.0
"""As long as a wrong credential counts after its connection has ended: 40 tries a second for an address."""


@dataclass(slots=True)
class Strangers:
    """`proxies` are the networks of `RM_TRUSTED_PROXIES`. Times are seconds of any clock that never goes back."""

    proxies: tuple[Network, ...] = ()
    _counts: Counter[str] = field(default_factory=Counter)
    _penalties: deque[tuple[float, str]] = field(default_factory=deque)

    def admit(self, address: str, now: float) -> "Stranger | None":
        """Count a new connection from `address`; None where it has too many already."""
        while self._penalties and self._penalties[0][0] <= now:
            self._forget(self._penalties.popleft()[1])
        key = throttle_key(address)
        if self._counts[key] >= (PER_PROXY if is_within(address, self.proxies) else PER_ADDRESS):
            return None
        self._counts[key] += 1
        return Stranger(self, key)

    def __len__(self) -> int:
        return self._counts.total()

    def _forget(self, key: str) -> None:
        self._counts[key] -= 1
        if not self._counts[key]:
            del self._counts[key]


@dataclass(slots=True)
class Stranger:
    """One counted connection. Call `leave` when it has signed in or ended, or both."""

    _all: Strangers
    _key: str
    _counted: bool = True

    def leave(self) -> None:
        if self._counted:
            self._counted = False
            self._all._forget(self._key)

    def leave_late(self, now: float) -> None:
        """It showed a wrong credential: its place stays taken for a while."""
        if self._counted:
            self._counted = False
            self._all._penalties.append((now + PENALTY_SECONDS, self._key))
