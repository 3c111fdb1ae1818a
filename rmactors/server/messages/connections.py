"""Between the gateway and a host actor: a live socket as the actor sees it, and what comes from it."""

from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

from rmactors.common import wire


@dataclass(frozen=True, slots=True, eq=False)
class AgentConnection:
    """One agent connection. `token_hash` is of the credential that it showed.

    `send` queues a frame and never waits: a peer that reads nothing is cut off by the gateway.
    `close` ends the connection with a code, after what was queued.
    """

    number: int
    address: str
    send: Callable[[wire.FromServer], None]
    close: Callable[[int, str], None]
    token_hash: str


class FrameReceived(Struct, frozen=True):
    """A frame came in on `connection` at `at`."""

    connection: AgentConnection
    frame: wire.FromAgent
    at: int


class UnreadableReport(Struct, frozen=True):
    """A report came in that cannot be taken."""

    connection: AgentConnection
    problem: wire.Unreadable
    at: int


class ConnectionClosed(Struct, frozen=True):
    connection: AgentConnection
    at: int


FromConnection = FrameReceived | UnreadableReport | ConnectionClosed
