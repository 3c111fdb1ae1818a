"""In which order the addresses of a server are tried. Pure; the time is handed in.

The system's order, as long as nothing speaks against it. An address that took a connection and was no way to the
server comes last for a while, and the others of its family come late: what is dead behind one is often dead behind all.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

AGAIN_SECONDS: Final = 3600.0
"""After this an address that failed is tried as if it had not."""


@dataclass(frozen=True, slots=True)
class Address:
    """Family and socket address, as the resolver gives them."""

    family: int
    sockaddr: tuple[Any, ...]


@dataclass(slots=True)
class Routes:
    """What is remembered of addresses, for as long as the process lives. Times are seconds of a clock that never goes
    back."""

    _failed: dict[Address, float] = field(default_factory=dict)
    _good: Address | None = None
    _failed_urls: dict[str, float] = field(default_factory=dict)

    def order_urls(self, urls: Sequence[str], now: float) -> list[str]:
        """Of the nodes of a server: those where nobody answered come last, the one that failed longest ago first."""
        self._failed_urls = {url: at for url, at in self._failed_urls.items() if now < at + AGAIN_SECONDS}
        return sorted(urls, key=lambda url: self._failed_urls.get(url, -math.inf))

    def url_failed(self, url: str, now: float) -> None:
        self._failed_urls[url] = now

    def order(self, found: Sequence[Address], now: float) -> list[Address]:
        """Those that failed come last, the one that failed longest ago first. Of the others the one over which the
        server was reached last is first."""
        self._failed = {address: at for address, at in self._failed.items() if now < at + AGAIN_SECONDS}
        addresses = list(dict.fromkeys(found))
        failed = sorted((each for each in addresses if each in self._failed), key=self._failed.__getitem__)
        if not failed:
            return addresses
        families = {address.family for address in failed}
        rest = [address for address in addresses if address not in self._failed]
        rest.sort(key=lambda address: (address != self._good, address.family in families))
        return rest + failed

    def failed(self, address: Address, now: float) -> None:
        """It took a connection, and the server did not answer there."""
        self._failed.pop(address, None)
        self._failed[address] = now

    def led_to_server(self, address: Address) -> None:
        self._failed.pop(address, None)
        self._good = address
