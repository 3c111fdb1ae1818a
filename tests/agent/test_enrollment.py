"""Enrollment as an administrator sees it: the command, what it prints, how it ends, what it leaves on disk."""

import json
import os
import pty
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from rmactors.agent.enrollment import EnrollmentFailed, enroll
from rmactors.agent.server_url import BadServerUrl, agent_url
from rmactors.agent.state_dir import NotEnrolled, StateDir, default_dir
from rmactors.cli.main import main

from .conftest import FAST
from .server_double import ServerDouble

ROOT = Path(__file__).resolve().parents[2]


async def test_a_token_becomes_a_credential_that_only_its_owner_can_read(server: ServerDouble, tmp_path: Path) -> None:
    state = StateDir(tmp_path / "new" / "state")
    url = f"http://127.0.0.1:{server.port}"
    credential = (await enroll(url, "enroll-1\n", state.path, name="nas", timings=FAST)).credential
    assert state.credential() == credential
    assert (credential.host_id, credential.name, credential.token) == (server.host_id, "nas", "agent-1")
    assert (state.path / "credential.json").stat().st_mode & 0o777 == 0o600
    assert "agent-1" not in repr(credential)


async def test_a_taken_name_leaves_the_token_for_another(server: ServerDouble, state: StateDir) -> None:
    server.taken_names = {"nas"}
    with pytest.raises(EnrollmentFailed, match=r"'nas' is taken.*--name.*can still be used"):
        await enroll(server.url, "enroll-1", state.path, name="nas", timings=FAST)
    with pytest.raises(NotEnrolled):
        state.credential()
    enrolled = await enroll(server.url, "enroll-1", state.path, name="nas2", timings=FAST)
    assert enrolled.credential.name == "nas2"


async def test_an_unknown_token_is_named_as_the_trouble(server: ServerDouble, state: StateDir) -> None:
    with pytest.raises(EnrollmentFailed, match="does not know this token") as caught:
        await enroll(server.url, "no-such-token", state.path, timings=FAST)
    assert "no-such-token" not in str(caught.value)


async def test_the_wrong_port_is_named_as_the_trouble(state: StateDir) -> None:
    async def web(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.receive_some()
            await stream.send_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(lambda task_status: _serve(web, task_status))
        port = listener.socket.getsockname()[1]
        with pytest.raises(EnrollmentFailed, match="agents' port"):
            await enroll(f"http://127.0.0.1:{port}", "enroll-1", state.path, timings=FAST)
        nursery.cancel_scope.cancel()


async def _serve(handler: object, task_status: object) -> None:
    await trio.serve_tcp(handler, 0, host="127.0.0.1", task_status=task_status)  # type: ignore[arg-type]


async def test_a_server_that_is_not_there_is_said(state: StateDir) -> None:
    with pytest.raises(EnrollmentFailed, match=r"cannot reach 127\.0\.0\.1:1: .*refused"):
        await enroll("http://127.0.0.1:1", "enroll-1", state.path, timings=FAST)


async def test_a_server_that_hangs_up_is_noticed_at_once(state: StateDir) -> None:
    async def hang_up(stream: trio.SocketStream) -> None:
        await stream.receive_some()
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(lambda task_status: _serve(hang_up, task_status))
        port = listener.socket.getsockname()[1]
        with trio.fail_after(30), pytest.raises(EnrollmentFailed, match="hung up"):
            await enroll(f"http://127.0.0.1:{port}", "enroll-1", state.path, timings=FAST)
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("http://nas:8081", "ws://nas:8081/ws/agent"),
        ("https://backup.example.org", "wss://backup.example.org/ws/agent"),
        ("wss://backup.example.org/ws/agent", "wss://backup.example.org/ws/agent"),
        ("ws://nas:8081/ws/agent/", "ws://nas:8081/ws/agent"),
        ("https://example.org/backup/", "wss://example.org/backup/ws/agent"),
        ("ws://[::1]:8081", "ws://[::1]:8081/ws/agent"),
    ],
)
def test_a_url_is_read_as_it_was_meant(typed: str, meant: str) -> None:
    assert agent_url(typed) == meant


@pytest.mark.parametrize(
    "typed", ["nas:8081", "ftp://nas", "", "https://", "http://nas:99999", "http://me@nas", "http://nas/?x"]
)
def test_a_url_that_cannot_be_meant_is_refused(typed: str) -> None:
    with pytest.raises(BadServerUrl):
        agent_url(typed)


def test_the_command_fails_with_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("enroll-1\n")
    arguments = ["agent", "enroll", "--server", "http://127.0.0.1:1", "--token-file", str(tmp_path / "token")]
    done = CliRunner().invoke(main, [*arguments, "--state-dir", str(tmp_path / "state")])
    assert done.exit_code == 1
    assert done.output.startswith("Error: cannot reach 127.0.0.1:1")
    assert "enroll-1" not in done.output


async def test_the_token_is_read_from_a_pipe(server: ServerDouble, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "rmactors", "agent", "enroll", "--server", server.url, "--token-file", "-"]
    done = await trio.run_process(
        [*command, "--state-dir", str(tmp_path / "state")], stdin=b"enroll-1\n", capture_stdout=True, cwd=ROOT
    )
    assert b"enrolled as " in done.stdout
    assert StateDir(tmp_path / "state").credential().token == "agent-1"


async def test_at_a_terminal_the_token_is_asked_for_and_not_shown(server: ServerDouble, tmp_path: Path) -> None:
    """The page's command holds no token: what is typed there stands in no history, no process list and no file."""
    outer, inner = pty.openpty()
    command = [sys.executable, "-m", "rmactors", "agent", "enroll", "--server", server.url, "--token-file", "-"]
    process = await trio.lowlevel.open_process(
        [*command, "--state-dir", str(tmp_path / "state")], stdin=inner, stdout=inner, stderr=inner, cwd=ROOT,
        start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    said, prompt = b"", b"Enrollment token: "  # the space comes once nothing is shown any more
    try:
        with trio.fail_after(60):
            while True:
                await trio.lowlevel.wait_readable(outer)
                try:
                    heard = os.read(outer, 4096)
                except OSError:  # the other end was closed
                    break
                asked = prompt in said + heard and prompt not in said
                said += heard
                if asked:
                    os.write(outer, b"enroll-1\n")
            assert await process.wait() == 0, said
    finally:
        process.kill()
        os.close(outer)
    assert b"enrolled as " in said
    assert b"enroll-1" not in said
    assert StateDir(tmp_path / "state").credential().token == "agent-1"


def test_the_state_dir_is_where_the_environment_or_the_user_says(tmp_path: Path) -> None:
    assert default_dir({"RM_AGENT_STATE_DIR": "/x"}) == Path("/x")
    assert default_dir({"XDG_STATE_HOME": "/y"}) in (Path("/y/rmactors-agent"), Path("/var/lib/rmactors-agent"))


async def test_a_damaged_credential_is_said(state: StateDir) -> None:
    from rmactors.agent.state_dir import StateError

    (state.path / "credential.json").write_text(json.dumps({"server_url": 1}))
    with pytest.raises(StateError, match="enroll this host again"):
        state.credential()
