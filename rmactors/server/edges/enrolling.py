"""One connection under an enrollment token: names are tried until one is free, and the host gets its own credential."""

from collections import deque
from collections.abc import Iterable

import trio

from rmactors.common import clock, ids, wire
from rmactors.server.config import tokens
from rmactors.server.edges import handshake
from rmactors.server.edges.agent_socket import AgentSocket
from rmactors.server.edges.websockets import HELLO_SECONDS
from rmactors.server.messages.enrollment import EnrollHost
from rmactors.server.messages.writes import Commit
from rmactors.server.runtime.mailbox import Outlet, ask_store
from rmactors.server.runtime.rate_limits import Bucket

ENROLL_SECONDS = 60.0
NAMES_PER_ENROLLMENT = 20
"""How many names one connection may try: each costs a commit."""
NAMES_PER_TOKEN = (10.0, 200.0)
"""Names a second, and at once, of all connections under one token: a fleet may be enrolled with one."""


async def enroll(
    socket: AgentSocket,
    enrollment_id: str,
    address: str,
    names: Bucket,
    to_store: Outlet[Commit],
) -> None:
    """Speak until a host is enrolled or the time is over. `names` is the budget of this token."""
    with trio.move_on_after(ENROLL_SECONDS):
        messages: deque[str | bytes] = deque()
        for tried in range(NAMES_PER_ENROLLMENT):
            if not messages:
                with trio.move_on_after(ENROLL_SECONDS if tried else HELLO_SECONDS):
                    messages.extend(await socket.receive())
            steps: tuple[handshake.EnrollStep, ...] = (handshake.NO_NAME,)
            if messages:
                steps = handshake.of_newcomer(messages.popleft())
            for step in steps:
                if isinstance(step, handshake.TryName):
                    await trio.sleep(names.owe(1, trio.current_time()))
                    token = tokens.make(tokens.HOST)
                    answer = await ask_store(to_store, _write(step, enrollment_id, tokens.digest(token), address))
                    steps = handshake.of_store(answer, token)
            if await _answer(socket, steps):
                return
        await socket.aclose(handshake.TOO_MANY_NAMES.code, handshake.TOO_MANY_NAMES.reason)


async def _answer(socket: AgentSocket, steps: Iterable[handshake.EnrollStep]) -> bool:
    """Say what is to be said. Whether that was the end."""
    for step in steps:
        match step:
            case handshake.Reply(frame):
                await socket.send([wire.encode(frame)])
            case handshake.Close(code, reason):
                await socket.aclose(code, reason)
                return True
    return False


def _write(step: handshake.TryName, enrollment_id: str, token_hash: str, address: str) -> EnrollHost:
    frame = step.frame
    return EnrollHost(
        enrollment_id, ids.new(), step.name, frame.hostname, frame.os, frame.arch, frame.agent_version, token_hash,
        clock.now(), address, frame.name_given,
    )  # fmt: skip
