"""A server's name with several addresses, of which one takes connections and leads nowhere."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
import trio

from rmactors.agent import connection, tcp
from rmactors.agent.agent_file import AgentFile
from rmactors.agent.connection import LinkDown, Timings, dial
from rmactors.agent.daemon import run_agent
from rmactors.agent.routes import AGAIN_SECONDS, Address, Routes
from rmactors.agent.state_dir import HostCredential, StateDir
from tests.each_step import left_open

from .server_double import ServerDouble, eventually, listen


def six(n: int) -> Address:
    return Address(10, (f"2001:db8::{n}", 443, 0, 0))


def four(n: int) -> Address:
    return Address(2, (f"192.0.2.{n}", 443))


A, B, C, D = six(1), six(2), four(1), four(2)


@pytest.mark.parametrize(
    ("happened", "at", "order"),
    [
        # (what, address, when) …, when the order is asked for, and the order of A, B, C and D
        ([], 0, [A, B, C, D]),
        # the other family comes first
        ([("failed", A, 0)], 1, [C, D, B, A]),
        ([("failed", D, 0)], 1, [A, B, C, D]),
        # one after the other is tried
        ([("failed", A, 0), ("failed", C, 5)], 6, [B, D, A, C]),
        ([("failed", A, 0), ("failed", C, 5), ("failed", B, 9)], 10, [D, A, C, B]),
        # all failed: the one that failed longest ago, and then around again
        ([("failed", A, 0), ("failed", C, 5), ("failed", B, 9), ("failed", D, 11)], 12, [A, C, B, D]),
        ([("failed", A, 0), ("failed", C, 5), ("failed", B, 9), ("failed", D, 11), ("failed", A, 20)], 21,
         [C, B, D, A]),
        # where one leads to the server, that one
        ([("failed", A, 0), ("led", D, 1)], 2, [D, C, B, A]),
        ([("failed", A, 0), ("led", D, 1), ("failed", D, 9)], 10, [B, C, A, D]),
        ([("failed", A, 0), ("led", A, 9)], 10, [A, B, C, D]),
        # the system's order counts as long as nothing failed, and after a while again
        ([("led", D, 1)], 2, [A, B, C, D]),
        ([("failed", A, 0), ("led", D, 1)], AGAIN_SECONDS, [A, B, C, D]),
        ([("failed", A, 0), ("failed", C, 5)], AGAIN_SECONDS, [A, B, D, C]),
    ],
)  # fmt: skip
def test_what_leads_nowhere_comes_last_for_a_while(
    happened: list[tuple[str, Address, float]], at: float, order: list[Address]
) -> None:
    routes = Routes()
    for what, address, when in happened:
        if what == "failed":
            routes.failed(address, when)
        else:
            routes.led_to_server(address)
    assert routes.order([A, B, C, D, A], at) == order


def test_addresses_that_the_name_has_no_more_are_not_tried() -> None:
    routes = Routes()
    routes.failed(A, 0)
    routes.led_to_server(D)
    assert routes.order([B, C], 1) == [B, C]
    assert routes.order([A], 1) == [A]


# ---- over real sockets


@asynccontextmanager
async def dead_end(address: str, port: int) -> AsyncIterator[list[trio.SocketStream]]:
    """A server that takes connections and says nothing; gives those that came."""
    came: list[trio.SocketStream] = []

    async def take(stream: trio.SocketStream) -> None:
        came.append(stream)
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        await nursery.start(partial(trio.serve_tcp, take, port, host=address))
        yield came
        nursery.cancel_scope.cancel()


def named(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Every name has these addresses, in this order."""

    async def resolve(host: str, port: int) -> list[Address]:
        return [(await tcp.resolve(address, port))[0] for address in addresses]

    monkeypatch.setattr(connection, "resolve", resolve)


DEAD, DEAD_TOO = "127.0.0.2", "127.0.0.3"


async def test_an_address_that_says_nothing_does_not_keep_from_the_next_one(
    server: ServerDouble, monkeypatch: pytest.MonkeyPatch
) -> None:
    named(monkeypatch, DEAD, DEAD_TOO, "127.0.0.1")
    monkeypatch.setattr(connection, "SHARE", 100)
    routes = Routes()
    url = f"ws://nas.example:{server.port}/ws/agent"
    async with dead_end(DEAD, server.port) as first, dead_end(DEAD_TOO, server.port) as second:
        for _ in range(2):
            async with dial(url, "agent-1", None, Timings(connect=60), routes=routes) as link:
                assert link.address.sockaddr[0] == "127.0.0.1"
                monkeypatch.setattr(connection, "SHARE", 1)
    assert (len(first), len(second)) == (1, 1), "the second time they come last"


async def test_the_server_that_refuses_is_the_server(server: ServerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, "127.0.0.1", DEAD)
    async with dead_end(DEAD, server.port) as came:
        with pytest.raises(LinkDown) as caught:
            async with dial(f"ws://nas.example:{server.port}/ws/agent", "unknown", None, Timings()):
                pass
    assert caught.value.status == 401
    assert came == []


async def test_where_all_say_nothing_that_is_said(server: ServerDouble, monkeypatch: pytest.MonkeyPatch) -> None:
    named(monkeypatch, DEAD, DEAD_TOO)
    async with dead_end(DEAD, server.port), dead_end(DEAD_TOO, server.port):
        with pytest.raises(LinkDown, match=r"no answer from nas\.example"):
            async with dial(f"ws://nas.example:{server.port}/ws/agent", "agent-1", None, Timings(connect=0.2)):
                pass


async def test_what_one_address_says_counts_for_more_than_that_the_next_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where a name has an IPv6 address too, and this machine no IPv6."""

    async def other(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail.example ESMTP\r\n")

    named(monkeypatch, DEAD, DEAD_TOO)
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, other, 0, host=DEAD))
        url = f"ws://nas.example:{listener.socket.getsockname()[1]}/ws/agent"
        with pytest.raises(LinkDown, match="does not speak WebSocket"):
            async with dial(url, "agent-1", None, Timings()):
                pass
        nursery.cancel_scope.cancel()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as one:
            one.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_an_agent_whose_hello_nobody_answers_tries_another_address_next(
    server: ServerDouble, state: StateDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dead server stands behind something that upgrades for it."""
    families = ("::1" if has_ipv6() else DEAD, "127.0.0.1")
    named(monkeypatch, *families)
    deaf = ServerDouble(welcoming=False)
    state.save_credential(HostCredential(f"ws://nas.example:{server.port}/ws/agent", server.host_id, "nas", "agent-1"))
    timings = Timings(welcome=0.3, first_pause=0.05, longest_pause=0.1)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(listen, deaf.serve, families[0], server.port, None))
        nursery.start_soon(lambda: run_agent(AgentFile(allow=[]), state.path, timings=timings))
        await eventually(server.agents)
        nursery.cancel_scope.cancel()
    assert deaf.sessions


async def test_a_connection_that_is_given_up_at_any_moment_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = Address(socket.AF_INET, listener.getsockname())

        async def connect() -> None:
            stream, _ = await tcp.connect([address, address])
            await trio.aclose_forcefully(stream)

        assert await left_open(connect) == []
