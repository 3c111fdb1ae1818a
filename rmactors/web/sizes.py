"""How large the body of a request may be: little where anybody may send one, so that strangers cannot fill the memory
with bodies that never end. Counted while the bytes come in, with a length and without one.

Quart 0.22 counts by itself. 0.23 takes in a whole chunked body before it looks at the limit, so that an endless one
fills the memory and gets no answer: here it ends as soon as it is too large, and Quart answers 413.
"""

from typing import Any

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest

from rmactors.web.access import MAX_BODY_BYTES, ROUTES

PUBLIC_BODY_BYTES = 1 << 16


class SizedRequest(TrioRequest):
    """A request whose body is bounded by where it goes to."""

    def __init__(
        self, method: str, scheme: str, path: str, *others: Any, max_content_length: int | None = None, **more: Any
    ) -> None:
        if any(rule.need == "public" and rule.path == path for rule in ROUTES.values()):
            max_content_length = min(PUBLIC_BODY_BYTES, max_content_length or PUBLIC_BODY_BYTES)
        super().__init__(method, scheme, path, *others, max_content_length=max_content_length, **more)
        self.max_content_length = max_content_length


class SizedConnection(TrioASGIHTTPConnection):
    """Hands a request no more of its body than it takes to see that it is too large."""

    async def handle_messages(  # type: ignore[override] # quart-trio's own parameters
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        limit = request.max_content_length
        await super().handle_messages(nursery, request, cut_off(receive, MAX_BODY_BYTES if limit is None else limit))


def cut_off(receive: ASGIReceiveCallable, limit: int) -> ASGIReceiveCallable:
    """The same messages with a body that ends with the message in which it grows beyond `limit` bytes. The rest of it
    is thrown away, so that its sender is still listened to: it may leave."""
    taken = 0

    async def bounded() -> ASGIReceiveEvent:
        nonlocal taken
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return message
            if taken <= limit:
                taken += len(message["body"])
                return message if taken <= limit else {**message, "more_body": False}

    return bounded
