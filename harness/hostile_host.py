"""One host that does its worst, as a process of its own: `python -m harness.hostile_host PORT SECONDS`, token on stdin.

It has a good credential and nothing else. Every kind of frame comes as fast as the server takes it, on many connections
at once; where the server closes one, it opens another. Prints how often it sent what, as JSON.
"""

import json
import os
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any

import trio

from harness.hostile import upgrade
from harness.rawsocket import RawSocket, Refused, text_frame
from rmactors.common import ids, wire
from rmactors.simulate.agent import SimCredential

FEWER = 10
"""Nicer than the server by so much: a real attacker's processor is not the server's."""
LARGE = ("log lines", "the same lines", "hellos on one connection", "huge errors and statistics")
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Enough(Exception):
    """Of this kind enough has been sent."""


class HostileHost:
    """`enough`: of each kind so much is sent, and of what is large a tenth of it; None: without end."""

    def __init__(self, port: int, token: str, enough: int | None = None) -> None:
        self._port, self._credential, self._enough = port, SimCredential("", "hostile", token), enough
        self._job = ids.new()
        self._seq = 0
        self.sent: Counter[str] = Counter()

    async def run(self, seconds: float) -> None:
        with trio.move_on_after(seconds):
            await self._once("begin", self._begin)
            async with trio.open_nursery() as nursery:
                for name, attack, at_once in (
                    ("log lines", self._log_lines, 3),
                    ("the same lines", self._same_lines, 2),
                    ("invented plans", self._invented_plans, 3),
                    ("invented jobs", self._invented_jobs, 2),
                    ("progress", self._progress, 2),
                    ("hellos on one connection", self._hellos, 2),
                    ("huge errors and statistics", self._huge, 2),
                    ("refused reports", self._refused, 2),
                    ("the same report", self._same_report, 1),
                    ("unknown types", self._unknown, 1),
                ):
                    for _ in range(at_once):
                        nursery.start_soon(self._again, name, attack)
                for _ in range(10):
                    nursery.start_soon(self._again, "connections with a hello", self._hello_and_leave)
                nursery.start_soon(self._silent_sockets)

    def _has_enough(self, name: str) -> bool:
        return self._enough is not None and self.sent[name] >= self._enough / (10 if name in LARGE else 1)

    async def _again(self, name: str, attack: Callable[[Send], Awaitable[None]]) -> None:
        while not self._has_enough(name):
            await self._once(name, attack)
            await trio.sleep(0.01)

    async def _once(self, name: str, attack: Callable[[Send], Awaitable[None]]) -> None:
        """On a connection of its own, until the server ends that."""
        try:
            link = await RawSocket.connect(self._port, self._credential, purpose="report")
        except (OSError, Refused, trio.BrokenResourceError):
            return
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(link.swallow)
                await attack(partial(self._send, link, name))
                nursery.cancel_scope.cancel()
        except* (OSError, Refused, trio.BrokenResourceError, _Enough):
            pass
        finally:
            await link.aclose()

    async def _send(self, link: RawSocket, name: str, message: dict[str, Any]) -> None:
        if self._has_enough(name):
            raise _Enough
        await link.send(text_frame(json.dumps(message)))
        self.sent[name] += 1

    def _report(self, **fields: Any) -> dict[str, Any]:
        self._seq += 1
        now = wire.utc_now()
        return {
            "type": "job_finished", "seq": self._seq, "job_id": ids.new(), "kind": "backup", "plan": "home",
            "status": "failed", "reason": "error", "exit_code": 1, "stats": {},
            "started_at": (now - timedelta(seconds=1)).isoformat(), "finished_at": now.isoformat(), **fields,
        }  # fmt: skip

    # ---- its worst

    async def _begin(self, send: Send) -> None:
        await send(self._started(self._job))
        await trio.sleep(0.5)

    def _started(self, job_id: str) -> dict[str, Any]:
        report = self._report()
        return {
            "type": "job_started", "seq": report["seq"], "job_id": job_id, "kind": "backup", "plan": ids.new(),
            "started_at": report["started_at"],
        }  # fmt: skip

    async def _log_lines(self, send: Send) -> None:
        first = 0
        lines = [{"stream": "stdout", "text": ""}] * 20_000
        while True:
            await send({"type": "job_log", "job_id": self._job, "first_line": first, "lines": lines})
            first += len(lines)

    async def _same_lines(self, send: Send) -> None:
        lines = [{"stream": "stdout", "text": "x" * 900}] * 200
        while True:
            await send({"type": "job_log", "job_id": self._job, "first_line": 0, "lines": lines})

    async def _invented_plans(self, send: Send) -> None:
        while True:
            await send(self._report(plan=f"plan {ids.new()}"))

    async def _invented_jobs(self, send: Send) -> None:
        while True:
            await send(self._started(ids.new()))

    async def _progress(self, send: Send) -> None:
        while True:
            await send({"type": "job_progress", "job_id": self._job, "percent": 50.0})

    async def _hellos(self, send: Send) -> None:
        plans = [{"name": f"plan {n}", "sources": ["/" + "x" * 100] * 10} for n in range(200)]
        hello = wire.Hello(wire.ProtocolRange(1, 1), ids.new())
        while True:
            await send(json.loads(wire.encode(hello)) | {"plans": plans})

    async def _hello_and_leave(self, send: Send) -> None:
        await send({"type": "heartbeat"})

    async def _huge(self, send: Send) -> None:
        while True:
            await send(self._report(error="e" * 450_000, stats={f"key {n}": "s" * 400 for n in range(1_000)}))

    async def _refused(self, send: Send) -> None:
        while True:
            await send(self._report(status="none of ours"))

    async def _same_report(self, send: Send) -> None:
        report = self._report()
        while True:
            await send(report)

    async def _unknown(self, send: Send) -> None:
        while True:
            await send({"type": "of the future", "seq": 1})

    async def _silent_sockets(self) -> None:
        """Connections that say nothing, as many as there is room for, kept open as long as the server lets them."""
        streams: list[trio.SocketStream] = []
        try:
            while not self._has_enough("connections without a hello"):
                try:
                    streams.append(await trio.open_tcp_stream("127.0.0.1", self._port))
                    await streams[-1].send_all(upgrade(self._credential.token))
                    self.sent["connections without a hello"] += 1
                except (OSError, trio.BrokenResourceError):
                    pass
                if len(streams) > 500:
                    streams.pop(0).socket.close()
                await trio.sleep(0.005)
        finally:
            for stream in streams:
                stream.socket.close()


def main() -> None:
    os.nice(FEWER)
    host = HostileHost(int(sys.argv[1]), sys.stdin.readline().strip())
    trio.run(host.run, float(sys.argv[2]))
    print(json.dumps(host.sent))


if __name__ == "__main__":
    main()
