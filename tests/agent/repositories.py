"""Real restic repositories on disk, another restic that holds one, and the restic processes that are left."""

import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmactors.agent.agent_file import AgentFile, Plan, Repository
from rmactors.common.vocabulary import ALLOWED

from .server_double import eventually


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
            "allow": list(ALLOWED),
            "repositories": {"main": Repository(**repository)},
            "plans": {"home": Plan(**plan)},
            "jitter_seconds": 0.0,
            "lock_wait_seconds": 0.0,
            "cancel_grace_seconds": 20.0,
        }
        return AgentFile(**(values | changes))


class holding_a_lock:
    """A restic that reads from a pipe and so holds its lock until it is told the end."""

    def __init__(self, repository: ResticRepository) -> None:
        self._repository = repository

    async def __aenter__(self) -> subprocess.Popen[bytes]:
        before = set(self._repository.locks())
        self._holder = subprocess.Popen(  # noqa: ASYNC220
            ["restic", "backup", "--stdin"], env=self._repository.environment, stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await eventually(lambda: set(self._repository.locks()) - before)
        return self._holder

    async def __aexit__(self, *exc: object) -> None:
        if self._holder.poll() is None:
            self._holder.send_signal(signal.SIGKILL)
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()


async def leave_a_lock(repository: ResticRepository) -> None:
    """The lock of a restic that was killed."""
    async with holding_a_lock(repository) as holder:
        holder.kill()
        holder.wait()
    assert repository.locks()


def restic_processes(repository: ResticRepository) -> list[str]:
    """Command lines of live processes whose environment names this repository."""
    found = []
    needle = f"RESTIC_REPOSITORY={repository.path}".encode()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if needle in (process / "environ").read_bytes().split(b"\0"):
                    found.append((process / "cmdline").read_bytes().decode())
            except OSError:
                continue
    return found
