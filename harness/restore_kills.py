"""A real agent that tests restores one after the other, and is killed meanwhile. No server: it runs by what it keeps.

What a killed one has left, its private folder and a restic that may still write there, must be gone when the next one
has begun.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from harness.cheap_key import new_repository
from harness.processes import COMMAND, ROOT, environment, eventually
from rmactors.agent import guard
from rmactors.agent.own_snapshots import identity_tag
from rmactors.agent.restore_test.folder import files_in
from rmactors.agent.spool import Spool
from rmactors.agent.state_dir import HostCredential, KeptSchedules, StateDir
from rmactors.common import ids, wire

PASSWORD: Final = "a restore test's"
FILES: Final = 24
_FILE_BYTES: Final = 200_000
_KIB_A_SECOND: Final = 3_000
_MOST_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Killed:
    """What was there when it was: private folders, and restics that wrote into one."""

    folders: tuple[Path, ...]
    writing: tuple[int, ...]


class RestoreTester:
    """Everything lies below `folder`. `restic` is the program; `place` makes the private folders lie there."""

    def __init__(self, folder: Path, restic: str = "restic", place: Path | None = None) -> None:
        self._folder = folder
        self._restic = restic
        self._state = StateDir(folder / "state")
        self._place = place
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder / "agent.log"
        self._prepare()

    @property
    def folders(self) -> list[Path]:
        """The private folders that are there."""
        found = [path for path in self.entries if not path.is_symlink()]
        return found + (sorted(self._place.glob("rmactors-restore-test-*")) if self._place else [])

    @property
    def entries(self) -> list[Path]:
        """What the agent remembers of them."""
        inside = self._state.path / "restore-tests"
        return sorted(inside.iterdir()) if inside.exists() else []

    def start(self, *, testing: bool = True) -> None:
        """Run the agent; one that is not `testing` has nothing to do."""
        tests = wire.ScheduleInfo(ids.new(), "Tests", "restore_test", every_hours=1e-9, params={"plan": "home"})
        self._state.save_schedules(KeptSchedules("", 1, (tests,) if testing else ()))
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*COMMAND, "agent", "run", "--config", str(self._folder / "agent.toml")], cwd=ROOT,
                env=environment({"HOME": str(self._folder), "RM_AGENT_STATE_DIR": str(self._state.path)}),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> Killed:
        """With SIGKILL, nothing else."""
        assert self._process is not None
        killed = Killed(tuple(self.folders), tuple(self.writing()))
        self._process.kill()
        self._process.wait()
        return killed

    def kill_with_watchers(self) -> Killed:
        """While it writes: first what would end its restic, which stands still for as long, and goes on alone."""
        held = self._hold()
        for pid in guard.members(os.getsid(held)):
            if pid != held:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        killed = self.kill()
        os.kill(held, signal.SIGCONT)
        return killed

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def until_it_tests(self) -> None:
        eventually(lambda: bool(self.entries), _MOST_SECONDS, self._told, pause=0.002)

    def until_it_writes(self) -> None:
        """A restic has begun to write into a private folder."""
        eventually(lambda: self.writing() and any(map(_has_files, self.folders)), _MOST_SECONDS, self._told)

    def until_gone(self, killed: Killed) -> None:
        """Nothing is left of what was there."""
        eventually(lambda: not self.left_of(killed), _MOST_SECONDS, self._told)

    def remove_a_pack(self) -> None:
        """The largest of the repository: the data of its files."""
        packs = [path for path in (self._folder / "repository" / "data").rglob("*") if path.is_file()]
        max(packs, key=lambda path: path.stat().st_size).unlink()

    def first_failure(self, seconds: float = 300.0) -> wire.JobFinished:
        """The first test that failed by itself, as the agent keeps it for its server."""
        failures: list[wire.JobFinished] = []

        def has_failed() -> bool:
            spool = Spool(self._state.spool_file)
            frames = [wire.decode_from_agent(report.frame) for report in spool.pending(0, 100_000)]
            spool.close()
            ends = [frame for frame in frames if isinstance(frame, wire.JobFinished)]
            failures[:] = [end for end in ends if end.status == "failed" and end.reason not in {"lost", "terminated"}]
            return bool(failures)

        eventually(has_failed, seconds, self._told, pause=0.5)
        return failures[0]

    def left_of(self, killed: Killed) -> list[str]:
        left = [str(path) for path in killed.folders if os.path.lexists(path)]
        left += [str(path) for path in self.entries if any(path.name in str(one) for one in killed.folders)]
        return left + [f"restic {pid}" for pid in killed.writing if any(_words(pid))]

    def writing(self) -> list[int]:
        """Restics that restore into a private folder."""
        targets = {os.fsencode(files_in(str(path))) for path in self.folders}
        return [pid for pid in _processes() if targets.intersection(words := _words(pid)) and not _is_guard(words)]

    def _hold(self) -> int:
        """A restic that was stopped while it writes."""
        while True:
            self.until_it_writes()
            for pid in self.writing():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)
                if _stands_still(pid) and pid in self.writing():
                    return pid

    def _told(self) -> str:
        return f"{self.folders}\n{self.log.read_text()[-3000:]}" if self.log.exists() else ""

    def _prepare(self) -> None:
        source, password = self._folder / "home", self._folder / "pass"
        source.mkdir(parents=True)
        for number in range(FILES):
            (source / f"{number}.bin").write_bytes(os.urandom(_FILE_BYTES))
        password.write_text(f"{PASSWORD}\n")
        password.chmod(0o600)
        new_repository(self._folder / "repository", PASSWORD)
        (self._folder / "agent.toml").write_text(
            f"""
allow = ["restore_test"]
host = "nas"
restic = "{self._restic}"
jitter_seconds = 0.0
{f'restore_test_dir = "{self._place}"' if self._place else ""}
[repositories.main]
repository = "{self._folder / "repository"}"
password_file = "{password}"
limit_download = {_KIB_A_SECOND}
[plans.home]
repository = "main"
sources = ["{source}"]
"""
        )
        variables = {"RESTIC_REPOSITORY": str(self._folder / "repository"), "RESTIC_PASSWORD": PASSWORD}
        subprocess.run(
            [self._restic, "--no-cache", "backup", "--host", "nas", "--tag", identity_tag("home"), str(source)],
            env=os.environ | variables, check=True, capture_output=True, timeout=120,
        )  # fmt: skip
        self._state.reach()
        self._state.save_credential(HostCredential("http://127.0.0.1:9", ids.new(), "nas", "none"))


def kill_at(tester: RestoreTester, seconds: float, *, of_a_test: bool = False) -> Killed:
    """Start it, and kill it so many seconds later, or after it began a test, whatever it does then."""
    tester.start()
    if of_a_test:
        tester.until_it_tests()
    time.sleep(seconds)
    return tester.kill()


def _processes() -> Iterator[int]:
    return map(int, filter(str.isdigit, os.listdir("/proc")))


def _words(pid: int) -> list[bytes]:
    """Of its command line; none if it is gone, or nobody has reaped it yet."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return []


def _stands_still(pid: int) -> bool:
    """Once a signal has told it to; one that is about to end does not, and may take a while for that."""
    while (state := _state(pid)) not in "TZX":
        time.sleep(0.001)
    return state == "T"


def _state(pid: int) -> str:
    """As Linux names it in one letter; `X` where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return "X"


def _is_guard(words: list[bytes]) -> bool:
    return os.fsencode(guard.__file__) in words


def _has_files(folder: Path) -> bool:
    try:
        return any(folder.rglob("*.bin"))
    except FileNotFoundError:  # it is being removed
        return False
