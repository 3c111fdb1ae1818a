"""Requests in, responses out: each is a task of its own, which ends when it is called off or its connection goes.

owns      the requests that are being answered, and how many there may be
receives  requests of the server's, by `Session.take`
sends     one response to each on the same connection, unless that is gone
restart   nothing is kept: who waited is told by the server that the connection broke
"""

import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import trio
from msgspec import Raw

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.link_down import LinkDown
from rmactors.agent.live_requests.context import Context
from rmactors.agent.live_requests.handler import Answer
from rmactors.agent.live_requests.listings import Listings
from rmactors.agent.live_requests.refusal import Refused, internal_error
from rmactors.agent.live_requests.registry import HANDLERS
from rmactors.agent.restic_steps import Counters, Turns
from rmactors.common import wire
from rmactors.common.logs import fields

log = logging.getLogger(__name__)

MOST_REQUESTS: Final = 20
"""Of a connection at a time: beyond it they are refused, for somebody waits."""
RESTICS: Final = 3
"""That run at once for requests, beside the jobs."""
_LONGEST_RESPONSE: Final = wire.MAX_FRAME_BYTES - 1_000
_LOOK_SECONDS: Final = 30.0

Send = Callable[[wire.Frame], Awaitable[None]]
"""Raises LinkDown when the connection is gone."""


class LiveRequests:
    """Answers what is asked of one agent. `run` it in a nursery; `folder` is where long listings lie meanwhile."""

    def __init__(
        self,
        agent_file: AgentFile,
        counters: Counters,
        folder: Path,
        *,
        spare_cache: str | None = None,
        jobs: Turns | None = None,
    ) -> None:
        self._file = agent_file
        self._counters = counters
        self._folder = folder
        self._spare_cache = spare_cache
        self._jobs = jobs
        self._turns = trio.CapacityLimiter(RESTICS)
        self._checked: set[tuple[str, str]] = set()
        self._nursery: trio.Nursery | None = None
        self._sessions: set[Session] = set()

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            try:
                while True:
                    await trio.sleep(_LOOK_SECONDS)
                    for session in self._sessions:
                        session.context.listings.drop_idle()
            finally:
                for session in list(self._sessions):
                    session.close()

    def session(self, send: Send) -> "Session":
        """For a new connection. Close it when that is gone."""
        assert self._nursery is not None
        listings = Listings(self._folder, self._nursery.start_soon)
        context = Context(
            self._file, self._counters, self._turns, self._checked, listings, self._spare_cache, self._jobs
        )
        session = Session(context, send, self._nursery, self._sessions.discard)
        self._sessions.add(session)
        return session


class Session:
    """What is asked over one connection."""

    def __init__(
        self, context: Context, send: Send, nursery: trio.Nursery, on_close: Callable[["Session"], None]
    ) -> None:
        self.context = context
        self._send = send
        self._nursery = nursery
        self._on_close = on_close
        self._active: dict[str, trio.CancelScope] = {}

    async def take(self, frame: wire.Request | wire.CancelRequest) -> None:
        """Begin to answer, or end it. Does not wait for the answer. Raises LinkDown."""
        if isinstance(frame, wire.CancelRequest):
            if (scope := self._active.get(frame.request_id)) is not None:
                scope.cancel()
            return
        if frame.request_id in self._active:
            return
        if len(self._active) >= MOST_REQUESTS:
            await self._send(_refusal(frame, Refused("busy", "this host answers as many requests as it can already")))
            return
        scope = self._active[frame.request_id] = trio.CancelScope()
        self._nursery.start_soon(self._answer, frame, scope, name=f"live:{frame.kind}")

    def close(self) -> None:
        """The connection is gone: nobody waits for any of it. restic is stopped, and nothing is kept."""
        for scope in self._active.values():
            scope.cancel()
        self.context.listings.close()
        self._on_close(self)

    async def _answer(self, request: wire.Request, scope: trio.CancelScope) -> None:
        try:
            with scope:
                try:
                    await self._send(await self._response(request))
                except LinkDown:
                    pass  # the reader of the connection sees to that
        finally:
            del self._active[request.request_id]

    async def _response(self, request: wire.Request) -> wire.Response:
        try:
            response, outcome = _response(request, await self._ask(request)), "answered"
        except Refused as refused:
            response, outcome = _refusal(request, refused), str(refused.code)
        except Exception as error:
            response, outcome = _refusal(request, internal_error(error)), "failed"
        plan = request.params.get("plan")
        said = fields(
            "live.request", kind=request.kind, plan=plan if plan in self.context.agent_file.plans else None,
            outcome=outcome,
        )  # fmt: skip
        level = logging.DEBUG if "cursor" in request.params else logging.INFO  # one line for all pages
        log.log(level, "the server asked", extra=said)
        return response

    async def _ask(self, request: wire.Request) -> Answer:
        if "browse" not in self.context.agent_file.allow:
            words = 'agent.toml on this host does not let the server look: add "browse" to its `allow`, and restart'
            raise Refused("not_allowed", f"{words} the agent")
        handler = HANDLERS.get(request.kind)
        if handler is None:
            raise Refused("invalid", f"this agent does not know requests of kind {request.kind}")
        return await handler(self.context, request.params)


def _response(request: wire.Request, answer: Answer) -> wire.Response:
    items = b"[" + b",".join(answer.items) + b"]"
    if len(items) > _LONGEST_RESPONSE:
        raise Refused("failed", "the answer does not fit into 1 MiB")
    return wire.Response(request.request_id, ok=True, items=Raw(items), next_cursor=answer.next_cursor)


def _refusal(request: wire.Request, refused: Refused) -> wire.Response:
    return wire.Response(request.request_id, ok=False, error=refused.words, code=refused.code)
