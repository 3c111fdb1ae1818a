"""Which connections of one credential may stay. Pure: the time is handed in, and so is how to close one.

A connection is silent until it says hello. So many silent ones of a credential may be there; who comes then waits a
moment, for each needs only as long as its hello travels, and after that the oldest silent one goes. Those that said
hello are an agent's or a reporter's; the one that was not heard for longest goes.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

SILENT: Final = 8
"""Connections of a credential that have not said hello."""
PATIENCE: Final = 1.0
"""Seconds that each of them has before it makes room for another: fifty runs of `exec` may end together."""
WAITING: Final = 100
"""Connections of a credential that wait for a place among the silent ones; one more is refused."""
GREETED: Final[dict["Purpose", int]] = {"agent": 8, "report": 64}
"""Of agents the newest replaces the others; a reporter that still has something to report was heard just now."""

Close = Callable[[], None]
Purpose = Literal["agent", "report"]


@dataclass(slots=True)
class _Credential:
    silent: OrderedDict[int, tuple[float, Close]] = field(default_factory=OrderedDict)
    waiting: int = 0
    greeted: dict[Purpose, OrderedDict[int, Close]] = field(
        default_factory=lambda: {"agent": OrderedDict(), "report": OrderedDict()}
    )

    def is_empty(self) -> bool:
        return not (self.silent or self.waiting or any(self.greeted.values()))


class Places:
    """Of all credentials. Connections are known by number, times are seconds of any clock that never goes back."""

    def __init__(self) -> None:
        self._credentials: dict[str, _Credential] = {}

    # ---- before the hello

    def must_wait(self, credential: str, now: float) -> float:
        """Seconds until one more may be silent here, if none leaves before. 0.0: at once."""
        found = self._credentials.get(credential)
        if found is None or len(found.silent) < SILENT:
            return 0.0
        since, _ = next(iter(found.silent.values()))
        return max(0.0, since + PATIENCE - now)

    def queue(self, credential: str) -> bool:
        """One more waits for a place; `unqueue` when it has it or gives up. False: too many do."""
        found = self._of(credential)
        if found.waiting >= WAITING:
            return False
        found.waiting += 1
        return True

    def unqueue(self, credential: str) -> None:
        self._of(credential).waiting -= 1
        self._tidy(credential)

    def enter(self, credential: str, number: int, close: Close, now: float) -> None:
        """One more is silent; if there are too many, the oldest is closed."""
        silent = self._of(credential).silent
        silent[number] = (now, close)
        if len(silent) > SILENT:
            _, (_, close_oldest) = silent.popitem(last=False)
            close_oldest()

    def silent_of(self, credential: str) -> list[int]:
        found = self._credentials.get(credential)
        return list(found.silent) if found is not None else []

    # ---- from the hello on

    def greet(self, credential: str, number: int, purpose: Purpose, close: Close) -> None:
        """It said hello. Where too many have, the one that was not heard for longest is closed."""
        found = self._of(credential)
        found.silent.pop(number, None)
        for links in found.greeted.values():
            links.pop(number, None)
        links = found.greeted[purpose]
        links[number] = close
        if len(links) > GREETED[purpose]:
            _, close_quietest = links.popitem(last=False)
            close_quietest()

    def heard(self, credential: str, number: int) -> None:
        """Something came from it."""
        found = self._credentials.get(credential)
        for links in found.greeted.values() if found is not None else ():
            if number in links:
                links.move_to_end(number)

    def leave(self, credential: str, number: int) -> None:
        """It has ended."""
        found = self._of(credential)
        found.silent.pop(number, None)
        for links in found.greeted.values():
            links.pop(number, None)
        self._tidy(credential)

    def __len__(self) -> int:
        """Credentials of which anything is known."""
        return len(self._credentials)

    def _of(self, credential: str) -> _Credential:
        return self._credentials.setdefault(credential, _Credential())

    def _tidy(self, credential: str) -> None:
        if self._of(credential).is_empty():
            del self._credentials[credential]
