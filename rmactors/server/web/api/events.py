"""`/events`: names of what changed, as server-sent events. Pages fetch again what they show, under their own rights."""

from collections.abc import AsyncGenerator, Awaitable, Callable

import trio
from quart import Blueprint, Response, request

from rmactors.server.store.queries import accounts as queries
from rmactors.server.web.access import SESSION_IDLE, Actor, actor, route, services, state
from rmactors.server.web.services import Services

blueprint = Blueprint("events", __name__)


@route(blueprint, "/events", role="viewer")
async def events() -> Response:
    """`data: <topic>` for each change, a comment every 15 s. Ends when the session does, or the server."""
    if request.method == "HEAD":  # else it would wait for the end of what has none
        return Response("", content_type="text/event-stream; charset=utf-8")
    response = Response(
        _topics(services(), _watch(services(), actor()), state().keep_alive_seconds),
        content_type="text/event-stream; charset=utf-8",
    )
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


async def _topics(
    served: Services, may_stay: Callable[[], Awaitable[bool]], keep_alive_seconds: float
) -> AsyncGenerator[bytes, None]:
    async with served.subscribe() as changes:
        yield b": connected\nretry: 3000\n\n"
        while await may_stay():  # signed out, disabled, expired: the stream ends with it
            until = trio.current_time() + keep_alive_seconds
            while trio.current_time() < until:
                topics: frozenset[str] = frozenset()
                with trio.move_on_at(until):
                    try:
                        topics = await changes.receive()
                    except (trio.EndOfChannel, trio.ClosedResourceError):  # the server stops
                        return
                if topics:
                    yield "".join(f"data: {topic}\n\n" for topic in sorted(topics)).encode()
            yield b": still here\n\n"


def _watch(served: Services, who: Actor) -> Callable[[], Awaitable[bool]]:
    """Whether the reader of the stream is still signed in."""

    async def may_stay() -> bool:
        at = served.now()
        if who.kind == "token":
            return await served.reader.run(queries.token_lives, who.id, at)
        return await served.reader.run(queries.session_lives, who.session_id, at, at - SESSION_IDLE)

    return may_stay
