"""How much one host may send: what is dropped beyond it, and what has to wait. Pure: the time is handed in.

Times are seconds of any clock that never goes back. Reports are never dropped: if they come too fast, their host
waits. Each budget is (so many a second, so many at once).
"""

from dataclasses import dataclass, field
from typing import Final

REPORTS: Final = 64
"""Reports of a host in flight to disk at once. The next frame is looked at when one has arrived, so that those of a
host that has thousands do not stand before everybody else's: an eighth of a batch."""
LINES_A_FRAME: Final = 200
LINE_CHARACTERS: Final = 1_000
"""What an agent of ours puts into one `job_log`; more is cut."""
LINES: Final = (1_000.0, 60_000.0)
"""Log lines a second, and at once. A running job has at most 400 a second; a run of `exec` brings at most 2,000 at its
end, and thirty may end together, or come together after a day without a network."""
LINE_BYTES: Final = (262_144.0, float(8 << 20))
"""The same in characters: those thirty have at most 256 KiB each."""
PROGRESS: Final = (20.0, 100.0)
"""A job tells its progress once a second, and a host hardly runs twenty at once."""
NOTES: Final = (0.1, 30.0)
"""Notes for the host's page, which shows the newest 100."""
FRAMES: Final = (500.0, 4_000.0)
"""Frames of all connections of a host: one that returns after a week has some thousand reports, once. A report costs up
to a millisecond of the one core that everybody shares."""
FRAME_BYTES: Final = (float(1 << 20), float(16 << 20))
"""A mebibyte of JSON takes 10 ms and more of it to read."""
LONGEST_WAIT: Final = 10.0
HELLOS: Final = (10.0, 300.0)
"""Each is a commit. Each run of `exec` says one; some hundred may begin or end together."""


@dataclass(slots=True)
class Bucket:
    """`rate` a second come in, at most `most` are there. It is full at first."""

    rate: float
    most: float
    _level: float = field(init=False)
    _at: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        self._level = self.most

    def take(self, amount: float, now: float) -> bool:
        """Take so much; False, and nothing is taken, if there is not enough."""
        if self._fill(now) < amount:
            return False
        self._level -= amount
        return True

    def owe(self, amount: float, now: float) -> float:
        """Take so much, there or not. Seconds to wait until it has come in; never longer than `LONGEST_WAIT`: what
        many did who have left since is not paid for by who comes next."""
        self._level = max(self._fill(now) - amount, -self.rate * LONGEST_WAIT)
        return max(0.0, -self._level / self.rate)

    def _fill(self, now: float) -> float:
        if now > self._at:
            self._level = min(self.most, self._level + self.rate * (now - self._at))
            self._at = now
        return self._level


class Pace:
    """How long a host's connections have to wait before they are read again; all of them together."""

    def __init__(self) -> None:
        self._frames, self._bytes, self._hellos = Bucket(*FRAMES), Bucket(*FRAME_BYTES), Bucket(*HELLOS)

    def frame(self, size: int, now: float) -> float:
        """A frame of `size` characters has come in. Seconds."""
        return max(self._frames.owe(1, now), self._bytes.owe(size, now))

    def hello(self, now: float) -> float:
        """A hello has come in. Seconds until it may be passed on."""
        return self._hellos.owe(1, now)
