"""The tests' own receiver does what it is told to, or every other test here would prove nothing."""

import httpx
import pytest
import trio
import trio.testing

from .sink import Sink


async def post(sink: Sink, path: str = "/hook") -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=0.5) as client:
        return (await client.post(sink.url(path), json={"a": 1})).status_code


async def test_it_keeps_what_arrives_and_what_was_answered(sink: Sink) -> None:
    assert await post(sink) == 200
    sink.feel("error", status=503)
    assert await post(sink) == 503
    assert [(request.status, request.told, request.body) for request in sink.requests] == [
        (200, True, {"a": 1}),
        (503, False, {"a": 1}),
    ]


async def test_it_refuses_while_it_is_down_and_comes_back_on_the_same_port(sink: Sink) -> None:
    sink.feel("down")
    await trio.testing.wait_all_tasks_blocked()
    sink.feel("down")
    with pytest.raises(httpx.ConnectError):
        await post(sink)
    sink.feel("up")
    await trio.testing.wait_all_tasks_blocked()
    assert await post(sink) == 200


async def test_what_hangs_is_not_told_and_paths_have_moods_of_their_own(sink: Sink) -> None:
    sink.feel("hang", path="/slow")
    with pytest.raises(httpx.ReadTimeout):
        await post(sink, "/slow")
    assert await post(sink) == 200
    assert [request.path for request in sink.told()] == ["/hook"]


async def test_one_client_may_send_many_requests_on_one_connection(sink: Sink) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for n in range(5):
            assert (await client.post(sink.url(), content=b"x" * n * 50_000)).status_code == 200
    assert [len(request.raw) for request in await sink.until_told(5)] == [0, 50_000, 100_000, 150_000, 200_000]
