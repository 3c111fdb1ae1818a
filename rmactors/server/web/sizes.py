"""How large the body of a request may be: little where anybody may send one, so that strangers cannot fill the memory
with bodies that never end. Counted while the bytes come in, with a length and without one.

None of it is taken in before the guard has found the route and who asks: a limit that went by the path as it is written
would be one for `/login` and another for `//login`, which is the same route.

Quart 0.22 counts by itself. 0.23 takes in a whole chunked body before it looks at the limit, so that an endless one
fills the memory and gets no answer: here it ends as soon as it is too large, and Quart answers 413.
"""

import random
from typing import Any, Final

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGIReceiveEvent
from quart.wrappers import Request
from quart_trio.asgi import TrioASGIHTTPConnection
from quart_trio.wrappers import TrioRequest
from werkzeug.datastructures import MultiDict

MAX_BODY_BYTES: Final = 1 << 20
PUBLIC_BODY_BYTES = 1 << 16
PUBLIC_BODY_SECONDS: Final = (7, 8, 9, 10)
"""All of it must be there by then, else 408: what people type comes in one piece. One of these by chance, so that
hundreds that came together do not all end together: for as long as that takes, everybody would have to wait."""


class SizedRequest(TrioRequest):
    """A request whose body waits outside until `take_body` has said how much of it is wanted. Its form may be one that
    is carried on."""

    def __init__(self, *args: Any, max_content_length: int | None = None, **more: Any) -> None:
        super().__init__(*args, max_content_length=max_content_length, **more)
        self.max_content_length = max_content_length
        self.may_come = trio.Event()
        self.carried_on: MultiDict[str, str] | None = None
        """The form of an earlier request, which this one carries on; see `auth/proof.py`."""

    @property
    async def form(self) -> MultiDict[str, str]:
        return self.carried_on if self.carried_on is not None else await super().form

    def take_body(self, *, public: bool) -> None:
        """Let the body come in: up to the application's limit; on public routes less of it, and in a shorter time."""
        if public:
            self.max_content_length = min(PUBLIC_BODY_BYTES, self.max_content_length or PUBLIC_BODY_BYTES)
            self.body_timeout = random.choice(PUBLIC_BODY_SECONDS)  # noqa: S311, no secret
            self.body = self.body_class(self.content_length, self.max_content_length)
        self.may_come.set()


class SizedConnection(TrioASGIHTTPConnection):
    """Hands a request no more of its body than it takes to see that it is too large."""

    async def handle_messages(  # type: ignore[override] # quart-trio's own parameters
        self, nursery: trio.Nursery, request: Request, receive: ASGIReceiveCallable
    ) -> None:
        assert isinstance(request, SizedRequest)
        await request.may_come.wait()
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
