"""A WebSocket client that costs next to nothing, because it shares two cores with what it measures.

One connection of one host: frames are made beforehand, acks are counted and not decoded further than that. A real
client library costs this process as much per report as the server spends on it, and would be what is measured.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

import trio

from rmactors.common import ids, wire
from rmactors.common.vocabulary import JobKind
from rmactors.simulate.agent import SimCredential


class Refused(Exception):
    """The server closed the connection or refused a report, so that the measurement means nothing."""


def text_frame(payload: str) -> bytes:
    """A client's text frame. The mask is all zeros, which is a mask like any other to the server."""
    data = payload.encode()
    if len(data) < 126:
        return bytes((0x81, 0x80 | len(data), 0, 0, 0, 0)) + data
    if len(data) < 65536:
        return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data
    return b"\x81\xff" + len(data).to_bytes(8, "big") + bytes(4) + data


def report_frame(seq: int, plan: str, *, failed: bool = True, kind: JobKind = "backup") -> bytes:
    """A `job_finished` as a frame, with a fresh job."""
    now = wire.utc_now()
    report = wire.JobFinished(
        seq=seq,
        job_id=ids.new(),
        kind=kind,
        plan=plan,
        status="failed" if failed else "succeeded",
        reason="error" if failed else "ok",
        error="Fatal: unable to open config file: connection refused" if failed else None,
        exit_code=1 if failed else 0,
        started_at=now - timedelta(seconds=60),
        finished_at=now,
    )
    return text_frame(wire.encode(report))


class RawSocket:
    """A host's connection, open and welcomed. `next_seq` is for the test that makes its reports."""

    def __init__(self, stream: trio.SocketStream, credential: SimCredential) -> None:
        self.credential = credential
        self.next_seq = 1
        self._stream = stream
        self._buffer = bytearray()

    @classmethod
    async def connect(
        cls,
        port: int,
        credential: SimCredential,
        purpose: Literal["agent", "report"] = "agent",
        *,
        spooled: int = 0,
        local_address: str | None = None,
    ) -> "RawSocket":
        """`spooled` is how many reports follow, as its hello says."""
        link = cls(await trio.open_tcp_stream("127.0.0.1", port, local_address=local_address), credential)
        try:
            await link._begin(port, purpose, spooled)
        except BaseException:
            await link.aclose()
            raise
        return link

    async def _begin(self, port: int, purpose: Literal["agent", "report"], spooled: int) -> None:
        """Raises Refused, and what a broken connection raises."""
        request = (
            f"GET {wire.PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {self.credential.token}\r\n\r\n"
        )
        await self._stream.send_all(request.encode())
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            await self._read()
        if b" 101 " not in self._buffer[:20]:
            raise Refused(bytes(self._buffer[:end]).decode("latin-1"))
        del self._buffer[: end + 4]
        hello = wire.Hello(
            wire.ProtocolRange(1, 1),
            ids.new(),
            purpose,
            ids.new(),
            hostname=self.credential.name,
            os="linux",
            arch="x86_64",
            spooled=spooled,
        )
        await self._stream.send_all(text_frame(wire.encode(hello)))
        while not any(b'"welcome"' in payload for payload in self._payloads()):
            await self._read()

    def report(self, plan: str, *, failed: bool = True, kind: JobKind = "backup") -> bytes:
        frame = report_frame(self.next_seq, plan, failed=failed, kind=kind)
        self.next_seq += 1
        return frame

    async def send(self, data: bytes) -> None:
        await self._stream.send_all(data)

    async def heartbeat(self) -> None:
        await self._stream.send_all(text_frame(wire.encode(wire.Heartbeat(wire.utc_now()))))

    async def pump(self, frames: list[bytes], window: int) -> None:
        """Send all, one report a frame, never more than `window` of them unacked, until all are acked."""
        sent = acked = 0
        while acked < len(frames):
            if room := min(window - (sent - acked), len(frames) - sent):
                await self._stream.send_all(b"".join(frames[sent : sent + room]))
                sent += room
            acked += await self.acks()

    async def acks(self) -> int:
        """Wait for acks, and say how many came. Raises Refused."""
        while True:
            count = 0
            for payload in self._payloads():
                if b'"ack"' in payload:
                    if b'"refused"' in payload:
                        raise Refused(payload.decode())
                    count += 1
                elif b'"error"' in payload:
                    raise Refused(payload.decode())
            if count:
                return count
            await self._read()

    async def swallow(self) -> None:
        """Read and forget, until cancelled."""
        while True:
            await self._read()
            for _ in self._payloads():
                pass

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    async def _read(self) -> None:
        if not (chunk := await self._stream.receive_some(65536)):
            raise Refused(f"{self.credential.name}: the server closed the connection")
        self._buffer += chunk

    def _payloads(self) -> Iterator[bytes]:
        """Whole frames out of the buffer: a server's are never masked, and these never beyond 64 KiB."""
        buffer = self._buffer
        while len(buffer) >= 2:
            length, start = buffer[1], 2
            if length == 126:
                if len(buffer) < 4:
                    return
                length, start = int.from_bytes(buffer[2:4], "big"), 4
            if len(buffer) < start + length:
                return
            payload, opcode = bytes(buffer[start : start + length]), buffer[0] & 0x0F
            del buffer[: start + length]
            if opcode == 8:
                raise Refused(f"{self.credential.name}: closed with {int.from_bytes(payload[:2], 'big')}")
            if opcode == 1:
                yield payload
