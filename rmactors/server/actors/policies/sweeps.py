"""What is to be swept: hosts by name first; then all hosts, page by page, for policies that changed. Pure.

Two lanes, so that a host whose tags change does not wait for a policy of ten thousand hosts. Who waits for a lane asks
how far it is `asked`, and waits until so much of it is `done`.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Lane:
    """Ids that were left. `asked` counts how many times some were; `done`, of which of those all is swept."""

    ids: set[str] = field(default_factory=set)
    in_hand: set[str] = field(default_factory=set)
    asked: int = 0
    done: int = 0

    def add(self, ids: set[str]) -> None:
        self.ids |= ids
        self.asked += 1

    def take(self) -> tuple[frozenset[str], int]:
        """The ids left so far, those that were taken and never swept among them, and what is done once they are."""
        self.in_hand |= self.ids
        self.ids = set()
        return frozenset(self.in_hand), self.asked

    def swept(self, until: int) -> None:
        """What was taken last is done."""
        self.in_hand.clear()
        self.done = until


@dataclass(slots=True)
class Walk:
    """A way over all hosts, in the order of their ids: those up to `after` are done. `policies` None: all of them, and
    pauses. At its end, the lane of policies is done `until` there."""

    policies: frozenset[str] | None
    until: int
    after: str = ""


@dataclass(slots=True)
class Sweeps:
    """Left by who commits, taken by the actor. Outlives a restart of that."""

    hosts: Lane = field(default_factory=Lane)
    policies: Lane = field(default_factory=Lane)
    walk: Walk | None = None

    def begin_again(self) -> None:
        """The actor starts: all is looked at, whatever an earlier run of it had begun."""
        _, until = self.policies.take()
        self.walk = Walk(None, until)
        self.hosts.ids |= self.hosts.in_hand

    def next_walk(self) -> Walk | None:
        """The walk that goes on, or a new one; None: nothing to walk for."""
        if self.walk is None and self.policies.ids:
            self.walk = Walk(*self.policies.take())
        return self.walk

    def went_on(self, walk: Walk, after: str | None) -> None:
        """A page of it is done, up to the host `after`; None: there are no more."""
        if after is not None:
            walk.after = after
        else:
            self.walk = None
            self.policies.swept(walk.until)

    def is_idle(self) -> bool:
        return not self.hosts.ids and not self.policies.ids and self.walk is None
