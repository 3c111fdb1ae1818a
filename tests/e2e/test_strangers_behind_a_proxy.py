"""What a stranger behind a trusted proxy takes up is theirs alone: everybody else behind it comes in.

The tests stand for the proxy: they connect from its address and name the client. Real proxies are in `tests/deploy`.
A stranger's places are kept taken by what keeps them longest: a body of which one byte has come, on the pages' port,
and a wrong token on the agents' port.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
import trio

from harness.agents import enroll_host
from harness.hostile import connect, pour, read_all, request, upgrade
from harness.processes import Server, running_server
from rmactors.server.edges.preauth_limits import PER_ADDRESS

PASSWORD = "a long enough phrase"
STRANGER, SOMEBODY, OTHER = "203.0.113.5", "198.51.100.7", "198.51.100.8"


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("behind")
    with running_server(folder / "server", trusted_proxies="127.0.0.0/8", log_level="info") as running:
        running.admin("create-user", "--username", "anna", "--role", "admin", RM_PASSWORD=PASSWORD)
        yield running
        running.must_live()


async def status(stream: trio.SocketStream) -> int:
    """Of the answer; 0 where the server closes without one."""
    with trio.fail_after(60):
        try:
            answer = bytes(await stream.receive_some(65536))
        except trio.BrokenResourceError:
            answer = b""
    return int(answer.split(b" ", 2)[1]) if answer else 0


async def asked(port: int, data: bytes) -> int:
    """The status of the answer to a request on a connection of its own."""
    async with await connect(port) as stream:
        await pour(stream, data)
        return await status(stream)


def from_(address: str) -> bytes:
    return b"X-Forwarded-For: " + address.encode()


# ---- the agents' port


async def fill_with_wrong_tokens(server: Server, address: str) -> None:
    """Until one of them is not even looked at. Each keeps its place for five seconds: all come at once, and again where
    a machine is slow."""
    for _ in range(10):
        answers: list[int] = []

        async def one(answers: list[int] = answers) -> None:
            answers.append(await asked(server.agent_port, upgrade("rmh_wrong", from_(address))))

        async with trio.open_nursery() as nursery:
            for _ in range(PER_ADDRESS + 60):
                nursery.start_soon(one)
        assert set(answers) <= {401, 429}, "an answer: a proxy might take silence for a dead server"
        if 429 in answers:
            return
    raise AssertionError(f"all of the last {len(answers)} wrong tokens were looked at")


async def test_on_the_agents_port_a_stranger_takes_up_places_of_their_own_alone(behind: Server) -> None:
    host = await enroll_host(behind, "behind-the-proxy")

    async def shown(token: str, address: str) -> int:
        return await asked(behind.agent_port, upgrade(token, from_(address)))

    await fill_with_wrong_tokens(behind, STRANGER)
    assert await shown(host.token, STRANGER) == 101, "places are kept back for who shows a good token"
    assert await shown(host.token, SOMEBODY) == 101
    assert await shown("rmh_wrong", SOMEBODY) == 401
    assert await shown("rmh_wrong", f"{STRANGER}, {OTHER}") == 401, "what a client claims stands first"
    refused = [line for line in behind.log.splitlines() if "no valid token" in line]
    for address in (STRANGER, SOMEBODY, OTHER):
        assert any(address in line for line in refused), behind.log[-2000:]
    assert not any("127.0.0.1" in line for line in refused), "the proxy is not who showed a wrong token"


# ---- the pages' port


def slow_body(server: Server, address: str) -> bytes:
    return request(server, "/login", from_(address).decode(), "Content-Length: 100", method="POST") + b"u"


@asynccontextmanager
async def pages_port_full_of(server: Server, address: str) -> AsyncIterator[None]:
    """Slow bodies until one is refused. They have ten seconds each: all come at once, and again on a slow machine."""
    full = trio.Event()

    async def one() -> None:
        async with await connect(server.port) as stream:
            await pour(stream, slow_body(server, address))
            if b" 429 " in (await read_all(stream, 60) or b""):
                full.set()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(120):
            while not full.is_set():
                for _ in range(PER_ADDRESS + 60):
                    nursery.start_soon(one)
                with trio.move_on_after(12):
                    await full.wait()
        yield
        nursery.cancel_scope.cancel()


async def test_on_the_pages_port_a_stranger_takes_up_places_of_their_own_alone(behind: Server) -> None:
    def page(path: str, address: str, *more: str, token: str = "") -> bytes:
        return request(behind, path, from_(address).decode(), *more, token=token)

    form = {"username": "anna", "password": PASSWORD}
    async with httpx.AsyncClient(base_url=behind.url, trust_env=False, timeout=60) as browser:
        signed_in = await browser.post("/login", data=form, headers={"X-Forwarded-For": SOMEBODY})
        assert signed_in.status_code == 303
        cookie = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    async with pages_port_full_of(behind, STRANGER):
        assert await asked(behind.port, page("/login", SOMEBODY)) == 200
        assert await asked(behind.port, page("/alerts", SOMEBODY, f"Cookie: {cookie}")) == 200
        for path in ("/alerts", "/static/app.css"):
            assert await asked(behind.port, page(path, STRANGER, f"Cookie: {cookie}")) in (200, 404), "a good cookie"
        assert await asked(behind.port, page("/api/hosts", STRANGER, token=behind.token)) == 200, "a good token"


async def test_requests_on_one_connection_of_a_proxy_take_a_place_each_while_they_last(behind: Server) -> None:
    """More of one stranger, one after the other, than they may have at once; somebody who signs in between them."""
    shared = httpx.AsyncClient(
        base_url=behind.url, headers={"X-Forwarded-For": "203.0.113.9"}, trust_env=False, timeout=60,
        limits=httpx.Limits(max_connections=1),
    )  # fmt: skip
    async with shared:
        for _ in range(PER_ADDRESS // 20 + 1):
            for _ in range(20):
                assert (await shared.get("/healthz")).status_code == 200
            token = {"Authorization": f"Bearer {behind.token}"}
            assert (await shared.get("/api/hosts?limit=1", headers=token)).status_code == 200


async def test_wrong_tokens_on_one_connection_take_a_place_each_for_a_while(behind: Server) -> None:
    """Each is a row that counts it: nobody has the store do more of that than so many in a second."""
    async with httpx.AsyncClient(base_url=behind.url, trust_env=False, timeout=60) as proxy:

        async def status_of(address: str, token: str) -> int:
            headers = {"X-Forwarded-For": address, "Authorization": f"Bearer {token}"}
            return (await proxy.get("/api/hosts?limit=1", headers=headers)).status_code

        answers: list[int] = []

        async def lane() -> None:
            while 429 not in answers:
                assert len(answers) < 20 * PER_ADDRESS, "they are all looked at"
                answers.append(await status_of("203.0.113.10", "rma_wrong"))

        async with trio.open_nursery() as nursery:
            for _ in range(10):
                nursery.start_soon(lane)
        assert set(answers) == {401, 429}
        assert len(answers) >= PER_ADDRESS
        assert await status_of("203.0.113.10", behind.token) == 200, "a good token has a place that is kept back"
        assert await status_of(OTHER, "rma_wrong") == 401


async def test_a_body_of_a_stranger_that_does_not_come_is_answered_and_ends(behind: Server) -> None:
    async with await connect(behind.port) as stream:
        await pour(stream, slow_body(behind, "203.0.113.6"))
        answer = await read_all(stream, 60)
    assert answer is not None, "still open"
    assert answer.startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("path", ["//login", "/%2flogin", "///setup", "//logout", "/./login"])
async def test_another_spelling_of_a_path_has_no_larger_body(behind: Server, path: str) -> None:
    """With a length that says so, and in chunks of which none is the last."""
    forwarded = from_("203.0.113.7").decode()
    said = request(behind, path, forwarded, "Content-Length: 900000", method="POST")
    chunks = request(behind, path, forwarded, "Transfer-Encoding: chunked", method="POST")
    chunks += (b"1000\r\n" + b"x" * 0x1000 + b"\r\n") * 17
    for data in (said, chunks):
        assert await asked(behind.port, data) in (303, 401, 413)
