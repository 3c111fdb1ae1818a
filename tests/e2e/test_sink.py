"""The tests' own receiver does what it is told to, or every other test here would prove nothing."""

import socket

import httpx
import pytest
import trio
import trio.testing

from harness.sink import Mood, Sink


async def post(sink: Sink, path: str = "/hook", patience: float = 30.0) -> int:
    async with httpx.AsyncClient(trust_env=False, timeout=patience) as client:
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
        await post(sink, "/slow", patience=0.2)
    assert await post(sink) == 200
    assert [request.path for request in sink.told()] == ["/hook"]


async def test_one_client_may_send_many_requests_on_one_connection(sink: Sink) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for n in range(5):
            assert (await client.post(sink.url(), content=b"x" * n * 50_000)).status_code == 200
    assert [len(request.raw) for request in await sink.until_told(5)] == [0, 50_000, 100_000, 150_000, 200_000]


@pytest.mark.parametrize("mood", ["up", "slow"])
async def test_who_sent_and_died_is_heard_out(sink: Sink, mood: Mood) -> None:
    sink.feel(mood)
    for _ in range(20):
        dying = socket.create_connection(("127.0.0.1", sink.port))
        dying.sendall(b"POST /hook HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
        dying.close()  # not one is accepted so far: nothing has been awaited
    await sink.hear_out()
    assert [request.status for request in sink.requests] == [200] * 20


async def test_who_is_left_hanging_or_refused_is_waited_for_by_nobody(sink: Sink) -> None:
    sink.feel("hang")
    with pytest.raises(httpx.ReadTimeout):
        await post(sink, patience=0.2)
    await sink.hear_out()
    sink.feel("down")
    await sink.hear_out()
    assert [request.status for request in sink.requests] == [None]


@pytest.mark.parametrize("steps", range(8))
async def test_who_hears_it_out_while_it_goes_down_does_not_wait_without_end(sink: Sink, steps: int) -> None:
    with trio.fail_after(60):
        for _ in range(20):  # who is first of those that are woken together is random
            sink.feel("up")
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(sink.hear_out)
                for _ in range(steps):
                    await trio.lowlevel.checkpoint()
                sink.feel("down")
