"""Bodies that say no length. No sender here ever ends one: an answer that waits for the end does not come."""

from collections.abc import Iterator

import pytest
import trio
from hypercorn.typing import ASGIReceiveEvent

from rmactors.server.web.sizes import MAX_BODY_BYTES, PUBLIC_BODY_BYTES, cut_off

from .conftest import Site

CHUNK = 4096


async def answer_to(site: Site, path: str, size: int, seconds: float, *, token: str = "operator") -> int | None:
    """The status of the answer when `size` bytes of a body have come and more would follow; None where there is none
    so long after the last of them."""
    headers = {"Authorization": f"Bearer {site.tokens.get(token, token)}", "Transfer-Encoding": "chunked"}
    connection = site.app.test_client().request(path, method="POST", headers=headers)
    with trio.move_on_after(60) as patience:
        async with connection:
            for start in range(0, size, CHUNK):
                await connection.send(b" " * min(CHUNK, size - start))
            patience.deadline = trio.current_time() + seconds
    return connection.status_code


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/login", PUBLIC_BODY_BYTES), ("/setup", PUBLIC_BODY_BYTES), ("/api/silences", MAX_BODY_BYTES),
        ("/%2flogin", PUBLIC_BODY_BYTES), ("/%2f%2fsetup", PUBLIC_BODY_BYTES), ("/%6cogin", PUBLIC_BODY_BYTES),
    ],
)  # fmt: skip
async def test_a_body_is_refused_at_the_first_byte_too_many_and_not_at_its_end(
    site: Site, path: str, limit: int
) -> None:
    assert await answer_to(site, path, limit + 1, seconds=60) == 413
    assert await answer_to(site, path, limit, seconds=0.5) is None, "one byte less, and the rest is waited for"


def body(chunks: int) -> Iterator[ASGIReceiveEvent]:
    for _ in range(chunks):
        yield {"type": "http.request", "body": b"x" * CHUNK, "more_body": True}
    yield {"type": "http.disconnect"}


async def test_of_a_body_that_is_too_large_the_rest_is_thrown_away_as_it_comes() -> None:
    messages = body(100_000)

    async def receive() -> ASGIReceiveEvent:
        return next(messages)

    taken = cut_off(receive, limit=3 * CHUNK)
    passed_on = [await taken() for _ in range(5)]
    assert [message.get("more_body") for message in passed_on] == [True, True, True, False, None]
    assert passed_on[-1]["type"] == "http.disconnect", "that its sender left is still heard"


@pytest.mark.parametrize("size", [0, 1, CHUNK])
async def test_a_body_within_its_limit_goes_through_as_it_is(size: int) -> None:
    said: ASGIReceiveEvent = {"type": "http.request", "body": b"x" * size, "more_body": False}

    async def receive() -> ASGIReceiveEvent:
        return said

    assert await cut_off(receive, limit=CHUNK)() == said
