"""What the server tells a service manager: read from a real socket, as systemd reads it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
import trio.testing

from harness.processes import ROOT, Server, environment
from rmactors.systemd.notify import Notifier, keep_alive


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The socket that systemd would listen on, as `manager.getsockname()`."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(120)
        yield listening


def heard(manager: socket.socket) -> dict[str, str]:
    """The next datagram. Raises TimeoutError."""
    return dict(line.split("=", 1) for line in manager.recv(4096).decode().splitlines())


def nothing_heard(manager: socket.socket) -> bool:
    manager.setblocking(False)
    try:
        manager.recv(4096)
    except BlockingIOError:
        return True
    finally:
        manager.settimeout(120)
    return False


def start(server: Server, manager: socket.socket, **variables: str) -> "subprocess.Popen[bytes]":
    server.folder.mkdir()
    variables = {"NOTIFY_SOCKET": manager.getsockname(), **variables}
    with server.log_file.open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "rmactors", "server"], cwd=ROOT, env=server.environment | variables,
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip


def test_a_server_says_ready_when_it_answers_then_that_it_lives_then_that_it_stops(
    manager: socket.socket, tmp_path: Path
) -> None:
    server = Server(tmp_path / "server")
    server.process = start(server, manager, WATCHDOG_USEC="200000")
    try:
        told = heard(manager)
        while "READY" not in told:  # how it is may be said before
            assert "STATUS" in told
            told = heard(manager)
        with (
            socket.create_connection(("127.0.0.1", server.port)),
            socket.create_connection(("127.0.0.1", server.agent_port)),
        ):
            pass
        while heard(manager) != {"WATCHDOG": "1", "STATUS": "all is well"}:
            pass
        server.process.send_signal(signal.SIGTERM)
        while "STOPPING" not in heard(manager):
            pass
        assert server.process.wait(10) == 0
    finally:
        if server.running:
            server.kill()


def test_a_server_that_is_stuck_is_silent(manager: socket.socket, tmp_path: Path) -> None:
    server = Server(tmp_path / "server")
    server.process = start(server, manager, WATCHDOG_USEC="200000")
    try:
        while "READY" not in heard(manager):
            pass
        heard(manager)
        server.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, server.pid, os.WSTOPPED)
        while not nothing_heard(manager):  # what was in flight
            pass
        manager.settimeout(1)
        with pytest.raises(TimeoutError):
            manager.recv(4096)
        server.process.send_signal(signal.SIGCONT)
        manager.settimeout(120)
        assert heard(manager)["WATCHDOG"] == "1"
    finally:
        server.kill()


async def test_no_sign_of_life_goes_out_while_a_check_fails_but_why(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    checks = {"store": "ok", "rules": "ok"}
    notifier = Notifier(manager.getsockname(), watchdog=60.0)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive, notifier, lambda: checks)
        await trio.testing.wait_all_tasks_blocked()
        assert heard(manager) == {"WATCHDOG": "1", "STATUS": "all is well"}
        checks["rules"] = "no tick\nfor 300 s"
        await trio.sleep(16)
        assert heard(manager) == {"STATUS": "rules: no tick for 300 s"}
        checks["rules"] = "ok"
        await trio.sleep(15)
        assert heard(manager)["WATCHDOG"] == "1"
        assert nothing_heard(manager)
        nursery.cancel_scope.cancel()


async def test_trouble_that_a_new_process_would_have_as_well_is_told_and_is_no_reason_for_one(
    manager: socket.socket, autojump_clock: trio.testing.MockClock
) -> None:
    checks = {"store": "cannot commit: database or disk is full"}
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_alive, Notifier(manager.getsockname(), watchdog=60.0), lambda: checks, lambda: True)
        await trio.testing.wait_all_tasks_blocked()
        assert heard(manager) == {"WATCHDOG": "1", "STATUS": "store: cannot commit: database or disk is full"}
        nursery.cancel_scope.cancel()


def test_an_abstract_socket_is_found() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0rmactors-test-{os.getpid()}")
        Notifier(f"@rmactors-test-{os.getpid()}").tell("READY=1")
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Notifier()),
        ({"NOTIFY_SOCKET": ""}, Notifier()),
        ({"NOTIFY_SOCKET": "/s"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1500000"}, Notifier("/s", 1.5)),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": str(os.getpid())}, Notifier("/s", 1.5)),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1500000", "WATCHDOG_PID": "1"}, Notifier("/s")),
        ({"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon"}, Notifier("/s")),
    ],
)
def test_what_the_manager_wants_is_read_from_the_environment(environ: dict[str, str], expected: Notifier) -> None:
    assert Notifier.of(environ) == expected


def test_a_manager_that_is_gone_costs_a_warning_and_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Notifier(str(tmp_path / "gone")).tell("READY=1")
    assert "could not be told READY=1" in caplog.text


def test_without_a_manager_nothing_is_sent(tmp_path: Path) -> None:
    assert "NOTIFY_SOCKET" not in environment({})
    Notifier().tell("READY=1")
