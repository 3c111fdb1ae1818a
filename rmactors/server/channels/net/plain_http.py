"""The plainest exchange of HTTP/1.1, which nearly all notifications are: a request with its length, and a short answer
that comes whole. Pure.

Anything else is for h11, which costs ten times as much: what is not as plain as here gives None.
"""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

MOST_BYTES: Final = 4096
_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
_TARGET: Final = re.compile(rb"/[\x21-\x7e]*")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE: Final = re.compile(rb"(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?")
_STATUS: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e\x80-\xff]*)?")
_LENGTH: Final = re.compile(rb"[0-9]{1,4}")

Headers = Iterable[tuple[bytes, bytes]]


class Answer(NamedTuple):
    """Names of headers in lower case."""

    status_code: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def request(method: str, target: bytes, headers: Headers, body: bytes) -> bytes | None:
    """The request as it goes out, all of it."""
    lines, lengths, hosts = [], 0, 0
    for name, value in headers:
        lower = name.lower()
        if not (_NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            return None
        if lower in (b"transfer-encoding", b"connection", b"expect", b"upgrade", b"te"):
            return None
        hosts += lower == b"host"
        if lower == b"content-length":
            lengths += 1
            if value != b"%d" % len(body):
                return None
        lines.append(name + b": " + value)
    if method not in _METHODS or not _TARGET.fullmatch(target) or hosts != 1 or lengths != 1:
        return None
    return method.encode() + b" " + target + b" HTTP/1.1\r\n" + b"\r\n".join(lines) + b"\r\n\r\n" + body


def answer(data: bytes) -> Answer | None:
    """The answer, if these bytes are all of it, nothing follows, and the connection can be used again."""
    head, end, body = data.partition(b"\r\n\r\n")
    if not end or len(data) > MOST_BYTES:
        return None
    first, *lines = head.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or status[1] == b"304":
        return None
    headers: list[tuple[bytes, bytes]] = []
    length: bytes | None = None
    for line in lines:
        name, colon, value = line.partition(b":")
        name, value = name.lower(), value.strip(b" \t")
        if not (colon and _NAME.fullmatch(name) and _VALUE.fullmatch(value)):
            return None
        match name:
            case b"content-length":
                if length is not None or not _LENGTH.fullmatch(value):
                    return None
                length = value
            case b"transfer-encoding" | b"upgrade":
                return None
            case b"connection":
                if value.lower() != b"keep-alive":
                    return None
            case _:
                pass
        headers.append((name, value))
    if status[1] == b"204":  # has no body, whatever its length says
        length = b"0" if length is None else length
        if body:
            return None
    if length is None or int(length) != len(body):
        return None
    return Answer(int(status[1]), headers, body)
