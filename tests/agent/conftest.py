"""What the agent's tests share: a server to talk to, a state dir, and a real restic repository."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rmactors.agent.connection import Timings
from rmactors.agent.settings import AgentFile, Plan, Repository
from rmactors.agent.state import Credential, StateDir

from .server_double import ServerDouble, serving

FAST = Timings(
    connect=5, send=2, welcome=2, pong=1, ack=0.4, stable=60, first_pause=0.05, longest_pause=0.2, refused_pause=30
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
    state.save_credential(Credential(server.url, server.host_id, "nas", "agent-1"))
    return state


@dataclass
class ResticRepository:
    """A real repository on disk, and files to back up."""

    path: Path
    password_file: Path
    source: Path
    cache: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "RESTIC_REPOSITORY": str(self.path),
            "RESTIC_PASSWORD_FILE": str(self.password_file),
            "RESTIC_CACHE_DIR": str(self.cache),
        }

    def restic(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["restic", *arguments], env=self.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=check, timeout=60,
        )  # fmt: skip

    def locks(self) -> list[str]:
        """Locks that count: not those that are still being written."""
        return [file.name for file in (self.path / "locks").iterdir() if len(file.name) == 64]

    def agent_file(self, **changes: Any) -> AgentFile:
        repository: dict[str, Any] = {
            "repository": str(self.path),
            "password_file": str(self.password_file),
            "cache_dir": str(self.cache),
            "restore_to": str(self.path.parent / "restored"),
        } | changes.pop("repository", {})
        plan: dict[str, Any] = {"repository": "main", "sources": [str(self.source)]} | changes.pop("plan", {})
        values: dict[str, Any] = {
            "allow": ["backup", "forget", "prune", "check", "unlock", "init", "restore", "diff", "snapshots"],
            "repositories": {"main": Repository(**repository)},
            "plans": {"home": Plan(**plan)},
            "jitter_seconds": 0.0,
            "lock_wait_seconds": 0.0,
            "cancel_grace_seconds": 20.0,
        }
        return AgentFile(**(values | changes))


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
    return folder / "repo"


@pytest.fixture
def repository(bare_repository: ResticRepository, request: pytest.FixtureRequest) -> ResticRepository:
    shutil.copytree(request.getfixturevalue("empty_repository"), bare_repository.path)
    return bare_repository
