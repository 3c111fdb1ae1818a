"""Who of one host is connected: its agent, and commands that only report. Pure: it says whom to close, and closes none.

Of two agents the newer wins. One that comes back after another had taken its place tells of a clone: an agent by
itself keeps its instance through all its connections, and none takes its place but its own.

A hello may be on its way for longer than its agent waits for the answer. So an agent counts its connections, and a
hello that arrives after that of a younger one of its own is late: its sender has left.
"""

from dataclasses import dataclass, field

from rmactors.common import wire
from rmactors.server.messages.connections import AgentConnection

REPLACED_KEPT = 8
COUNTED_KEPT = 8
"""Instances whose youngest connection is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class AgentSession:
    """A connection, and what was said in its hello."""

    connection: AgentConnection
    hello: wire.Hello

    @property
    def is_agent(self) -> bool:
        return self.hello.purpose == "agent"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What follows from an agent's hello: the connection that it replaces, whether that was another instance's, and
    whether its own instance had been replaced before."""

    replaced: AgentConnection | None
    another_instance: bool
    cloned: bool


@dataclass(slots=True)
class AgentSessions:
    """Of one host. `agent` is the one that wins."""

    agent: AgentSession | None = None
    _sessions: dict[int, AgentSession] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)
    """Instances of agents that others replaced, the newest last."""
    _youngest: dict[str, int] = field(default_factory=dict)
    """Number of the youngest connection that said hello, by instance; who said hello last is last."""

    def all(self) -> list[AgentConnection]:
        return [session.connection for session in self._sessions.values()]

    def find(self, connection: AgentConnection) -> AgentSession | None:
        """None for a connection on which no hello was said, or whose agent was replaced."""
        return self._sessions.get(connection.number)

    def is_late(self, connection: AgentConnection, hello: wire.Hello) -> bool:
        """Whether a younger connection of the same instance has said hello before this one did.

        Never for agents that do not count, and not for another hello on a connection that said one.
        """
        if hello.connection is None or hello.purpose != "agent" or connection.number in self._sessions:
            return False
        return hello.connection < self._youngest.get(hello.instance_id, 0)

    def greet(self, connection: AgentConnection, hello: wire.Hello) -> AgentSession:
        session = self._sessions[connection.number] = AgentSession(connection, hello)
        return session

    def take_over(self, session: AgentSession) -> Accepted:
        """It is the agent from now on."""
        older, self.agent = self.agent, session
        instance = session.hello.instance_id
        self._count(session.hello)
        cloned = instance in self._replaced
        if cloned:
            self._replaced.remove(instance)
        if older is None or older.connection.number == session.connection.number:
            return Accepted(None, False, cloned)
        another_instance = older.hello.instance_id != instance
        if another_instance:
            self._replaced = [*self._replaced, older.hello.instance_id][-REPLACED_KEPT:]
        self._sessions.pop(older.connection.number, None)
        return Accepted(older.connection, another_instance, cloned)

    def remove(self, session: AgentSession) -> bool:
        """Its connection has closed. True where it was the agent's."""
        self._sessions.pop(session.connection.number, None)
        was_agent = session is self.agent
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
