"""What is not our server in answer to the upgrade: told apart, in one plain sentence, and no word about the token."""

import base64
import hashlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from rmactors.agent.agent_file import AgentFile
from rmactors.agent.client_certificate import ASKS_FOR_ONE
from rmactors.agent.connection import LinkDown, Timings, dial
from rmactors.agent.daemon import run_agent
from rmactors.agent.enrollment import EnrollmentFailed, enroll
from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.agent.upgrade import MOST_HEAD, Answer

from .conftest import FAST
from .server_double import eventually
from .test_server_link import pause_in

PLACE = "nas.example"
NO_WEBSOCKET = f"{PLACE} does not speak WebSocket: "
BEARER = "WWW-Authenticate: Bearer"
OLD_401 = "the token is wrong, used, expired or revoked\n"
UNKNOWN_TOKEN = "the server does not know this token: it is wrong, used, expired or revoked"
MINE = "X-Restic-Manager: agents"


def http(status: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", body]).encode()


def sized(status: str, *headers: str, body: str) -> bytes:
    return http(status, *headers, f"Content-Length: {len(body)}", body=body)


HTTP_2 = b"\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x80"
ENDLESS = b"HTTP/1.1 101 Switching\r\n" + b"X-Pad: more\r\n" * (MOST_HEAD // 10)

VERDICTS: dict[str, tuple[bytes, str, int | None]] = {
    # what comes, before the connection ends → the sentence, and the status where it was the server that spoke
    "nothing": (b"", "the server hung up before the upgrade", None),
    "a banner": (b"SSH-2.0-OpenSSH_9.2\r\n", f"{NO_WEBSOCKET}it says 'SSH-2.0-OpenSSH_9.2'", None),
    "HTTP/2": (HTTP_2, f"{NO_WEBSOCKET}it says something that is not HTTP", None),
    "what a terminal would obey": (b"\x1b[2J\x1b[31m", f"{NO_WEBSOCKET}it says something that is not HTTP", None),
    "a status that is none": (http("abc OK"), f"{NO_WEBSOCKET}it says 'HTTP/1.1 abc OK'", None),
    "half a head": (b"HTTP/1.1 101 Swi", f"{NO_WEBSOCKET}it says 'HTTP/1.1 101 Swi' and hangs up", None),
    "an endless head": (ENDLESS, f"{NO_WEBSOCKET}the head of its answer has no end", None),
    "too many headers": (http("200 OK", *["A: b"] * 500), f"{NO_WEBSOCKET}it says 'HTTP/1.1 200 OK'", None),
    "a page": (
        sized("200 OK", "Content-Type: text/html; charset=utf-8", body="<p>Log in"),
        f"{NO_WEBSOCKET}it answers HTTP 200 with text/html. Is a proxy or portal in between?", None,
    ),
    "nothing with 204": (
        http("204 No Content"), f"{NO_WEBSOCKET}it answers HTTP 204. Is a proxy or portal in between?", None,
    ),
    "a portal": (
        http("302 Found", "Location: https://user:pw@portal.example:8443/login?for=nas&session=s3cret"),
        "a proxy or portal in between answers HTTP 302 (to portal.example)", None,
    ),
    "a portal that says no host": (
        http("303 See Other", "Location: /login"), "a proxy or portal in between answers HTTP 303", None,
    ),
    "a portal at no place": (
        http("307 See", "Location: http://[oops"), "a proxy or portal in between answers HTTP 307", None,
    ),
    "a proxy that wants a password": (
        sized("401 Unauthorized", 'WWW-Authenticate: Basic realm="x"', body="no"),
        "a proxy or portal in between answers HTTP 401", None,
    ),
    "a proxy that wants a token": (
        sized("401 Unauthorized", BEARER, body="no"), "a proxy or portal in between answers HTTP 401", None,
    ),
    "a 401 without a word": (http("401 No"), "a proxy or portal in between answers HTTP 401", None),
    "an ingress that starts": (
        sized("404 Not Found", body="default backend"),
        "a proxy or portal in between answers HTTP 404: is this the address of the agents' port?", None,
    ),
    "a proxy that forbids": (http("403 Forbidden"), "a proxy or portal in between answers HTTP 403", None),
    "a proxy without a server": (http("502 Bad"), "a proxy or portal in between answers HTTP 502", None),
    "a proxy that passes on no upgrade": (
        sized("400 Bad Request", body=""),
        "a proxy or portal in between answers HTTP 400: does it pass on upgrades to WebSocket?", None,
    ),
    "nginx without a client certificate": (
        sized("400 Bad Request", body="<title>400 No required SSL certificate was sent</title>"),
        ASKS_FOR_ONE, None,
    ),
    "nginx with another client certificate": (
        sized("400 Bad Request", body="<title>400 The SSL certificate error</title>"),
        "the server does not accept this host's client certificate (HTTP 400)", None,
    ),
    "a body without end": (
        http("400 Bad", "Transfer-Encoding: chunked", body="x" * 5000),
        "a proxy or portal in between answers HTTP 400: does it pass on upgrades to WebSocket?", None,
    ),
    "a length that is none": (
        http("400 Bad", "Content-Length: much", body="x" * 2000),
        "a proxy or portal in between answers HTTP 400: does it pass on upgrades to WebSocket?", None,
    ),
    "the server": (sized("401 ", MINE, BEARER, body=OLD_401), UNKNOWN_TOKEN, 401),
    "the server behind a proxy that rewrites": (http("401 No", "x-restic-manager: agents"), UNKNOWN_TOKEN, 401),
    "a server without the header": (sized("401 ", BEARER, body=OLD_401), UNKNOWN_TOKEN, 401),
    "the server's 403": (http("403 ", MINE), "the server refuses the connection (HTTP 403)", 403),
    "the server's 404": (
        http("404 ", MINE),
        "there is no agents' WebSocket at this address (HTTP 404): is it the agents' port?", 404,
    ),
    "the server's 503": (http("503 ", MINE), "the server answers HTTP 503", 503),
    "the port of pages": (
        http("303 ", "X-Restic-Manager: pages", "Location: /login"),
        "this is the server's port for pages (HTTP 303): agents connect to its agents' port", 303,
    ),
    "after what is no end": (
        http("102 Processing") + http("103 Early Hints") + http("502 Bad"),
        "a proxy or portal in between answers HTTP 502", None,
    ),
    "line feeds alone": (
        b"HTTP/1.0 302 Found\nLocation: http://portal.example/\n\n",
        "a proxy or portal in between answers HTTP 302 (to portal.example)", None,
    ),
}  # fmt: skip


def verdict(pieces: list[bytes]) -> LinkDown:
    answer = Answer(PLACE)
    for piece in pieces:
        if (found := answer.feed(piece)) is not None:
            return found
    return answer.ended()


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[n : n + size] for n in range(0, len(data), size)]


@pytest.mark.parametrize(("data", "words", "status"), VERDICTS.values(), ids=VERDICTS)
def test_who_answers_is_said_however_the_answer_is_cut(data: bytes, words: str, status: int | None) -> None:
    sizes = (1, 7, 40, len(data) + 1) if len(data) < 1000 else (900, len(data))
    for size in sizes if data.startswith(b"HTTP/1.") else (24,):
        down = verdict(cut(data, size))
        assert (down.reason, down.status, down.code) == (words, status, None)


def test_an_upgrade_is_passed_on_with_all_that_follows_it() -> None:
    switch = http("101 Switching Protocols", "Upgrade: websocket", MINE)
    for size in (1, 5, 1000):
        answer, passed = Answer(PLACE), b""
        for piece in cut(http("102 Processing") + switch + b"\x81\x02{}", size):
            before = answer.switched
            assert answer.feed(piece) is None
            passed += piece if before else answer.rest
        assert passed == switch + b"\x81\x02{}"


# ---- over real connections


@asynccontextmanager
async def answering(*parts: bytes, keep_open: bool = False) -> AsyncIterator[str]:
    """Something that says the same to everybody, and how to reach it. `{accept}` becomes the key that fits."""

    async def serve(stream: trio.SocketStream) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            request += bytes(await stream.receive_some())
        key = next(a for a in request.split(b"\r\n") if a.lower().startswith(b"sec-websocket-key:"))[18:].strip()
        summary = hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
        for part in parts:
            await stream.send_all(part.replace(b"{accept}", base64.b64encode(summary)))
        if keep_open:
            await trio.sleep_forever()
        await stream.send_eof()
        async for _ in stream:
            pass

    async def contained(stream: trio.SocketStream) -> None:
        try:
            async with stream:
                await serve(stream)
        except trio.BrokenResourceError:
            pass

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, contained, 0, host="127.0.0.1"))
        yield f"ws://127.0.0.1:{listeners[0].socket.getsockname()[1]}/ws/agent"
        nursery.cancel_scope.cancel()


async def end_of(url: str, talk: bool) -> LinkDown:
    with pytest.raises(LinkDown) as caught:
        await listen(url, talk)
    return caught.value


async def listen(url: str, talk: bool) -> None:
    async with dial(url, "token", None, Timings()) as connection:
        assert talk, "there is no upgrade"
        while True:
            await connection.receive()


GOOD = [b"Upgrade: websocket", b"Connection: Upgrade", b"Sec-WebSocket-Accept: {accept}"]


def switching(*headers: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *headers, b"", b""])


NO_UPGRADES = {
    "a wrong key": switching(*GOOD[:2], b"Sec-WebSocket-Accept: bm90IHRoaXMgb25lLCBubw=="),
    "no key": switching(*GOOD[:2]),
    "no upgrade": switching(*GOOD[1:]),
    "another protocol": switching(b"Upgrade: h2c", *GOOD[1:]),
    "a language that nobody asked for": switching(*GOOD, b"Sec-WebSocket-Protocol: graphql"),
    "a language of other letters": switching(*GOOD, b"Sec-WebSocket-Protocol: \xfc"),
    "an extension that nobody asked for": switching(*GOOD, b"Sec-WebSocket-Extensions: permessage-deflate"),
    "a header that is none": switching(*GOOD, b"\x00: \x00"),
    "HTTP/2": HTTP_2,
    "a page": sized("200 OK", "Content-Type: text/html", body="<p>Log in"),
}


@pytest.mark.parametrize("answer", NO_UPGRADES.values(), ids=NO_UPGRADES)
@pytest.mark.parametrize("keep_open", [True, False])
async def test_what_is_no_upgrade_is_one_plain_sentence(answer: bytes, keep_open: bool) -> None:
    async with answering(answer, keep_open=keep_open) as url:
        down = await end_of(url, talk=False)
    assert " does not speak WebSocket: " in down.reason
    assert (down.status, down.code) == (None, None)


NO_FRAMES = {
    "an opcode that is none": b"\x87\x00",
    "reserved bits": b"\xf1\x00",
    "a frame in pieces that does not begin": b"\x80\x00",
    "a mask": b"\x81\x81aaaaa",
    "no UTF-8": b"\x81\x02\xff\xff",
    "a long ping": b"\x89\x7e\x01\x00" + b"p" * 256,
    "HTML": b"<html><body>",
    "a close without sense": b"\x88\x01x",
    "a close with a code that is none": b"\x88\x02\x00\x00",
    "a close with words that are no UTF-8": b"\x88\x04\x03\xe8\xff\xff",
}


@pytest.mark.parametrize("frame", NO_FRAMES.values(), ids=NO_FRAMES)
async def test_what_is_no_frame_is_one_plain_sentence(frame: bytes) -> None:
    async with answering(switching(*GOOD) + frame, keep_open=True) as url:
        down = await end_of(url, talk=True)
    assert " does not speak WebSocket: " in down.reason
    assert down.status is None


async def test_a_refusal_whose_body_never_ends_is_said_all_the_same() -> None:
    async with answering(http("401 No", BEARER, "Content-Length: 900", body="half"), keep_open=True) as url:
        down = await end_of(url, talk=False)
    assert down.reason == "a proxy or portal in between answers HTTP 401"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (http("302 Found", "Location: http://portal.example/x"), "answers HTTP 302 (to portal.example)"),
        (sized("401 No", BEARER, body="who are you?"), "a proxy or portal in between answers HTTP 401"),
        (NO_UPGRADES["a wrong key"], "does not speak WebSocket"),
    ],
)
async def test_a_running_agent_tries_again_as_after_any_break_and_enrollment_says_the_same(
    state: StateDir, caplog: pytest.LogCaptureFixture, answer: bytes, words: str
) -> None:
    async with answering(answer) as url:
        with pytest.raises(EnrollmentFailed) as failed:
            await enroll(url, "token", state.path)
        assert words in str(failed.value)
        state.save_credential(HostCredential(url, "01JDX0000000000000000000AB", "nas", "agent-1"))

        def said() -> list[logging.LogRecord]:
            return [record for record in caplog.records if "trying again in" in record.getMessage()]

        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=FAST))
            await eventually(lambda: len(said()) >= 3)
            nursery.cancel_scope.cancel()
    assert all(words in record.getMessage() for record in said())
    assert all(pause_in(record.getMessage()) <= FAST.longest_pause for record in said())
    assert {record.levelno for record in said()} == {logging.WARNING}
    assert not [record for record in caplog.records if record.exc_info]
