"""The commands that the pages show, typed into real shells that keep what is typed: no token stays anywhere."""

import os
import pty
import shutil
import sys
from pathlib import Path

import pytest
import trio

from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.common import ids
from rmactors.server.web.views import enrollment
from rmactors.server.web.views.enrollment import Typed
from rmactors.server.web.views.times import Moment

from .server_double import ServerDouble

SHELLS = {"bash": ["--norc", "--noprofile", "-i"], "dash": ["-i"]}
PROMPT = b"ready> "
PATIENCE_SECONDS = 120


class Terminal:
    """A person at a shell. `screen` is all that stood on it."""

    def __init__(self, outer: int) -> None:
        self._outer, self.screen = outer, b""
        self._seen = 0

    async def until(self, text: bytes) -> None:
        with trio.fail_after(PATIENCE_SECONDS):
            while text not in self.screen[self._seen :]:
                await trio.lowlevel.wait_readable(self._outer)
                self.screen += os.read(self._outer, 4096)
        self._seen = self.screen.index(text, self._seen) + len(text)

    def types(self, line: str) -> None:
        os.write(self._outer, line.encode() + b"\n")


async def typed_into(shell: str, home: Path, command: str, asked: bytes, secret: str) -> bytes:
    """Type the command, the secret where it asks for it, and `exit`. What stood on the screen."""
    outer, inner = pty.openpty()
    environment = {
        "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "TERM": "dumb",
        "PS1": PROMPT.decode(),
        "HISTFILE": str(home / "history"), "HISTSIZE": "1000", "RM_AGENT_STATE_DIR": str(home / "state"),
        "LANG": "C.UTF-8",
    }  # fmt: skip
    process = await trio.lowlevel.open_process(
        [shell, *SHELLS[Path(shell).name]], stdin=inner, stdout=inner, stderr=inner, env=environment, cwd=home,
        start_new_session=True,
    )  # fmt: skip
    os.close(inner)
    terminal = Terminal(outer)
    try:
        await terminal.until(PROMPT)
        terminal.types(command)
        await terminal.until(asked)
        terminal.types(secret)
        await terminal.until(PROMPT)
        terminal.types("exit")
        with trio.fail_after(PATIENCE_SECONDS):
            await process.wait()
    finally:
        process.kill()
        os.close(outer)
    return terminal.screen


def found_in(home: Path, secret: str) -> set[str]:
    return {
        str(file.relative_to(home))
        for file in home.rglob("*")
        if file.is_file() and secret in file.read_text("latin-1")
    }


@pytest.mark.parametrize("shell", SHELLS)
async def test_no_token_stays_in_a_shell_that_keeps_what_is_typed(
    server: ServerDouble, tmp_path: Path, shell: str
) -> None:
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    secret = "rme_" + "s" * 43
    server.tokens = {secret, "agent-1"}
    to = enrollment.address(server.url, "0.0.0.0:8081")
    commands = enrollment.for_new_hosts(secret, to, Moment(0).until(1), Typed(name="nas"))
    screen = await typed_into(path, tmp_path, commands.enroll, b"Enrollment token: ", secret)
    assert b"enrolled as nas" in screen
    assert secret.encode() not in screen
    assert StateDir(tmp_path / "state").credential().token == "agent-1"
    assert found_in(tmp_path, secret) == set()
    if shell == "bash":
        assert (tmp_path / "history").read_text().splitlines() == [commands.enroll, "exit"]


async def test_no_credential_stays_there_but_in_its_file(tmp_path: Path) -> None:
    path = shutil.which("bash")
    if path is None:
        pytest.skip("bash is not installed")
    state = StateDir(tmp_path / "state")
    state.make()
    state.save_credential(HostCredential("ws://127.0.0.1:1/ws/agent", ids.new(), "nas", "rmh_old"))
    secret = "rmh_" + "s" * 43
    screen = await typed_into(path, tmp_path, enrollment.NEW_CREDENTIAL, b"Credential: ", secret)
    assert b"nas has a new credential" in screen
    assert secret.encode() not in screen
    assert found_in(tmp_path, secret) == {"state/credential.json"}
