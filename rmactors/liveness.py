"""When a host that says nothing is silent. Pure: times come in, all on one clock that never jumps."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Liveness:
    """Silence is measured from the last sign of life, and judged only after the server's restart grace.

    Seconds on the monotonic clock. `forgiven` is how long a host may be silent.
    """

    last_sign: float
    forgiven: float
    not_before: float

    def deadline(self) -> float:
        """When the host is silent, if nothing is heard until then."""
        return max(self.last_sign + self.forgiven, self.not_before)

    def is_silent(self, now: float) -> bool:
        return now >= self.deadline()
