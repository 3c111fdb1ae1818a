"""The private folders of restore tests: made, removed, and found again after the agent was killed.

Owns `restore-tests` in the state dir. Each test has an entry there, named by its job: the folder itself or, where
agent.toml names another place, a link that says where it is. An entry is made before its folder, and goes after it.
"""

import logging
import os
import shutil
import signal
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trio

from rmactors.agent import guard
from rmactors.agent.tampering import trouble_with
from rmactors.common.disk import sync

log = logging.getLogger(__name__)

_PREFIX: Final = "rmactors-restore-test-"
"""Of a folder outside of the state dir: what it is, for who finds it."""
_FILES: Final = "files"
_ORPHAN_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 60.0


class NoFolder(Exception):
    """There is no private folder for a test. The message says why, and what to do, in one sentence."""


@dataclass(frozen=True, slots=True)
class PrivateFolders:
    """Those of one agent. `place` is where agent.toml says that they are to be, or None."""

    state: Path
    place: str | None = None

    @property
    def _entries(self) -> Path:
        return self.state / "restore-tests"

    @property
    def above(self) -> str:
        """Whose disk is used."""
        return self.place or str(self._entries)

    def make(self, job_id: str) -> str:
        """A new folder that only this user can enter. What is restored goes into a new one in it, `files`. Raises
        NoFolder."""
        if trouble := trouble_with(self.above, of="restore_test_dir" if self.place else "", decides="where files land"):
            raise NoFolder(trouble)
        entry = self._entries / job_id
        try:
            self._entries.mkdir(mode=0o700, exist_ok=True)
            if self.place is None:
                entry.mkdir(mode=0o700)
                return str(entry)
            folder = os.path.join(self.place, _PREFIX + job_id)
            entry.symlink_to(folder)
            sync(self._entries)
            os.mkdir(folder, 0o700)
            return folder
        except OSError as error:
            with suppress(OSError):
                entry.unlink()  # the link; a folder stays
            words = f"cannot make a folder in {self.above}: {(error.strerror or str(error)).lower()}"
            advice = "; make it, or name another in `restore_test_dir`" if self.place else ""
            raise NoFolder(words + advice) from None

    def remove(self, job_id: str) -> str | None:
        """Remove the folder of that job, with all that is in it. What is left of it and why, or None if nothing is."""
        entry = self._entries / job_id
        folder = self._folder_of(entry)
        if folder is not None:
            _remove(folder)
            if os.path.lexists(folder):
                return folder
        with suppress(OSError):
            if entry.is_symlink():
                entry.unlink()
        return None

    def left_over(self) -> list[str]:
        """Jobs whose folders an agent has left that was killed. Looked for before any job begins."""
        try:
            return sorted(os.listdir(self._entries))
        except OSError:
            return []

    def clear(self, job_id: str) -> str | None:
        """As `remove`, after whatever still writes there was ended."""
        if (folder := self._folder_of(self._entries / job_id)) is not None:
            _end_writers(folder)
        return self.remove(job_id)

    def _folder_of(self, entry: Path) -> str | None:
        """None if there is none, or if a link leads to what is no folder of a test."""
        try:
            if not entry.is_symlink():
                return str(entry) if entry.is_dir() else None
            folder = os.readlink(entry)
        except OSError:
            return None
        is_ours = os.path.basename(folder) == _PREFIX + entry.name and os.path.isabs(folder)
        return folder if is_ours and os.path.isdir(folder) and not os.path.islink(folder) else None


def files_in(folder: str) -> str:
    """What restic makes in a test's folder: it may change who can enter that one."""
    return os.path.join(folder, _FILES)


async def clear_left_over(folders: PrivateFolders, jobs: Sequence[str]) -> None:
    """Until nothing of them is left: what cannot be removed now is tried again."""
    waiting = list(jobs)
    while waiting:
        for job_id in list(waiting):
            left = await trio.to_thread.run_sync(folders.clear, job_id, abandon_on_cancel=True)
            if left is None:
                log.info("what the restore test %s had left was removed", job_id)
                waiting.remove(job_id)
            else:
                log.error("%s, which a restore test has left, cannot be removed; trying again", left)
        if waiting:
            await trio.sleep(_AGAIN_SECONDS)


def used(folder: str) -> int:
    """Bytes on the disk of all that lies in that folder, at this moment."""
    found, waiting = 0, [folder]
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    at = entry.stat(follow_symlinks=False)
                    found += at.st_blocks * 512
                    if stat.S_ISDIR(at.st_mode):
                        waiting.append(entry.path)
        except OSError:
            continue
    return found


def empty(folder: str) -> None:
    """Remove what was restored into a test's folder, and leave that."""
    _remove(files_in(folder))


def _remove(folder: str) -> None:
    """As far as it goes. Folders come with the modes of their originals, which may keep their owner out."""
    for at, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(at, name)
            with suppress(OSError):
                if not os.path.islink(path):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _end_writers(folder: str) -> None:
    """A restic of an agent that was killed, should it not have ended with it: restic and its helpers."""
    deadline = time.monotonic() + _ORPHAN_SECONDS
    while (sessions := set(_writers(folder))) and time.monotonic() < deadline:
        for session in sessions:
            guard.signal_session(session, signal.SIGKILL)
        time.sleep(0.02)


def _writers(folder: str) -> Iterator[int]:
    """Sessions of processes that were told to write there. Each restic of the agent's has one of its own."""
    target = os.fsencode(files_in(folder))
    try:
        names = os.listdir("/proc")
    except OSError:
        return
    for name in filter(str.isdigit, names):
        try:
            words = Path("/proc", name, "cmdline").read_bytes().split(b"\0")
            if target in words and b"--target" in words and (session := os.getsid(int(name))) != os.getsid(0):
                yield session
        except OSError:
            continue
