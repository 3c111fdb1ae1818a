"""`/events`: names of what changed, as server-sent events. Pages fetch again what they show, under their own rights.

With `badge=1`, as our own pages ask, the number of open alerts comes along as it changes, so that a tab which nobody
looks at has nothing to fetch. What happens within a moment is told at once.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from math import inf
from typing import Final, Literal

import trio
from quart import Blueprint, Response, request

from rmactors.server.store.queries import accounts as queries
from rmactors.server.store.queries import pages
from rmactors.server.web.access import SESSION_IDLE, Actor, actor, route, services, state
from rmactors.server.web.html import piece
from rmactors.server.web.services import Services
from rmactors.server.web.views.shell import Shell

blueprint = Blueprint("events", __name__)


_GATHERED_SECONDS: Final = 0.25
"""After something was told: so long until the next, with all that happened meanwhile."""
_BADGE_SECONDS: Final = 2.0


@route(blueprint, "/events", role="viewer", query={"badge": Literal["1"]})
async def events() -> Response:
    """`data: <topic>` for each change, a comment every 15 s. Ends when the session does, or the server."""
    if request.method == "HEAD":  # else it would wait for the end of what has none
        return Response("", content_type="text/event-stream; charset=utf-8")
    stream = _Stream(services(), _watch(services(), actor()), state().keep_alive_seconds, "badge" in request.args)
    response = Response(stream.run(), content_type="text/event-stream; charset=utf-8")
    response.timeout = None
    response.headers["X-Accel-Buffering"] = "no"
    response.headers["Cache-Control"] = "no-store"
    return response


@dataclass(frozen=True, slots=True)
class _Stream:
    served: Services
    may_stay: Callable[[], Awaitable[bool]]
    keep_alive_seconds: float
    with_badge: bool

    async def run(self) -> AsyncGenerator[bytes, None]:
        async with self.served.subscribe() as changes:
            yield b": connected\nretry: 3000\n\n"
            badge_due, badge_not_before = (0.0 if self.with_badge else inf), 0.0
            while await self.may_stay():  # signed out, disabled, expired: the stream ends with it
                until = trio.current_time() + self.keep_alive_seconds
                while (now := trio.current_time()) < until:
                    if now >= badge_due:
                        badge_due, badge_not_before = inf, now + _BADGE_SECONDS
                        yield await self._badge()
                    topics: frozenset[str] = frozenset()
                    with trio.move_on_at(min(until, badge_due)):
                        try:
                            topics = await changes.receive()
                        except (trio.EndOfChannel, trio.ClosedResourceError):  # the server stops
                            return
                    if not topics:
                        continue
                    yield "".join(f"data: {topic}\n\n" for topic in sorted(topics)).encode()
                    if self.with_badge and "alerts" in topics:
                        badge_due = min(badge_due, max(trio.current_time(), badge_not_before))
                    await trio.sleep(min(_GATHERED_SECONDS, self.keep_alive_seconds))
                yield b": still here\n\n"

    async def _badge(self) -> bytes:
        """The badge's markup, as one line."""
        counted = await self.served.reader.run(pages.open_alerts)
        made = await piece("shell/badge.html", shell=Shell(counted.open, counted.critical))
        return f"event: badge\ndata: {' '.join(made.split())}\n\n".encode()


def _watch(served: Services, who: Actor) -> Callable[[], Awaitable[bool]]:
    """Whether the reader of the stream is still signed in."""

    async def may_stay() -> bool:
        at = served.now()
        if who.kind == "token":
            return await served.reader.run(queries.token_lives, who.id, at)
        return await served.reader.run(queries.session_lives, who.session_id, at, at - SESSION_IDLE)

    return may_stay
