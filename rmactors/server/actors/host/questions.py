"""The questions that a host's agent is asked while somebody waits. Pure.

Each goes to the agent's session, and ends once: with the response, with the end of that session, or because nobody
waits any more. What is in a response passes through and is not kept.
"""

from collections.abc import Iterator
from typing import assert_never

from rmactors.common import wire
from rmactors.server.actors.host import effects as do
from rmactors.server.actors.host.events import NobodyWaits, Question
from rmactors.server.actors.host.sessions import AgentSession
from rmactors.server.messages.live_requests import (
    AgentAnswered,
    AgentAway,
    AgentRefused,
    AgentSlow,
    AgentTooOld,
    LiveAnswer,
)

Effects = Iterator[do.Effect]

NOT_ALLOWED = "the agent.toml of this host does not allow `browse`"


class OpenQuestions:
    """Those that the agent on its present connection was sent, and has not answered."""

    def __init__(self) -> None:
        self._open: set[str] = set()

    def handle(self, event: Question | NobodyWaits, agent: AgentSession | None) -> Effects:
        match event:
            case Question():
                return self._ask(event, agent)
            case NobodyWaits(request_id):
                return self._give_up(request_id, agent)
            case _:
                assert_never(event)

    def _ask(self, question: Question, agent: AgentSession | None) -> Effects:
        if agent is None:
            yield do.AnswerQuestion(question.request_id, AgentAway())
        elif agent.hello.allow is not None and "browse" not in agent.hello.allow:
            yield do.AnswerQuestion(question.request_id, AgentRefused("not_allowed", NOT_ALLOWED))
        else:
            self._open.add(question.request_id)
            frame = wire.Request(question.request_id, question.kind, dict(question.params))
            yield do.SendFrame(agent.connection, frame)

    def _give_up(self, request_id: str, agent: AgentSession | None) -> Effects:
        """The agent need not go on. If the answer was faster, there is nothing to do."""
        if request_id in self._open:
            assert agent is not None
            yield do.SendFrame(agent.connection, wire.CancelRequest(request_id))
            yield self._end(request_id, AgentSlow())

    def heard(self, frame: wire.Response | wire.AgentError, *, of_agent: bool) -> Effects:
        """`of_agent`: from the agent's session, not from another one of its host."""
        match frame:
            case wire.Response():
                yield self._answer(frame, of_agent)
            case wire.AgentError(code="unknown_type") if of_agent:
                # It does not say which frame it does not know: no question is one that it does.
                yield from self._end_all(AgentTooOld())
            case wire.AgentError():
                pass
            case _:
                assert_never(frame)

    def _answer(self, response: wire.Response, of_agent: bool) -> do.Effect:
        """A response that was not asked for, or not any more, is dropped."""
        if not of_agent or response.request_id not in self._open:
            return do.CountLeftOut("responses", 1)
        if response.ok:
            return self._end(response.request_id, AgentAnswered(response.items, response.next_cursor))
        return self._end(response.request_id, AgentRefused(response.code or "failed", response.error or ""))

    def agent_left(self) -> Effects:
        """Its session has ended; what comes on another one is no answer to what was asked on this."""
        yield from self._end_all(AgentAway())

    def _end_all(self, answer: LiveAnswer) -> Effects:
        for request_id in sorted(self._open):
            yield self._end(request_id, answer)

    def _end(self, request_id: str, answer: LiveAnswer) -> do.AnswerQuestion:
        self._open.discard(request_id)
        return do.AnswerQuestion(request_id, answer)
