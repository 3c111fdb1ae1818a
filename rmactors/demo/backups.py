"""Real backups to watch: a restic repository, files to back up, and the agent's own file.

Without restic, what the agent wraps is another command; everything behind it is the same.
"""

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import trio

from rmactors.agent.wrapped import Fds
from rmactors.agent.wrapping import run_exec

PLAN_OK = "documents"
PLAN_BAD = "photos"
GET_RESTIC = "sudo apt-get install restic"


class Backups(Protocol):
    """Three runs, reported by the agent from `state_dir`: one that works, one that fails, and that one mended."""

    async def good(self, state_dir: Path) -> None: ...

    async def bad(self, state_dir: Path) -> None: ...

    async def mended(self, state_dir: Path) -> None: ...


def of_this_machine(folder: Path) -> Backups:
    """With restic where it is installed, else with another command."""
    return ResticBackups.make(folder) if shutil.which("restic") else CommandBackups()


@dataclass(frozen=True, slots=True)
class ResticBackups:
    """One repository, two folders, and a password file that can be wrong."""

    repository: Path
    password_file: Path
    wrong_password_file: Path
    documents: Path
    photos: Path

    @staticmethod
    def make(folder: Path) -> "ResticBackups":
        """Files, passwords and an initialised repository below `folder`. Raises CalledProcessError."""
        made = ResticBackups(
            folder / "repository", folder / "password", folder / "old-password", folder / PLAN_OK, folder / PLAN_BAD
        )
        made.password_file.write_text("demo\n")
        made.wrong_password_file.write_text("not the password any more\n")
        for source in (made.documents, made.photos):
            source.mkdir()
            for n in range(20):
                (source / f"file-{n}.txt").write_text(f"{source.name} {n}\n" * 500)
        restic = ["restic", "-q", "-r", str(made.repository), "--password-file", str(made.password_file), "init"]
        subprocess.run(restic, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own words
        return made

    async def good(self, state_dir: Path) -> None:
        await self._backup(state_dir, PLAN_OK, self.documents, self.password_file)

    async def bad(self, state_dir: Path) -> None:
        await self._backup(state_dir, PLAN_BAD, self.photos, self.wrong_password_file)

    async def mended(self, state_dir: Path) -> None:
        await self._backup(state_dir, PLAN_BAD, self.photos, self.password_file)

    async def _backup(self, state_dir: Path, plan: str, source: Path, password: Path) -> None:
        command = [
            "restic",
            "-r",
            str(self.repository),
            "--password-file",
            str(password),
            "backup",
            "--json",
            str(source),
        ]
        await _wrapped(command, state_dir, plan)


@dataclass(frozen=True, slots=True)
class CommandBackups:
    """If there is no restic: a command that works, and one that fails."""

    async def good(self, state_dir: Path) -> None:
        await _wrapped([sys.executable, "-c", "print('copied')"], state_dir, PLAN_OK)

    async def bad(self, state_dir: Path) -> None:
        await _wrapped(
            [sys.executable, "-c", "raise SystemExit('the target disk is not mounted')"], state_dir, PLAN_BAD
        )

    async def mended(self, state_dir: Path) -> None:
        await _wrapped([sys.executable, "-c", "print('copied')"], state_dir, PLAN_BAD)


async def _wrapped(command: list[str], state_dir: Path, plan: str) -> None:
    """As `rmactors agent exec` does it, its output out of the way."""
    async with await trio.open_file("/dev/null", "wb") as nowhere:
        fds = Fds(nowhere.fileno(), nowhere.fileno())
        await run_exec(command, "backup", state_dir, plan=plan, forward_signals=False, fds=fds)
