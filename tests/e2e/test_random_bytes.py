"""Requests, upgrades and frames with random damage, on both ports of a real server: it answers or closes, and lives on.

Each case begins as something valid and is damaged a few times: bits flipped, pieces cut out, doubled, swapped or put in
from elsewhere. The damage follows from a seed, so that a case which fails once fails again: `RM_FUZZ_SEED` gives
another, `RM_FUZZ_CASES` how many. Nothing may end the process, make a 5xx or a traceback, be kept in memory, or be
noticed by the bystanders.
"""

import json
import os
import random
import re
from collections import Counter
from collections.abc import Sequence

import pytest
import trio

from harness.agents import ended, hello
from harness.hostile import attack, connect, frame, pour, request, upgrade
from harness.processes import Server
from rmactors.common import ids, wire
from rmactors.server.edges.preauth_limits import PER_ADDRESS
from rmactors.simulate.agent import SimCredential

SEED = int(os.environ.get("RM_FUZZ_SEED", "20261127"))
CASES = int(os.environ.get("RM_FUZZ_CASES", "600"))
AT_ONCE = 25
STRANGERS = PER_ADDRESS - 2 * AT_ONCE
"""Cases that may show a wrong token: each is counted for a while, and beside each goes an intact request."""
LISTEN_SECONDS = 0.1
"""For an answer, after an intact request that was sent later has had its own. Much of what is damaged is the beginning
of something, which the server waits for the rest of."""
UNKNOWN_CODING = 501
"""What RFC 9112 has a server say to `Transfer-Encoding: chunced`."""
INTERESTING = (
    b"\0", b"\r\n", b"\r\n\r\n", b"\xff", b"\xc0\xaf", b"-1", b"18446744073709551616", b"chunked", b"{", b"[" * 500,
    b'"', b"\\u0000", b"\\ud800", b"%00", b"../", b"1e999", b"null", b"\x81\xfe\xff\xff", b"\x88\x80", bytes(4),
)  # fmt: skip


def damaged(chance: random.Random, whole: bytes, others: Sequence[bytes]) -> bytes:
    """`whole` with one to six injuries."""
    data = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        at = chance.randrange(len(data) + 1)
        to = min(len(data), at + chance.randint(1, 40))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = data[at:to] * chance.choice((1, 2, 200))
            case 3:
                data[at:at] = chance.choice(INTERESTING)
            case 4:
                data[at:to] = chance.randbytes(chance.randint(1, 40))
            case 5:
                other = chance.choice(others)
                data[at:to] = other[chance.randrange(len(other)) :][: chance.randint(1, 200)]
            case _:
                del data[at + chance.randint(0, 400) :]
    return bytes(data)


def requests(server: Server) -> list[bytes]:
    """Requests to the pages' port, of strangers and of the signed in, with bodies of all kinds."""
    sent = [
        request(server, target, token=token)
        for target in ("/", "/healthz", "/login?next=/alerts", "/api/alerts?q=a%20b&limit=5", "/static/style.css")
        for token in ("", server.token)
    ]
    for target, kind, body in (
        ("/login", "application/x-www-form-urlencoded", b"username=anna&password=a+long+phrase&next=%2F"),
        ("/setup", "multipart/form-data; boundary=xyz",
         b'--xyz\r\nContent-Disposition: form-data; name="username"\r\n\r\nanna\r\n--xyz--\r\n'),
        ("/api/silences", "application/json", b'{"reason": "r", "ends_at": "2999-01-01T00:00:00Z", "tag": "x"}'),
        ("/api/notifications/preview", "application/json",
         b'{"kind": "webhook", "name": "n", "config": {"url": "http://127.0.0.1/x", "bearer_token": "t"}}'),
    ):  # fmt: skip
        said = (f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        sent.append(request(server, target, *said, method="POST", token=server.token) + body)
        chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        sent.append(request(server, target, said[0], "Transfer-Encoding: chunked", method="POST") + chunks)
    return [*sent, sent[0] + sent[1] + sent[-1]]


def messages() -> list[bytes]:
    """What an agent says after its hello."""
    job = {"job_id": ids.new(), "kind": "backup", "started_at": "2026-01-01T00:00:00Z"}
    return [
        wire.encode(ended("home", "failed")(1)).encode(),
        json.dumps(hello(spool_id="s", running_jobs=[ids.new()], plans=[{"name": "home"}])).encode(),
        json.dumps({"type": "job_started", "seq": 2, **job}).encode(),
        json.dumps({"type": "job_progress", "job_id": job["job_id"], "percent": 5.5, "bytes_done": 1}).encode(),
        json.dumps({"type": "job_log", "job_id": job["job_id"], "first_line": 0,
                    "lines": [{"stream": "stdout", "text": "x"}]}).encode(),
        b'{"type": "heartbeat", "utc_now": "2026-01-01T00:00:00Z"}',
    ]  # fmt: skip


async def tried(port: int, cases: Sequence[bytes], head: bytes = b"") -> tuple[Counter[int], list[bytes]]:
    """Each on a connection of its own, after `head` and its answer. The statuses of all answers to the cases, 0 where
    there was none, and the cases that got a wrong one."""
    statuses, wrong = Counter[int](), []
    limit = trio.CapacityLimiter(AT_ONCE)
    intact = f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode()

    async def one(data: bytes) -> None:
        async with limit, await connect(port) as stream:
            if head:
                await pour(stream, head)
                with trio.fail_after(30):
                    assert b" 101 " in await stream.receive_some(65536)
            heard = b""
            if await pour(stream, data):
                await attack(port, intact, 30.0)
                heard = await read_for(stream, LISTEN_SECONDS)
        found = [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", heard)]
        statuses.update(found or [0])
        if any(status >= 500 and status != UNKNOWN_CODING for status in found):
            wrong.append(data)

    async with trio.open_nursery() as nursery:
        for data in cases:
            nursery.start_soon(one, data)
    return statuses, wrong


async def read_for(stream: trio.SocketStream, seconds: float) -> bytes:
    """What comes within that time, or until the server closes."""
    heard = b""
    with trio.move_on_after(seconds):
        try:
            while chunk := await stream.receive_some(65536):
                heard += chunk
        except trio.BrokenResourceError:
            pass  # a reset is an answer as well
    return heard


def many(count: int, wholes: Sequence[bytes]) -> list[bytes]:
    chance = random.Random(SEED)
    return [damaged(chance, chance.choice(wholes), wholes) for _ in range(count)]


async def test_damaged_requests_on_the_pages_port(besieged: Server) -> None:
    statuses, wrong = await tried(besieged.port, many(CASES, requests(besieged)))
    assert wrong == []
    assert {200, 400} <= set(statuses), statuses


async def test_damaged_upgrades_on_the_agents_port(besieged: Server, host: SimCredential) -> None:
    """No more than strangers of one address may be: who shows a wrong token is kept out for a while."""
    whole = [upgrade(host.token) + frame(json.dumps(hello()).encode()), upgrade("rmh_wrong"), upgrade()]
    statuses, wrong = await tried(besieged.agent_port, many(STRANGERS, whole))
    assert wrong == []
    assert {101, 400} <= set(statuses), statuses


async def test_damaged_frames_of_a_signed_in_agent(besieged: Server, host: SimCredential) -> None:
    """Half of them broken as frames, half as the messages in them."""
    head = upgrade(host.token) + frame(json.dumps(hello(purpose="report")).encode())
    as_frames = many(CASES // 2, [frame(message) for message in messages()])
    as_messages = [frame(data) for data in many(CASES // 2, messages())]
    await tried(besieged.agent_port, as_frames + as_messages, head)


@pytest.mark.parametrize("port", ["port", "agent_port"])
async def test_noise_without_any_form(besieged: Server, port: str) -> None:
    chance = random.Random(SEED)
    cases = [chance.randbytes(chance.choice((1, 10, 1_000, 20_000))) for _ in range(STRANGERS)]
    statuses, wrong = await tried(getattr(besieged, port), cases)
    assert wrong == []
    assert set(statuses) <= {0, 400, 431}, statuses
