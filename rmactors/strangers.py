"""How many connections of one address have not signed in yet: one book for each port. Pure.

Whoever has signed in is not counted, however many share an address behind a proxy. A trusted proxy's own address
stands for all who are behind it, so it gets more; it is the proxy that can tell them apart.
"""

from collections import Counter
from dataclasses import dataclass, field

from rmactors.addresses import Network, is_within, throttle_key

PER_ADDRESS = 200
PER_PROXY = 2_000


@dataclass(slots=True)
class Stranger:
    """One counted connection. Call `leave` when it has signed in or ended, or both."""

    _counts: Counter[str]
    _key: str
    _counted: bool = True

    def leave(self) -> None:
        if self._counted:
            self._counted = False
            self._counts[self._key] -= 1
            if not self._counts[self._key]:
                del self._counts[self._key]


@dataclass(slots=True)
class Strangers:
    """`proxies` are the networks of `RM_TRUSTED_PROXIES`."""

    proxies: tuple[Network, ...] = ()
    _counts: Counter[str] = field(default_factory=Counter)

    def admit(self, address: str) -> Stranger | None:
        """Count a new connection from `address`; None where it has too many already."""
        key = throttle_key(address)
        if self._counts[key] >= (PER_PROXY if is_within(address, self.proxies) else PER_ADDRESS):
            return None
        self._counts[key] += 1
        return Stranger(self._counts, key)

    def __len__(self) -> int:
        return self._counts.total()
