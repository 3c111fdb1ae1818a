"""One connection under an enrollment token: names are tried until one is free, and the host gets its own credential."""

import trio
import trio_websocket

from rmactors.common import clock, ids, wire
from rmactors.server.config import tokens
from rmactors.server.edges.host_names import host_name_problem
from rmactors.server.edges.websockets import HELLO_SECONDS
from rmactors.server.messages.answers import Answer, Committed, Refused
from rmactors.server.messages.hosts import Enrolled, EnrollHost
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, ask_store
from rmactors.server.runtime.rate_limits import Bucket

ENROLL_SECONDS = 60.0
NAMES_PER_ENROLMENT = 20
"""How many names one connection may try: each costs a commit."""
NAMES_PER_TOKEN = (10.0, 200.0)
"""Names a second, and at once, of all connections under one token: a fleet may be enrolled with one."""


async def enroll(
    socket: trio_websocket.WebSocketConnection,
    enrollment_id: str,
    address: str,
    names: Bucket,
    to_store: Outlet[Commit],
) -> None:
    """Speak until a host is enrolled or the time is over. `names` is the budget of this token."""
    with trio.move_on_after(ENROLL_SECONDS):
        for tried in range(NAMES_PER_ENROLMENT):
            text = None
            with trio.move_on_after(ENROLL_SECONDS if tried else HELLO_SECONDS):
                text = await socket.get_message()
            if text is None:
                return await socket.aclose(wire.CLOSE_BAD_MESSAGE, "no name said")
            if isinstance(text, bytes):
                return await socket.aclose(wire.CLOSE_BINARY, "text frames only")
            frame = wire.decode_from_agent(text)
            if not isinstance(frame, wire.Enroll):
                detail = (
                    frame.detail if isinstance(frame, wire.Unreadable) else "under an enrollment token, only `enroll`"
                )
                code = frame.code if isinstance(frame, wire.Unreadable) else "bad_message"
                await socket.send_message(wire.encode(wire.Error(code, detail)))
                if code == "unknown_type":
                    continue
                return await socket.aclose(wire.CLOSE_BAD_MESSAGE, "bad_message")
            name = frame.name.strip() or frame.hostname or "host"
            if problem := host_name_problem(name):
                await socket.send_message(wire.encode(wire.Error("bad_name", f"a host's name {problem}")))
                continue
            await trio.sleep(names.owe(1, trio.current_time()))
            token = tokens.make(tokens.HOST)
            answer = await _ask(to_store, frame, name, enrollment_id, tokens.digest(token), address)
            match answer:
                case Committed(results=(Enrolled(host_id),)):
                    await socket.send_message(wire.encode(wire.Enrolled(host_id, token)))
                    return await socket.aclose(1000)
                case Refused(code="name_taken", detail=detail):
                    await socket.send_message(wire.encode(wire.Error("name_taken", detail)))
                case Refused(code=refused, detail=detail):
                    await socket.send_message(wire.encode(wire.Error(refused, detail)))
                    return await socket.aclose(wire.CLOSE_REVOKED, refused)
                case _:
                    await socket.send_message(wire.encode(wire.Error("try_again", "the server cannot write just now")))
                    return await socket.aclose(wire.CLOSE_GOING_AWAY, "try again")
        await socket.aclose(wire.CLOSE_BAD_MESSAGE, "too many names tried")
    return None


async def _ask(
    to_store: Outlet[Commit], frame: wire.Enroll, name: str, enrollment_id: str, token_hash: str, address: str
) -> Answer:
    write = EnrollHost(
        enrollment_id, ids.new(), name, frame.hostname, frame.os, frame.arch, frame.agent_version, token_hash,
        clock.now(), address,
    )  # fmt: skip
    return await ask_store(to_store, write)
