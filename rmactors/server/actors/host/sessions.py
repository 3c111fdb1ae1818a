"""The sessions of one host: that of its agent, and those of commands that only report. Pure: it closes nothing.

Of two agents the newer wins. The instance id is stable across reconnects, so a replaced instance that comes back means
a cloned agent.

A hello may take longer to arrive than its agent waits for the answer. So an agent counts its connections, and a hello
that arrives after that of a younger connection of the same instance is late: its sender has left.
"""

from dataclasses import dataclass, field

from rmactors.common import wire
from rmactors.server.messages.connections import AgentConnection

REPLACED_KEPT = 8
REVOKED_KEPT = 8
"""Credentials that the host had before: a hello under one of them comes late, and says nothing about the host."""
REVOKED = "the host has another credential"
COUNTED_KEPT = 8
"""Instances whose youngest connection is remembered."""


@dataclass(frozen=True, slots=True, eq=False)
class AgentSession:
    """A connection, and what was said in its hello."""

    connection: AgentConnection
    hello: wire.Hello

    @property
    def is_agent(self) -> bool:
        """Not one that only reports."""
        return self.hello.purpose == "agent"


@dataclass(frozen=True, slots=True)
class Accepted:
    """What follows from a hello: the connection that it replaces, whether that was another instance's, or one of
    another credential, and whether its own instance had been replaced before."""

    session: AgentSession
    replaced: AgentConnection | None = None
    another_instance: bool = False
    another_credential: bool = False
    cloned: bool = False

    @property
    def closing(self) -> tuple[int, str]:
        """The code and the reason for the one that is replaced."""
        if self.another_credential:  # the host was enrolled again, and its actor is told of it later
            return wire.CLOSE_REVOKED, REVOKED
        return wire.CLOSE_REPLACED, "replaced by a newer connection"


@dataclass(slots=True)
class AgentSessions:
    """Of one host. `agent` is the agent's session that wins."""

    agent: AgentSession | None = None
    _sessions: dict[int, AgentSession] = field(default_factory=dict)
    _replaced: list[str] = field(default_factory=list)
    """Instances of agents that others replaced, the newest last."""
    _revoked: list[str | None] = field(default_factory=list)
    """Hashes of the credentials that the host had before, the newest last."""
    _youngest: dict[str, int] = field(default_factory=dict)
    """Number of the youngest connection that said hello, by instance; who said hello last is last."""

    def connections(self) -> list[AgentConnection]:
        return [session.connection for session in self._sessions.values()]

    def find(self, connection: AgentConnection) -> AgentSession | None:
        """None for a connection on which no hello was said, or whose agent was replaced."""
        return self._sessions.get(connection.number)

    def accept(self, connection: AgentConnection, hello: wire.Hello) -> Accepted | None:
        """None for a hello that is late. An agent's session wins from now on."""
        if self._is_late(connection, hello):
            return None
        session = self._sessions[connection.number] = AgentSession(connection, hello)
        return self._replace_agent(session) if session.is_agent else Accepted(session)

    def revoke(self, old: str | None, new: str) -> list[AgentConnection]:
        """The host has another credential: which connections show an old one. Who has it now may be here already, and
        is no clone of who had the old one."""
        self._revoked = [*self._revoked, old][-REVOKED_KEPT:]
        self._replaced.clear()
        self._youngest.clear()
        return [connection for connection in self.connections() if connection.token_hash != new]

    def is_revoked(self, connection: AgentConnection) -> bool:
        return connection.token_hash in self._revoked

    def remove(self, session: AgentSession) -> bool:
        """Its connection has closed. True if it was the agent's."""
        self._sessions.pop(session.connection.number, None)
        was_agent = session is self.agent
        if was_agent:
            self.agent = None
        return was_agent

    def _is_late(self, connection: AgentConnection, hello: wire.Hello) -> bool:
        """Whether a younger connection of the same instance has said hello before this one did.

        Never for agents that do not count, and not for another hello on a connection that said one.
        """
        if hello.connection is None or hello.purpose != "agent" or connection.number in self._sessions:
            return False
        return hello.connection < self._youngest.get(hello.instance_id, 0)

    def _replace_agent(self, session: AgentSession) -> Accepted:
        older, self.agent = self.agent, session
        instance = session.hello.instance_id
        self._count(session.hello)
        cloned = instance in self._replaced
        if cloned:
            self._replaced.remove(instance)
        if older is None or older.connection.number == session.connection.number:
            return Accepted(session, cloned=cloned)
        another_credential = older.connection.token_hash != session.connection.token_hash
        another_instance = older.hello.instance_id != instance and not another_credential
        if another_instance:
            self._replaced = [*self._replaced, older.hello.instance_id][-REPLACED_KEPT:]
        self._sessions.pop(older.connection.number, None)
        return Accepted(session, older.connection, another_instance, another_credential, cloned)

    def _count(self, hello: wire.Hello) -> None:
        if hello.connection is None:
            return
        known = self._youngest.pop(hello.instance_id, 0)
        self._youngest[hello.instance_id] = max(known, hello.connection)
        if len(self._youngest) > COUNTED_KEPT:
            del self._youngest[next(iter(self._youngest))]
