"""What the agent's commands print on a terminal: words of a server or of restic move no cursor there."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from rmactors.agent.state_dir import HostCredential, StateDir
from rmactors.cli.main import main
from rmactors.client import tables
from rmactors.common import wire
from rmactors.common.findings import Finding

from .server_double import ServerDouble, Session, serving

ROOT = Path(__file__).resolve().parents[2]
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31mall is well\r\nok     server knows this host\u202e"


class EvilServer(ServerDouble):
    """Answers whatever it is sent with words that a terminal would obey."""

    closes = False

    async def _answer(self, session: Session, frame: wire.FromAgent) -> None:
        if self.closes:
            await session.socket.aclose(4000, EVIL.encode()[:100].decode(errors="ignore"))
            return
        await session.send(wire.Error(EVIL, EVIL))
        await session.send(wire.Error("no", EVIL))
        if isinstance(frame, wire.JobStarted | wire.JobFinished):
            await session.send(wire.Ack(frame.seq, "no", EVIL))
        if isinstance(frame, wire.Hello) and self.welcoming:
            await super()._answer(session, frame)


async def said(*arguments: str, state: Path) -> str:
    """Everything that one call of the agent's command line prints."""
    environment = {**os.environ, "RM_AGENT_CONFIG": "", "RM_AGENT_STATE_DIR": str(state)}
    done = await trio.run_process(
        [sys.executable, "-m", "rmactors", "agent", *arguments], capture_stdout=True, stderr=subprocess.STDOUT,
        check=False, env=environment, cwd=ROOT,
    )  # fmt: skip
    return done.stdout.decode()


@pytest.mark.parametrize("closes", [False, True], ids=["an error", "a close"])
async def test_nothing_that_a_server_says_reaches_the_terminal_as_it_is(closes: bool, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("enroll-1")
    double = EvilServer(welcoming=False)
    double.closes = closes
    async with serving(double):
        state = StateDir(tmp_path / "state")
        state.make()
        enrolled = await said("enroll", "--server", double.url, "--token-file", str(token), state=tmp_path / "new")
        state.save_credential(HostCredential(double.url, double.host_id, "nas", "agent-1"))
        double.welcoming = not closes
        wrapped = ("exec", "--kind", "backup", "--schedule", "x\x1b[2J", "--", "true")
        second = await said(*(("check",) if closes else wrapped), state=state.path)
    for words in (enrolled, second):
        assert "�]0;owned��[2J" in words
        assert not [c for c in words if c in "\x1b\x07\x9b\r\u202e"]
    assert enrolled.count("\n") <= 2, "not even a line of its own"
    assert not [line for line in second.splitlines() if line.startswith("ok     server knows")]


def test_a_finding_is_one_line_no_matter_who_said_what_is_in_it() -> None:
    assert Finding(False, f"repository main: {EVIL}").line.isprintable()
    assert Finding(False, EVIL).line.count("\n") == 0
    assert "\x1b" not in Finding(True, EVIL).line


def test_tables_and_commands_clean_alike() -> None:
    assert tables.plain(EVIL) == Finding(None, EVIL).line.removeprefix("note   ")


def test_a_token_that_is_no_text_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "to\x1b[2Jken"
    file.write_bytes(b"\xff\xfe")
    done = CliRunner().invoke(main, ["agent", "enroll", "--server", "http://127.0.0.1:1", "--token-file", str(file)])
    assert done.exit_code == 1
    assert "\x1b" not in done.output
