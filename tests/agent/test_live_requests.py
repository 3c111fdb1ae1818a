"""What the server asks of an agent while somebody waits: who is answered, who is refused, and who is called off."""

from typing import Any

import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.daemon import run_agent
from rmactors.agent.state_dir import StateDir
from rmactors.common import ids, wire

from .conftest import FAST
from .server_double import ServerDouble, Session, eventually


def request(kind: str, **params: Any) -> wire.Request:
    return wire.Request(ids.new(), kind, params)  # type: ignore[arg-type]


async def answer(session: Session, asked: wire.Request) -> wire.Response:
    await session.send(asked)
    return await response(session, asked.request_id)


async def response(session: Session, request_id: str) -> wire.Response:
    def heard() -> list[wire.Response]:
        return [f for f in session.frames if isinstance(f, wire.Response) and f.request_id == request_id]

    (found,) = await eventually(heard)
    return found


async def test_nothing_is_answered_unless_the_hosts_file_allows_it(server: ServerDouble, enrolled: StateDir) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=["backup"]), enrolled.path, timings=FAST))
        session = await server.an_agent()
        refused = await answer(session, request("browse", plan="home", snapshot="latest", path="/"))
        nursery.cancel_scope.cancel()
    assert session.hello is not None
    assert session.hello.allow == ["backup"]
    assert (refused.ok, refused.code) == (False, "not_allowed")
    assert 'add "browse" to its `allow`' in (refused.error or "")


async def test_a_newer_server_is_told_what_this_agent_does_not_know(server: ServerDouble, enrolled: StateDir) -> None:
    """It would wait for an answer in vain."""
    request_id = ids.new()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: run_agent(AgentFile(allow=["browse"]), enrolled.path, timings=FAST))
        session = await server.an_agent()
        await session.socket.send_message('{"type": "song", "words": "la"}')
        await session.socket.send_message(f'{{"type": "request", "kind": "sing", "request_id": "{request_id}"}}')
        refused = await response(session, request_id)
        nursery.cancel_scope.cancel()
    assert (refused.ok, refused.code, refused.error) == (
        False,
        "invalid",
        "this agent does not know that kind of request",
    )
    assert wire.AgentError("unknown_type", "unknown type 'song'") in session.frames
