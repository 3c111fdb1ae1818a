"""Hostile bytes on both ports of a real server: it lives on, its memory stays, and nobody else notices.

Every test runs between two bystanders, an agent and a browser. Nothing waits for a deadline of the server but one
test, which tries all of them at once.
"""

import contextlib
import json
import random
import time
from collections import Counter
from functools import partial

import pytest
import trio

from harness.agents import enroll_host, hello, raw_link
from harness.hostile import (
    GROWTH_MIB,
    attack,
    bystanders,
    connect,
    crowd,
    frame,
    pour,
    read_all,
    request,
    resident_mib,
    upgrade,
)
from harness.processes import STOP_SECONDS, Server, away
from rmactors.server.edges.preauth_limits import PER_ADDRESS
from rmactors.simulate.agent import SimCredential

HEADERS_SECONDS = 15.0


def status(answer: bytes | None) -> int:
    """The HTTP status of an answer after which the server closed; 0 where it closed without one."""
    assert answer is not None, "the server did not close"
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


# ---- too much of something


MANY_HEADERS = b"".join(b"X-%d: y\r\n" % n for n in range(50_000))


@pytest.mark.parametrize(
    "flood",
    [
        b"GET / HTTP/1.1\r\n" + MANY_HEADERS,
        b"GET / HTTP/1.1\r\nX: " + b"a" * 5_000_000,
        b"GET /" + b"a" * 5_000_000,
        b"GET / HTTP/1.1\r\n" + b" folded\r\n" * 100_000,
        b"\r\n" * 1_000_000,
    ],
    ids=["many headers", "a long header", "a long path", "folded lines", "empty lines"],
)
async def test_headers_without_end_are_cut_off(besieged: Server, flood: bytes) -> None:
    answers: list[bytes | None] = []

    async def once(port: int) -> None:
        answers.append(await attack(port, flood))

    async with trio.open_nursery() as nursery:
        for _ in range(10):
            nursery.start_soon(once, besieged.port)
            nursery.start_soon(once, besieged.agent_port)
    assert len(answers) == 20
    assert {status(answer) for answer in answers} <= {0, 400, 431}


@pytest.mark.parametrize("path", ["/login", "/setup", "/api/users", "/logout", "/nothing"])
async def test_a_large_body_of_a_stranger_is_refused_while_it_comes(besieged: Server, path: str) -> None:
    """With a length and in chunks; the answer arrives although its sender goes on sending."""
    said = request(besieged, path, "Content-Length: 20000000", method="POST") + b"x" * 20_000_000
    chunked = request(besieged, path, "Transfer-Encoding: chunked", method="POST")
    chunked += (b"100000\r\n" + b"x" * 0x100000 + b"\r\n") * 20
    expected = {413} if path in ("/login", "/setup") else {303, 401, 413}
    for data in (said, chunked):
        assert status(await attack(besieged.port, data)) in expected


async def test_many_bodies_that_never_end_stay_small(besieged: Server) -> None:
    head = request(besieged, "/login", "Transfer-Encoding: chunked", method="POST")
    before = resident_mib(besieged)
    async with crowd() as gathered:
        for _ in range(150):  # just under what is refused, and no more comes
            await gathered.join(besieged.port, head + b"ff00\r\n" + b"x" * 0xFF00)
        async with besieged.client() as client:
            assert (await client.get("/api/hosts")).status_code == 200
        assert resident_mib(besieged) - before < GROWTH_MIB


@pytest.mark.parametrize("path", ["/login", "/api/silences"])
async def test_bodies_far_beyond_the_limit_are_answered_before_they_end_and_are_not_kept(
    besieged: Server, path: str
) -> None:
    """240 MiB in chunks of which none says that it is the last."""
    head = request(besieged, path, "Transfer-Encoding: chunked", method="POST", token=besieged.token)
    body = (b"10000\r\n" + b"x" * 0x10000 + b"\r\n") * 320
    before = resident_mib(besieged)
    answers: list[bytes | None] = []

    async def send() -> None:
        answers.append(await attack(besieged.port, head + body, seconds=60))

    async with trio.open_nursery() as nursery:
        for _ in range(12):
            nursery.start_soon(send)
    told = {status(answer) for answer in answers}
    assert told <= {413, 0}, "0: it was still sending when the server had listened long enough, and lost the answer"
    assert len(answers) == 12
    assert resident_mib(besieged) - before < GROWTH_MIB


async def test_an_api_body_over_a_mebibyte_is_413(besieged: Server) -> None:
    head = request(
        besieged, "/api/silences", "Content-Length: 1048577", "Connection: close", method="POST", token=besieged.token
    )
    answer = await attack(besieged.port, head + b" " * 1_048_577)
    assert status(answer) == 413
    assert answer is not None
    assert b"application/problem+json" in answer


async def test_a_frame_that_says_it_is_huge_is_cut_off_before_it_has_come(
    besieged: Server, host: SimCredential
) -> None:
    async with await connect(besieged.agent_port) as stream:
        await pour(stream, upgrade(host.token) + frame(json.dumps(hello()).encode()))
        head = frame(b"x" * 70_000)[:2] + (1 << 40).to_bytes(8, "big") + bytes(4)
        assert not await pour(stream, head + b"x" * 30_000_000)


async def test_a_message_of_endless_pieces_is_cut_off(besieged: Server, host: SimCredential) -> None:
    piece = frame(b"x" * 60_000, first=0x00)
    async with await connect(besieged.agent_port) as stream:
        await pour(stream, upgrade(host.token) + frame(b"x", first=0x01))
        assert not await pour(stream, piece * 500)


# ---- compression


async def test_compression_is_not_agreed_to_and_a_compressed_frame_ends_its_connection(
    besieged: Server, host: SimCredential
) -> None:
    offer = b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    async with await connect(besieged.agent_port) as stream:
        await pour(stream, upgrade(host.token, offer))
        agreed = await stream.receive_some(65536)
        assert status(agreed) == 101
        assert b"extensions" not in agreed.lower()
        await pour(stream, frame(b"\xaa" * 1000, first=0xC1))
        assert await read_all(stream, 5) is not None, "still open"


async def test_a_compressed_body_is_not_unpacked(besieged: Server) -> None:
    packed = b"\x1f\x8b\x08" + b"\0" * 1000
    headers = "Content-Encoding: gzip", "Content-Type: application/json", f"Content-Length: {len(packed)}"
    data = request(besieged, "/api/silences", *headers, "Connection: close", method="POST", token=besieged.token)
    assert status(await attack(besieged.port, data + packed)) == 400


# ---- who does not read


async def test_a_browser_that_reads_nothing_holds_up_nobody(besieged: Server) -> None:
    """A thousand requests for something large on each of many connections, and not one byte is taken."""
    wanted = request(besieged, "/api/openapi.json", token=besieged.token) * 500
    async with crowd() as gathered:
        async with trio.open_nursery() as nursery:
            for _ in range(30):
                nursery.start_soon(partial(gathered.join, besieged.port, wanted, receive_buffer=4096))
        async with besieged.client() as client:
            began = time.monotonic()
            assert (await client.get("/api/hosts")).status_code == 200
            assert time.monotonic() - began < 30


@pytest.mark.parametrize(
    "message",
    [
        {"type": "from_the_future"},
        {"type": "job_finished", "seq": 1, "job_id": "not an id"},
        {"type": "job_finished", "seq": 1, "job_id": "0" * 26, "kind": "backup", "status": "failed", "reason": "error",
         "exit_code": 1, "started_at": "2026-01-01T00:00:00Z", "finished_at": "2026-01-01T00:00:01Z", "stats": {}},
    ],
    ids=["errors", "refusals", "acks"],
)  # fmt: skip
async def test_an_agent_that_reads_no_answers_is_cut_off_or_slowed_down(
    besieged: Server, host: SimCredential, message: dict[str, object]
) -> None:
    data = frame(json.dumps(message).encode()) * 1000
    async with await connect(besieged.agent_port, receive_buffer=4096) as stream:
        await pour(stream, upgrade(host.token) + frame(json.dumps(hello()).encode()))
        with trio.move_on_after(3):
            while await pour(stream, data):
                pass


async def test_pings_without_end_from_who_reads_no_pongs_fill_nothing(besieged: Server, host: SimCredential) -> None:
    async with await connect(besieged.agent_port, receive_buffer=4096) as stream:
        await pour(stream, upgrade(host.token) + frame(json.dumps(hello()).encode()))
        with trio.move_on_after(2):
            while await pour(stream, frame(b"p" * 125, first=0x89) * 1000):
                pass


# ---- garbage


async def test_garbage_after_an_upgrade_ends_that_connection_alone(besieged: Server, host: SimCredential) -> None:
    noise = random.Random(7)
    answers: list[bytes] = []

    async def once(port: int, head: bytes, tail: bytes) -> None:
        async with await connect(port) as stream:
            await pour(stream, head)
            answers.append(await stream.receive_some(65536))
            if await pour(stream, tail):
                await read_all(stream, 0.5)  # noise may be the beginning of something: then it waits for the rest

    async with trio.open_nursery() as nursery:
        for _ in range(30):
            tail = noise.randbytes(noise.randrange(1, 3000))
            nursery.start_soon(once, besieged.agent_port, upgrade(host.token), tail)
            nursery.start_soon(once, besieged.agent_port, upgrade("wrong"), tail)
            nursery.start_soon(once, besieged.port, request(besieged, "/ws/agent", *UPGRADE_LINES), tail)
    assert Counter(status(answer) for answer in answers) == {101: 30, 401: 30, 303: 30}


UPGRADE_LINES = (
    "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
)  # fmt: skip


@pytest.mark.parametrize(
    "data",
    [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(64), b"GET / HTTP/3.0\r\nHost: x\r\n\r\n"],
    ids=["HTTP/2 by prior knowledge", "a version that there is not"],
)
async def test_another_http_is_not_spoken(besieged: Server, data: bytes) -> None:
    for port in (besieged.port, besieged.agent_port):
        answer = await attack(port, data)
        assert status(answer) in (0, 400, 421, 505)


@pytest.mark.parametrize("data", [b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 70_000])
async def test_also_an_answer_to_what_is_no_http_has_the_security_headers(besieged: Server, data: bytes) -> None:
    answer = await attack(besieged.port, data)
    assert status(answer) in (400, 431)
    assert answer is not None
    for line in (b"content-security-policy: default-src 'none'", b"x-content-type-options: nosniff"):
        assert line in answer.lower()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("?healthz", 400), ("healthz", 400), ("http://[::1/healthz", 400), ("http:///healthz", 400), ("#", 400),
        ("evil.example:80", 400), ("*", 303), ("http://evil.example/healthz", 200), ("http://evil.example", 303),
        ("//evil.example/healthz", 303), ("/healthz?" + "%" * 100, 200), ("/%", 303),
    ],
)  # fmt: skip
async def test_a_target_in_a_form_that_there_is_not_is_refused(besieged: Server, target: str, expected: int) -> None:
    answer = await attack(besieged.port, request(besieged, target, "Connection: close"))
    assert status(answer) == expected


async def test_an_offer_of_http_2_is_not_taken_up(besieged: Server) -> None:
    offer = "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__", "Connection: Upgrade, HTTP2-Settings, close"
    answer = await attack(besieged.port, request(besieged, "/healthz", *offer))
    assert status(answer) == 200


# ---- many connections of one address


async def some_are_refused(port: int, of: int, at_least: int) -> bool:
    """Whether of so many silent connections so many are closed, before any of them would be for its silence. A machine
    that is too busy to make them all by then tries again."""
    for _ in range(5):
        refused = 0
        enough = trio.Event()
        until = trio.current_time() + HEADERS_SECONDS - 1

        async def look(stream: trio.SocketStream, enough: trio.Event = enough) -> None:
            nonlocal refused
            with contextlib.suppress(trio.BrokenResourceError):
                while await stream.receive_some(65536):
                    pass
            refused += 1
            if refused == at_least:
                enough.set()

        async with crowd() as gathered, trio.open_nursery() as nursery:
            with trio.move_on_at(until):
                for _ in range(of):
                    nursery.start_soon(look, await gathered.join(port))
                await enough.wait()
                nursery.cancel_scope.cancel()
                return True
            nursery.cancel_scope.cancel()
    return False


async def test_strangers_of_one_address_are_bounded_and_who_signed_in_is_not(
    besieged: Server, host: SimCredential
) -> None:
    """More of both than strangers may be, browsers on one port and agents on the other. The browsers' answers are
    streams, which stay open however long all this takes: no deadline of the server is theirs."""

    async def hears(browser: trio.SocketStream, what: bytes) -> None:
        heard = b""
        with trio.fail_after(60):
            while what not in heard:
                chunk = await browser.receive_some(65536)
                assert chunk, "the server closed a connection that has signed in"
                heard += chunk

    async with crowd() as browsers:
        for _ in range(PER_ADDRESS + 30):
            browser = await browsers.join(besieged.port, request(besieged, "/events", token=besieged.token))
            await hears(browser, b": connected")
        for port in (besieged.port, besieged.agent_port):
            assert await some_are_refused(port, of=PER_ADDRESS + 20, at_least=20), port
        async with besieged.client() as client:
            silence = {"reason": "all browsers hear of it", "ends_at": "9999-01-01T00:00:00Z", "kind": "prune_failed"}
            made = await client.post("/api/silences", json=silence)
            assert made.status_code == 201, made.text
            for browser in browsers.streams:
                await hears(browser, b"data: ")
            await client.delete(f"/api/silences/{made.json()['id']}")


async def test_guessing_credentials_is_slowed_down_and_nobody_is_kept_out_for_good(server: Server) -> None:
    """Each wrong token keeps its place among the address's strangers for some seconds."""
    answers: list[bytes | None] = []

    async def guess(number: int) -> None:
        answers.append(await attack(server.agent_port, upgrade(f"rmh_{number}")))

    host = await enroll_host(server, "nas")
    async with bystanders(server):
        async with trio.open_nursery() as nursery:
            for number in range(3 * PER_ADDRESS):
                nursery.start_soon(guess, number)
        assert Counter(map(status, answers)).keys() == {401, 0}
        with trio.fail_after(60):
            while not await is_let_in(server, host):  # noqa: ASYNC110 - places that become free tell nobody
                await trio.sleep(0.2)


async def is_let_in(server: Server, host: SimCredential) -> bool:
    """Whether the agents' port takes this agent. False where it closes without an answer: all places are taken."""
    async with await connect(server.agent_port) as stream:
        await pour(stream, upgrade(host.token))
        try:
            answer = await stream.receive_some(65536)
        except trio.BrokenResourceError:
            return False
    assert answer == b"" or answer.startswith(b"HTTP/1.1 101 "), answer
    return answer != b""


async def test_signed_in_agents_of_one_address_are_not_capped(besieged: Server, host: SimCredential) -> None:
    async def one(task_status: trio.TaskStatus[None]) -> None:
        async with raw_link(besieged, host.token) as link:
            await link.hello(purpose="report")  # these replace nobody
            task_status.started()
            await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        with trio.fail_after(30):
            for _ in range(PER_ADDRESS + 30):
                await nursery.start(one)
        assert len(nursery.child_tasks) == PER_ADDRESS + 30
        nursery.cancel_scope.cancel()


# ---- who is slow


async def test_headers_must_be_complete_within_fifteen_seconds_of_connecting(besieged: Server) -> None:
    """Silent ones, ones that send a byte now and then, and ones whose second request is slow: all at once, on both
    ports. This test alone waits for a deadline."""
    took: list[tuple[str, float]] = []
    until = trio.current_time() + HEADERS_SECONDS + 15

    async def slow(name: str, port: int, first: bytes, *, dribble: bool) -> None:
        async with await connect(port) as stream:
            began = trio.current_time()
            await stream.send_all(first)
            if b"\r\n\r\n" in first:
                await stream.receive_some(65536)
            async with trio.open_nursery() as nursery:
                if dribble:
                    nursery.start_soon(send_slowly, stream)
                closed = await read_all(stream, until - trio.current_time())
                nursery.cancel_scope.cancel()
            assert closed is not None, f"{name} on {port} is still open"
            took.append((name, trio.current_time() - began))

    async def send_slowly(stream: trio.SocketStream) -> None:
        try:
            while True:
                await stream.send_all(b"X")
                await trio.sleep(0.5)
        except trio.BrokenResourceError:
            pass  # closed: that is what is waited for

    async with trio.open_nursery() as nursery:
        for port in (besieged.port, besieged.agent_port):
            for _ in range(40):
                nursery.start_soon(lambda port=port: slow("silent", port, b"", dribble=False))
                nursery.start_soon(lambda port=port: slow("slow", port, b"GET / HTTP/1.1\r\nX-", dribble=True))
        answered = request(besieged, "/healthz")
        nursery.start_soon(lambda: slow("idle", besieged.port, answered, dribble=False))
        nursery.start_soon(lambda: slow("slow again", besieged.port, answered, dribble=True))
        async with besieged.client() as client:  # meanwhile others are served
            assert (await client.get("/api/hosts")).status_code == 200
    assert len(took) == 162
    assert {name for name, _ in took} == {"silent", "slow", "idle", "slow again"}
    assert max(seconds for _, seconds in took) < HEADERS_SECONDS + 30


# ---- the end


async def test_sigterm_is_obeyed_under_all_of_it(server: Server) -> None:
    credential = await enroll_host(server, "hostile")
    token = server.token
    unread = frame(json.dumps({"type": "from_the_future"}).encode()) * 20_000
    hostile = [
        (server.port, b""),
        (server.port, b"GET / HTTP/1.1\r\nX-"),
        (server.port, request(server, "/healthz")),
        (server.port, request(server, "/events", token=token)),
        (server.port, request(server, "/api/openapi.json", token=token) * 500),
        (server.port, request(server, "/login", "Content-Length: 60000", method="POST") + b"x"),
        (server.agent_port, b""),
        (server.agent_port, upgrade() + b"\xff" * 100),
        (server.agent_port, upgrade(credential.token) + frame(json.dumps(hello()).encode()) + unread),
    ]
    async with crowd() as gathered:
        async with trio.open_nursery() as nursery:
            for port, data in hostile * 10:
                nursery.start_soon(partial(gathered.join, port, data, receive_buffer=4096))
        code, took = await away(server.stop)
    assert code == 0, server.log[-4000:]
    assert took < STOP_SECONDS
    assert "Traceback" not in server.log, server.log[-4000:]
