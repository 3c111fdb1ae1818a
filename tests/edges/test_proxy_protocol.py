"""What a connection may begin with, and whose it is then."""

import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rmactors.server.edges.proxy_protocol import V1_BYTES, V2_BYTES, Header, read

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
FOUR = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2") + struct.pack("!HH", 4711, 443)
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(16) + struct.pack("!HH", 4711, 443)
MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:192.0.2.1") + bytes(16) + struct.pack("!HH", 1, 2)


def v2(family: int, payload: bytes, command: int = 0x21, length: int | None = None) -> bytes:
    size = len(payload) if length is None else length
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", size) + payload


def tlv(kind: int, value: bytes) -> bytes:
    return bytes([kind]) + struct.pack("!H", len(value)) + value


RIGHT: list[tuple[bytes, tuple[str, int] | None]] = [
    (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 443\r\n", ("192.0.2.1", 4711)),
    (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", ("255.255.255.255", 65535)),
    (b"PROXY TCP6 2001:db8::1 ::1 4711 443\r\n", ("2001:db8::1", 4711)),
    (b"PROXY TCP6 ::ffff:192.0.2.1 ::1 0 0\r\n", ("192.0.2.1", 0)),
    (b"PROXY UNKNOWN\r\n", None),
    (b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n", None),
    (v2(0x11, FOUR), ("192.0.2.1", 4711)),
    (v2(0x21, SIX), ("2001:db8::1", 4711)),
    (v2(0x21, MAPPED), ("192.0.2.1", 1)),
    (v2(0x11, FOUR + tlv(0x03, bytes(4)) + tlv(0x04, bytes(9)) + tlv(0xEA, b"\x01vpce-08d2")), ("192.0.2.1", 4711)),
    (v2(0x11, FOUR + b"\xff"), ("192.0.2.1", 4711)),  # what follows the addresses is not looked at
    (v2(0x11, FOUR + bytes(V2_BYTES - len(FOUR))), ("192.0.2.1", 4711)),
    (v2(0x00, b"", command=0x20), None),  # LOCAL: a health check
    (v2(0x11, FOUR, command=0x20), None),  # LOCAL: the address is not looked at
    (v2(0xFF, b"anything", command=0x20), None),
    (v2(0x00, b""), None),
    (v2(0x31, bytes(216)), None),  # a UNIX socket
    (v2(0x12, FOUR), None),  # UDP
]  # fmt: skip
WRONG = [
    b"GET / HTTP/1.1\r\n\r\n",
    b"POST / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01",
    b"proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY / HTTP/1.1\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n",
    b"PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n",
    b"PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
    b"PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 nobody 1 2\r\n",
    b"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    b"PROXY TCP6 ::1 fe80::1%eth0 1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 000002\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 \xb2\r\n",
    b"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n",
    b"PROXY UNKNOWN" + b"x" * V1_BYTES + b"\r\n",
    v2(0x11, FOUR, command=0x11),  # another version
    v2(0x11, FOUR, command=0x22),  # another command
    v2(0x41, FOUR),  # another family
    v2(0x13, FOUR),  # another transport
    v2(0x11, FOUR[:-1]),
    v2(0x21, SIX[:-1]),
    v2(0x11, FOUR, length=V2_BYTES + 1),
]


@pytest.mark.parametrize(("data", "source"), RIGHT, ids=range(len(RIGHT)))
def test_a_header_says_who_connects_and_where_the_rest_begins(data: bytes, source: tuple[str, int] | None) -> None:
    assert read(data) == Header(source, len(data))
    assert read(data + b"GET / HTTP/1.1\r\n\r\n") == Header(source, len(data))
    assert read(data + data) == Header(source, len(data)), "a second one is the client's"


@pytest.mark.parametrize(("data", "source"), RIGHT, ids=range(len(RIGHT)))
def test_a_header_may_come_in_any_pieces(data: bytes, source: tuple[str, int] | None) -> None:
    lengths = {*range(min(len(data), 300)), len(data) - 1}
    assert {read(data[:length]) for length in lengths} == {"more"}


@pytest.mark.parametrize("data", WRONG, ids=range(len(WRONG)))
def test_what_is_not_quite_one_is_none(data: bytes) -> None:
    assert read(data) is None


@given(
    st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE, SIGNATURE + b"\x21\x11"]), st.binary()
)
def test_whatever_comes_is_told_within_bounds(beginning: bytes, rest: bytes) -> None:
    """No more bytes are asked for than a header may have, and what was told stays so whatever follows."""
    data = beginning + rest
    told = read(data)
    if told == "more":
        assert len(data) < (V1_BYTES if data.startswith(b"P") else 16 + V2_BYTES)
    elif isinstance(told, Header):
        assert 0 < told.size <= len(data)
        assert read(data[: told.size]) == told
        assert read(data[: told.size - 1]) == "more"
    else:
        assert read(data + b"\r\n") is None


@given(st.ip_addresses(), st.integers(0, 65535))
def test_both_versions_say_the_same(address: object, port: int) -> None:
    packed: bytes = address.packed  # type: ignore[attr-defined]
    family, name = (0x11, "TCP4") if len(packed) == 4 else (0x21, "TCP6")
    line = f"PROXY {name} {address} {address} {port} 1\r\n".encode()
    one, two = read(line), read(v2(family, packed * 2 + struct.pack("!HH", port, 1)))
    assert isinstance(one, Header)
    assert isinstance(two, Header)
    assert one.source == two.source
    assert one.source is not None
    assert one.source[1] == port
