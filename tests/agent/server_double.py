"""A small server that speaks the agents' protocol for real: a WebSocket, real frames, acks when told to.

Not a mock: the agent under test talks to it over TCP as to any server. It keeps no rules; tests look at what came.
"""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, WebSocketRequest, serve_websocket
from wsproto.utilities import LocalProtocolError

from rmactors.common import ids, wire

T = TypeVar("T")
MARK = (wire.MARK.encode(), wire.MARK_OF_AGENTS.encode())


async def eventually(look: Callable[[], T], seconds: float = 120.0) -> T:
    """What `look` gives as soon as it gives something true."""
    with trio.move_on_after(seconds):
        while not (found := look()):  # noqa: ASYNC110 - files and processes set no events
            await trio.sleep(0.01)
        return found
    raise AssertionError(f"did not come about within {seconds} s")


@dataclass
class Session:
    """One connection that an agent made: what it said, and the way to speak to it."""

    socket: WebSocketConnection
    token: str
    frames: list[wire.FromAgent] = field(default_factory=list)
    gone: bool = False

    @property
    def hello(self) -> wire.Hello | None:
        return next((f for f in self.frames if isinstance(f, wire.Hello)), None)

    async def send(self, frame: wire.Frame) -> None:
        await self.socket.send_message(wire.encode(frame))


@dataclass
class ServerDouble:
    """`acking` False: reports come in and nothing is said. `refuse`: seqs answered with a refusal."""

    tokens: set[str] = field(default_factory=lambda: {"enroll-1", "agent-1"})
    schedules: list[wire.ScheduleInfo] = field(default_factory=list)
    rev: int = 1
    acking: bool = True
    refuse: set[int] = field(default_factory=set)
    taken_names: set[str] = field(default_factory=set)
    token_is_for: str | None = None
    """The host that the machine becomes, whatever its name."""
    heartbeat_seconds: float = 30.0
    welcoming: bool = True
    preferring_another: bool = False
    """Close each connection with 4001 in answer to its hello."""
    sessions: list[Session] = field(default_factory=list)
    received: list[wire.Report] = field(default_factory=list)
    port: int = 0
    host_id: str = field(default_factory=ids.new)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws/agent"

    def agents(self) -> list[Session]:
        """Live connections that said hello as an agent."""
        return [s for s in self.sessions if not s.gone and s.hello is not None and s.hello.purpose == "agent"]

    def ends(self) -> list[wire.JobFinished]:
        return [r for r in self.received if isinstance(r, wire.JobFinished)]

    def starts(self) -> list[wire.JobStarted]:
        return [r for r in self.received if isinstance(r, wire.JobStarted)]

    async def an_agent(self) -> Session:
        return (await eventually(self.agents))[-1]

    async def an_end(self, job_id: str) -> wire.JobFinished:
        found = await eventually(lambda: [r for r in self.ends() if r.job_id == job_id])
        return found[0]

    async def run_job(self, kind: str, params: dict[str, Any] | None = None, job_id: str | None = None) -> str:
        job_id = job_id or ids.new()
        session = await self.an_agent()
        await session.send(wire.RunJob(job_id, kind, None, params or {}))  # type: ignore[arg-type]
        return job_id

    async def serve(self, request: WebSocketRequest) -> None:
        headers = {name.lower(): value for name, value in request.headers}
        token = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        if token not in self.tokens:
            await request.reject(401, extra_headers=[MARK])
            return
        if request.path != wire.PATH:
            await request.reject(404, extra_headers=[MARK])
            return
        socket = await request.accept()
        session = Session(socket, token)
        self.sessions.append(session)
        try:
            while True:
                text = await socket.get_message()
                assert isinstance(text, str)
                frame = wire.decode_from_agent(text)
                assert not isinstance(frame, wire.Unreadable), frame
                session.frames.append(frame)
                await self._answer(session, frame)
        except ConnectionClosed:
            pass
        finally:
            session.gone = True

    async def _answer(self, session: Session, frame: wire.FromAgent) -> None:
        match frame:
            case wire.Enroll():
                if frame.name in self.taken_names:
                    await session.send(wire.Error("name_taken", "this name is taken"))
                    return
                if self.token_is_for is not None and frame.name_given and frame.name != self.token_is_for:
                    await session.send(wire.Error("other_host", f"this token enrolls the host {self.token_is_for!r}"))
                    return
                name = self.token_is_for or frame.name
                self.taken_names.add(name)
                self.tokens.discard(session.token)
                await session.send(wire.Enrolled(self.host_id, "agent-1", name))
                await session.socket.aclose(1000)
            case wire.Hello() if self.preferring_another:
                await session.socket.aclose(wire.CLOSE_REPLACED, "a younger connection of this agent said hello before")
            case wire.Hello():
                if self.welcoming:
                    await session.send(
                        wire.Welcome(
                            1, self.host_id, datetime.now(UTC), self.heartbeat_seconds, self.rev, self.schedules
                        )
                    )
            case wire.JobStarted() | wire.JobFinished():
                self.received.append(frame)
                if frame.seq in self.refuse:
                    await session.send(wire.Ack(frame.seq, "foreign_job", "not yours"))
                elif self.acking:
                    await session.send(wire.Ack(frame.seq))
            case _:
                pass


class _Contained:
    """A nursery for trio-websocket's connections. A ping that comes while one is being closed is an error in that
    connection's own task there (0.12.2), and would end all of them."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self._nursery = nursery

    def start_soon(self, run: Callable[..., Awaitable[object]], *args: object) -> None:
        async def contained() -> None:
            try:
                await run(*args)
            except* LocalProtocolError:
                pass

        self._nursery.start_soon(contained)


async def listen(
    handler: Callable[[WebSocketRequest], Awaitable[None]], host: str, port: int, tls: ssl.SSLContext | None,
    *, task_status: trio.TaskStatus[Any] = trio.TASK_STATUS_IGNORED,
) -> None:  # fmt: skip
    """`serve_websocket`, where the end of one connection is not that of all."""
    async with trio.open_nursery() as nursery:
        connections = cast(trio.Nursery, _Contained(nursery))
        await serve_websocket(handler, host, port, tls, handler_nursery=connections, task_status=task_status)


@asynccontextmanager
async def serving(double: ServerDouble) -> AsyncIterator[ServerDouble]:
    """The double on a port of its own (the same as before, where it had one), for as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        server = await nursery.start(
            lambda task_status: listen(double.serve, "127.0.0.1", double.port, None, task_status=task_status)
        )
        double.port = server.port
        yield double
        nursery.cancel_scope.cancel()


def schedule(name: str = "nightly", **changes: Any) -> wire.ScheduleInfo:
    """A schedule as the server tells it."""
    values: dict[str, Any] = {
        "id": ids.new(), "name": name, "kind": "backup", "cron": "0 3 * * *", "timezone": "UTC", "enabled": True,
        "mode": "agent", "grace_seconds": 0.0, "max_runtime_seconds": 3600.0, "on_partial": "alert", "params": {},
    }  # fmt: skip
    return wire.ScheduleInfo(**(values | changes))
