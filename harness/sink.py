"""A real HTTP listener that plays a notification's receiver: it can be up, refuse, be slow, fail or hang.

It parses by hand what httpx sends, because it also serves the benchmarks, where it must cost less than what it
measures. Every request is kept with its time and with what was answered.
"""

import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import trio

Mood = Literal["up", "slow", "error", "hang", "down"]


@dataclass(slots=True)
class Request:
    """One request. `status` is what was answered, None while (or because) nothing was. `at` is time.monotonic()."""

    path: str
    headers: dict[str, str]
    raw: bytes
    at: float
    mood: Mood
    status: int | None = None

    @property
    def body(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.raw)
        return found

    @property
    def told(self) -> bool:
        """Whether the sender was given a 2xx: to the receiver, this notification has arrived."""
        return self.status is not None and self.status < 300


@dataclass(slots=True)
class Moods:
    """How one path answers. `slow_seconds` is how long a slow answer takes; `status` what an error says."""

    mood: Mood = "up"
    slow_seconds: float = 0.1
    status: int = 500


@dataclass(slots=True)
class Sink:
    """Listens on one port of the loopback interface. Paths without a mood of their own follow `moods`.

    `down` closes the port for all paths: connections are refused, those that are open are reset.
    """

    port: int
    requests: list[Request] = field(default_factory=list)
    moods: Moods = field(default_factory=Moods)
    by_path: dict[str, Moods] = field(default_factory=dict)
    on_request: Callable[[Request], None] | None = None
    _unfinished: set[trio.SocketStream] = field(default_factory=set)
    """Connections whose sender, dead or alive, may still be told something."""
    _changed: trio.Event = field(default_factory=trio.Event)
    _mood_changed: trio.Event = field(default_factory=trio.Event)
    _wanted_up: trio.Event = field(default_factory=trio.Event)
    _listening: trio.CancelScope | None = None

    def url(self, path: str = "/hook") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def feel(self, mood: Mood, *, path: str | None = None, seconds: float = 0.1, status: int = 500) -> None:
        """From now on answer like this. What hangs from before is cut off."""
        target = self.moods if path is None else self.by_path.setdefault(path, Moods())
        target.mood, target.slow_seconds, target.status = mood, seconds, status
        self._mood_changed.set()
        self._mood_changed = trio.Event()
        if path is not None:
            return
        if mood == "down":
            if self._wanted_up.is_set():  # else somebody waits for this very event
                self._wanted_up = trio.Event()
            if self._listening is not None:
                self._listening.cancel()
        else:
            self._wanted_up.set()

    def told(self, path: str | None = None) -> list[Request]:
        """What was answered with a 2xx, in the order of arrival."""
        return [request for request in self.requests if request.told and path in (None, request.path)]

    def told_once(self, path: str | None = None) -> list[Request]:
        """The same, but each delivery only the first time.

        A server that is killed before it has stored the answer sends the delivery again, with the same id.
        """
        first: dict[str, Request] = {}
        for request in self.told(path):
            first.setdefault(request.body["delivery_id"], request)
        return list(first.values())

    async def until(self, condition: Callable[["Sink"], bool], seconds: float = 120.0) -> None:
        """Wait until the condition holds of what has arrived. Raises AssertionError with what is there instead."""
        with trio.move_on_after(seconds):
            while not condition(self):
                await self._changed.wait()
            return
        seen = "\n".join(f"  {r.path} {r.status} {r.raw[:300]!r}" for r in self.requests[-20:])
        raise AssertionError(f"not so within {seconds} s; the last of {len(self.requests)} requests:\n{seen}")

    async def until_told(self, count: int, seconds: float = 120.0) -> list[Request]:
        """Wait until that many requests were answered with a 2xx, and give them."""
        await self.until(lambda sink: len(sink.told()) >= count, seconds)
        return self.told()

    async def hear_out(self) -> None:
        """Wait until all that senders who are dead by now had sent is read, and answered. Nobody else may be sending.

        It may still lie in the kernel, even on a connection that was never accepted: one of ours queues behind it.
        """
        with suppress(OSError):  # refused while the port is closed: then nobody is in the queue
            async with await trio.open_tcp_stream("127.0.0.1", self.port) as last, trio.open_nursery() as nursery:
                nursery.start_soon(_until_cut, last, nursery.cancel_scope)
                while not any(_peer(stream) == last.socket.getsockname() for stream in self._unfinished):
                    await self._changed.wait()
                nursery.cancel_scope.cancel()
        while self._unfinished:
            await self._changed.wait()

    async def serve(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Listen while the mood is not `down`, until cancelled."""
        while True:
            await self._wanted_up.wait()
            listener = _bind(self.port)
            listener.listen(512)
            listener.setblocking(False)
            with trio.CancelScope() as self._listening:
                task_status.started()
                task_status = trio.TASK_STATUS_IGNORED
                await trio.serve_listeners(
                    self._connection, [trio.SocketListener(trio.socket.from_stdlib_socket(listener))]
                )
            self._listening = None

    async def _connection(self, stream: trio.SocketStream) -> None:
        self._unfinished.add(stream)
        self._notice()
        try:
            await self._answer(stream)
        finally:
            self._unfinished.discard(stream)
            self._notice()

    async def _answer(self, stream: trio.SocketStream) -> None:
        buffer = bytearray()
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            while (request := await _read_request(stream, buffer)) is not None:
                moods = self.by_path.get(request.path, self.moods)
                request.mood = moods.mood
                self.requests.append(request)
                if self.on_request is not None:
                    self.on_request(request)
                if request.mood == "hang":
                    self._unfinished.discard(stream)
                status = await self._decide(moods)
                if status is None:
                    return
                said = _answer_to(request)
                await stream.send_all(b"HTTP/1.1 %d Said\r\nContent-Length: %d\r\n\r\n%s" % (status, len(said), said))
                request.status = status  # after the bytes have left: what was cut off before was not told
                self._notice()

    def _notice(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    async def _decide(self, moods: Moods) -> int | None:
        """The status to answer, after the time it takes; None to end the connection without one."""
        self._notice()
        match moods.mood:
            case "up":
                return 204 if moods.status == 204 else 200
            case "slow":
                await trio.sleep(moods.slow_seconds)
                return 200
            case "error":
                return moods.status
            case "hang":
                await self._mood_changed.wait()
                return None
            case "down":
                return None


def _answer_to(request: Request) -> bytes:
    """ntfy and Gotify answer with the message and Slack with a word, and are believed for that alone."""
    if "sequence-id" in request.headers:
        topic = request.path.rpartition("/")[2]
        return json.dumps({"event": "message", "topic": topic, "sequence_id": request.headers["sequence-id"]}).encode()
    if "x-gotify-key" in request.headers:
        return json.dumps({"id": 1, "appid": 1} | request.body).encode()
    return b"ok"


async def _until_cut(stream: trio.SocketStream, waiting: trio.CancelScope) -> None:
    """Ends the wait where the port is closed before the connection was taken, or while it was."""
    with suppress(trio.BrokenResourceError):
        await stream.receive_some(1)
    waiting.cancel()


def _peer(stream: trio.SocketStream) -> object:
    try:
        return stream.socket.getpeername()
    except OSError:
        return None  # reset by its sender


def _bind(port: int) -> socket.socket:
    """A bound socket. SO_REUSEPORT, so that one of them can hold the port while nothing listens on it."""
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    bound.bind(("127.0.0.1", port))
    return bound


async def _read_request(stream: trio.SocketStream, buffer: bytearray) -> Request | None:
    """The next request on a connection, None at its end."""
    while (end := buffer.find(b"\r\n\r\n")) < 0:
        if not (chunk := await stream.receive_some(65536)):
            return None
        buffer += chunk
    first, *lines = bytes(buffer[:end]).decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    del buffer[: end + 4]
    while len(buffer) < length:
        if not (chunk := await stream.receive_some(65536)):
            return None
        buffer += chunk
    raw = bytes(buffer[:length])
    del buffer[:length]
    return Request(first.split(" ")[1], headers, raw, time.monotonic(), "up")


@asynccontextmanager
async def open_sink() -> AsyncIterator[Sink]:
    """A sink that is up, on a port of its own for as long as the block lasts."""
    with _bind(0) as holder:  # keeps the port ours while the sink is down
        sink = Sink(port=holder.getsockname()[1])
        sink.feel("up")
        async with trio.open_nursery() as nursery:
            await nursery.start(sink.serve)
            try:
                yield sink
            finally:
                nursery.cancel_scope.cancel()
