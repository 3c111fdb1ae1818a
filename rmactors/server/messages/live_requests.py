"""Questions that an agent is asked while somebody waits, and what becomes of them. Nothing of it is written down."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from msgspec import Raw

from rmactors.common.vocabulary import LiveRequest


@dataclass(frozen=True, slots=True)
class AgentAnswered:
    """`items` is a JSON list as the agent sent it, not judged yet. `next_cursor` asks for what follows."""

    items: Raw
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class AgentRefused:
    """The agent says no, or could not. `code` as in `wire.Response`, `detail` a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class AgentAway:
    """The host is not connected, or its connection broke before the answer came."""


@dataclass(frozen=True, slots=True)
class AgentTooOld:
    """It does not know such questions."""


@dataclass(frozen=True, slots=True)
class AgentSlow:
    """No answer in time. The agent was told that nobody waits any more."""


LiveAnswer = AgentAnswered | AgentRefused | AgentAway | AgentTooOld | AgentSlow


class AskAgent(Protocol):
    async def __call__(self, host_id: str, kind: LiveRequest, params: Mapping[str, object]) -> LiveAnswer:
        """Ask the agent of this host, and wait for its answer. If the caller is cancelled, so is the question."""
        ...


class AskAgentFor(Protocol):
    async def __call__(
        self, host_id: str, kind: LiveRequest, params: Mapping[str, object], seconds: float
    ) -> LiveAnswer:
        """The same for who has more time: AgentSlow after so many seconds."""
        ...
