"""Who of one host is connected: its agent, and commands that only report. Pure: it says whom to close, and closes none.

Of two agents the newer wins. One that comes back after another had taken its place tells of a clone: an agent by
itself keeps its instance through all its connections, and none takes its place but its own.

A hello may be on its way for longer than its agent waits for the answer. So an agent counts its connections, and a
hello that arrives after that of a younger one of its own is late: its sender has left.
"""

from dataclasses import dataclass, field

from rmactors.common import wire
from rmactors.server.messages.links import Link

REPLACED_KEPT = 8
COUNTED_KEPT = 8
"""Instances whose youngest connection is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class Greeted:
    """A link, and what was said in its hello."""

    link: Link
    hello: wire.Hello

    @property
    def as_agent(self) -> bool:
        return self.hello.purpose == "agent"


@dataclass(frozen=True, slots=True)
class TakeOver:
    """What follows from an agent's hello: the link that it replaces, whether that was another instance's, and whether
    its own instance had been replaced before."""

    replaced: Link | None
    of_another: bool
    cloned: bool


@dataclass(slots=True)
class Links:
    """Of one host. `agent` is the one that wins."""

    agent: Greeted | None = None
    _greeted: dict[int, Greeted] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)
    """Instances of agents that others replaced, the newest last."""
    _youngest: dict[str, int] = field(default_factory=dict)
    """Number of the youngest connection that said hello, by instance; who said hello last is last."""

    def all(self) -> list[Link]:
        return [greeted.link for greeted in self._greeted.values()]

    def find(self, link: Link) -> Greeted | None:
        """None for a link on which no hello was said, or whose agent was replaced."""
        return self._greeted.get(link.number)

    def is_late(self, link: Link, hello: wire.Hello) -> bool:
        """Whether a younger connection of the same instance has said hello before this one did.

        Never for agents that do not count, and not for another hello on a link that said one.
        """
        if hello.connection is None or hello.purpose != "agent" or link.number in self._greeted:
            return False
        return hello.connection < self._youngest.get(hello.instance_id, 0)

    def greet(self, link: Link, hello: wire.Hello) -> Greeted:
        greeted = self._greeted[link.number] = Greeted(link, hello)
        return greeted

    def take_over(self, greeted: Greeted) -> TakeOver:
        """It is the agent from now on."""
        older, self.agent = self.agent, greeted
        instance = greeted.hello.instance_id
        self._count(greeted.hello)
        cloned = instance in self._replaced
        if cloned:
            self._replaced.remove(instance)
        if older is None or older.link.number == greeted.link.number:
            return TakeOver(None, False, cloned)
        of_another = older.hello.instance_id != instance
        if of_another:
            self._replaced = [*self._replaced, older.hello.instance_id][-REPLACED_KEPT:]
        self._greeted.pop(older.link.number, None)
        return TakeOver(older.link, of_another, cloned)

    def remove(self, greeted: Greeted) -> bool:
        """Its link has closed. True where it was the agent's."""
        self._greeted.pop(greeted.link.number, None)
        was_agent = greeted is self.agent
        if was_agent:
            self.agent = None
        return was_agent

    def _count(self, hello: wire.Hello) -> None:
        if hello.connection is None:
            return
        known = self._youngest.pop(hello.instance_id, 0)
        self._youngest[hello.instance_id] = max(known, hello.connection)
        if len(self._youngest) > COUNTED_KEPT:
            del self._youngest[next(iter(self._youngest))]
