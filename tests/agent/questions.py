"""Questions to an agent as its server asks them, without a server in between: each gets its one response."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.live_requests.answering import LiveRequests, Session
from rmactors.agent.report_queue import open_queue
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire


class Questions:
    """What is asked over one connection. `heard` are all responses."""

    def __init__(self, requests: LiveRequests) -> None:
        self.heard: list[wire.Response] = []
        self._news = trio.Event()
        self.session: Session = requests.session(self._hear)

    async def _hear(self, frame: wire.Frame) -> None:
        assert isinstance(frame, wire.Response)
        assert len(wire.encode(frame)) <= wire.MAX_FRAME_BYTES
        self.heard.append(frame)
        self._news.set()
        self._news = trio.Event()

    async def ask(self, kind: str, **params: Any) -> str:
        """Ask, and do not wait: the request's id."""
        request_id = ids.new()
        await self.session.take(wire.Request(request_id, kind, params))  # type: ignore[arg-type]
        return request_id

    async def response(self, request_id: str) -> wire.Response:
        with trio.fail_after(240):
            while True:
                news = self._news
                for found in self.heard:
                    if found.request_id == request_id:
                        return found
                await news.wait()

    async def __call__(self, kind: str, **params: Any) -> wire.Response:
        return await self.response(await self.ask(kind, **params))

    async def items(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        """The first page of an answer, which has to be one."""
        return items_of(await self(kind, **params))

    async def all(self, kind: str, **params: Any) -> list[dict[str, Any]]:
        """All pages."""
        found: list[dict[str, Any]] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await self(kind, **params, **cursor)
            found += items_of(page)
            if page.next_cursor is None:
                return found
            cursor = {"cursor": page.next_cursor}


def items_of(response: wire.Response) -> list[dict[str, Any]]:
    assert response.ok, (response.code, response.error)
    return msgspec.json.decode(response.items, type=list[dict[str, Any]])


def refusal(response: wire.Response) -> tuple[str | None, str]:
    """Code and sentence of a response that is none."""
    assert not response.ok
    return response.code, response.error or ""


@asynccontextmanager
async def asking(agent_file: AgentFile, state: Path) -> AsyncIterator[Questions]:
    """An agent that answers, for as long as the block lasts; then everything that it began has ended."""
    async with open_queue(StateDir(state)) as queue, trio.open_nursery() as nursery:
        requests = LiveRequests(agent_file, queue, state, spare_cache=str(state / "cache"))
        await nursery.start(requests.run)
        yield Questions(requests)
        nursery.cancel_scope.cancel()
