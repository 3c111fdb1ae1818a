"""The plainest exchange makes and takes what h11 makes and takes, and leaves alone what is less plain."""

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.channels.net import plain_http

HEADERS = [(b"Host", b"ops.example"), (b"User-Agent", b"x/1"), (b"X-Words", b"a \xe4\tb"), (b"Content-Length", b"2")]


def with_h11(method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    http = h11.Connection(h11.CLIENT)
    events = (h11.Request(method=method, target=target, headers=headers), h11.Data(data=body), h11.EndOfMessage())
    return b"".join(http.send(event) or b"" for event in events)


def read_by_h11(data: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes, bool]:
    """Status, headers, body, and whether the connection can be used again."""
    http = h11.Connection(h11.CLIENT)
    for event in (h11.Request(method="POST", target=b"/", headers=[(b"Host", b"x")]), h11.EndOfMessage()):
        http.send(event)
    http.receive_data(data)
    head, body = http.next_event(), b""
    assert isinstance(head, h11.Response)
    while isinstance(event := http.next_event(), h11.Data):
        body += bytes(event.data)
    return head.status_code, list(head.headers), body, http.their_state is h11.DONE and not http.trailing_data[0]


@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE"])
def test_a_request_is_that_of_h11(method: str) -> None:
    made = plain_http.request(method, b"/a%20b?c=d", HEADERS, b"{}")
    assert made == with_h11(method, b"/a%20b?c=d", HEADERS, b"{}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (b"X-A", b"a\r\nX-B: c"), (b"X-A", b"a\nb"), (b"X-A", b"a\0b"), (b"X-A", b" a"), (b"X-A", b"a "),
        (b"X A", b"a"), (b"X-A:", b"a"), (b"", b"a"), (b"X\r\n", b"a"), (b"Transfer-Encoding", b"chunked"),
        (b"Connection", b"close"), (b"Expect", b"100-continue"), (b"Content-Length", b"3"), (b"Host", b"another"),
        (b"Upgrade", b"h2c"),
    ],
)  # fmt: skip
def test_a_request_that_is_not_plain_is_left_to_h11(name: bytes, value: bytes) -> None:
    assert plain_http.request("POST", b"/", [*HEADERS, (name, value)], b"{}") is None


@pytest.mark.parametrize(
    ("method", "target", "headers", "body"),
    [
        ("HEAD", b"/", HEADERS, b"{}"),
        ("POST", b"/a b", HEADERS, b"{}"),
        ("POST", b"/\r\n", HEADERS, b"{}"),
        ("POST", b"http://x/", HEADERS, b"{}"),
        ("POST", b"/", HEADERS, b"{ }"),
        ("POST", b"/", HEADERS[:-1], b""),
        ("POST", b"/", HEADERS[1:], b"{}"),
    ],
)
def test_so_is_one_of_another_shape(
    method: str, target: bytes, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    assert plain_http.request(method, target, headers, body) is None


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 429 \r\nretry-after:  5 \r\ncontent-length: 0\r\nConnection: Keep-Alive\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 503 Service Unavailable\r\nX: \r\nServer: a b\tc\r\nContent-Length: 3\r\n\r\n\r\n\0",
    ],
)
def test_a_whole_short_answer_is_read_as_h11_reads_it(data: bytes) -> None:
    found = plain_http.answer(data)
    assert found is not None
    assert (*found, True) == read_by_h11(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n Content-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000,
    ],
)
def test_an_answer_that_is_not_plain_is_left_to_h11(data: bytes) -> None:
    assert plain_http.answer(data) is None


_LINES = st.sampled_from([
    b"Content-Length: 2", b"content-length:2 ", b"X-A: b", b"Connection: keep-alive", b"Connection: close",
    b"X: \x80", b"Y:", b"Date: now",
])  # fmt: skip


@given(st.sampled_from([b"200 OK", b"404", b"204 No", b"500 "]), st.lists(_LINES, max_size=5), st.binary(max_size=4))
def test_whatever_is_plain_enough_means_the_same_to_h11(status: bytes, lines: list[bytes], body: bytes) -> None:
    data = b"\r\n".join([b"HTTP/1.1 " + status, *lines]) + b"\r\n\r\n" + body
    if (found := plain_http.answer(data)) is not None:
        assert (*found, True) == read_by_h11(data)
