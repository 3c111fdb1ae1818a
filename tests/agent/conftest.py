"""What the agent's tests share: a server to talk to, a state dir, and a real restic repository."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from harness.cheap_key import make_cheap
from rmactors.agent.connection import Timings
from rmactors.agent.state_dir import HostCredential, StateDir

from .repositories import ResticRepository
from .server_double import ServerDouble, serving

FAST = Timings(
    connect=5,
    send=2,
    welcome=2,
    pong=1,
    ack=0.4,
    stable=60,
    first_pause=0.05,
    longest_pause=0.2,
    refused_pause=30,
    mend=0.1,
)


@pytest.fixture
async def server() -> AsyncIterator[ServerDouble]:
    async with serving(ServerDouble()) as double:
        yield double


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    made = StateDir(tmp_path / "state")
    made.make()
    return made


@pytest.fixture
def enrolled(state: StateDir, server: ServerDouble) -> StateDir:
    """A state dir with a credential that the server knows."""
    state.save_credential(HostCredential(server.url, server.host_id, "nas", "agent-1"))
    return state


@pytest.fixture
def bare_repository(tmp_path: Path) -> ResticRepository:
    """Password and sources, but no repository yet."""
    if shutil.which("restic") is None:
        message = "restic is not installed: apt-get install restic"
        pytest.fail(message) if os.environ.get("CI") == "true" else pytest.skip(message)
    source = tmp_path / "home"
    source.mkdir()
    (source / "a.txt").write_text("alpha\n")
    (source / "b.bin").write_bytes(os.urandom(50_000))
    (source / "deep").mkdir()
    (source / "deep" / "ü.txt").write_text("unicode\n")
    password = tmp_path / "pass"
    password.write_text("secret\n")
    return ResticRepository(tmp_path / "repo", password, source, tmp_path / "cache")


@pytest.fixture(scope="session")
def empty_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: restic takes its time over a new key."""
    folder = tmp_path_factory.mktemp("restic")
    (folder / "pass").write_text("secret\n")
    variables = {"RESTIC_REPOSITORY": str(folder / "repo"), "RESTIC_PASSWORD_FILE": str(folder / "pass")}
    subprocess.run(["restic", "--no-cache", "init"], env={**os.environ, **variables}, check=True, capture_output=True)
    make_cheap(folder / "repo", "secret")
    return folder / "repo"


@pytest.fixture
def repository(bare_repository: ResticRepository, request: pytest.FixtureRequest) -> ResticRepository:
    shutil.copytree(request.getfixturevalue("empty_repository"), bare_repository.path)
    return bare_repository
