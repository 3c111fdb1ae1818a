"""The agent's state dir: where it is, the credential, the schedules as last told, and who runs on it.

Owns every file in there but the spool's. Files are written whole or not at all, readable by their owner alone.
Must not talk to anybody.
"""

import errno
import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec
import trio

from rmactors.agent.client_certificate import ClientCertificate, of_files
from rmactors.agent.disk_trouble import of_errno, probe
from rmactors.common import locks, wire

SYSTEM_DIR: Final = Path("/var/lib/rmactors-agent")
_RUNS_LOCK: Final = "runs.lock"
_DISK_TAKES_NOTHING: Final = {errno.EROFS, errno.ENOSPC, errno.EDQUOT}
_FIRST_TURN_PAUSE: Final = 0.05
_LONGEST_TURN_PAUSE: Final = 0.4
"""Seconds between looks whether it is one's turn: hundreds may wait, and each look costs next to nothing."""


class StateError(Exception):
    """The state dir, or a file in it, cannot be used. The message says which and what to do."""


class NotEnrolled(StateError):
    """There is no credential: the host was never enrolled from this state dir."""


class AlreadyRunning(StateError):
    """Another agent runs on this state dir."""


@dataclass(frozen=True, slots=True)
class HostCredential:
    """What makes this host known to its server. `token` is a secret and stays out of `repr`."""

    server_url: str
    host_id: str
    name: str
    token: str = field(repr=False)
    ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None

    @property
    def certificate(self) -> ClientCertificate | None:
        return of_files(self.tls_cert_file, self.tls_key_file)


class KeptSchedules(msgspec.Struct, frozen=True):
    """The schedules as the server last told them, and whose they are."""

    host_id: str = ""
    schedules_rev: int = 0
    schedules: tuple[wire.ScheduleInfo, ...] = ()


class _OnDisk(msgspec.Struct):
    """The same as read, before anything in it is believed."""

    host_id: str = ""
    schedules_rev: int = 0
    schedules: list[msgspec.Raw] = []


def default_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`RM_AGENT_STATE_DIR`, or the system's place for root, or the XDG state dir for others."""
    if chosen := environ.get("RM_AGENT_STATE_DIR"):
        return Path(chosen)
    if os.geteuid() == 0:
        return SYSTEM_DIR
    base = environ.get("XDG_STATE_HOME") or str(Path(environ.get("HOME", "~")).expanduser() / ".local" / "state")
    return Path(base) / "rmactors-agent"


@dataclass(frozen=True, slots=True)
class StateDir:
    """The files of one agent. All methods raise StateError if the disk does not play along."""

    path: Path

    @property
    def spool_file(self) -> Path:
        return self.path / "spool.db"

    @property
    def wakeup_pipe(self) -> Path:
        """A named pipe: a byte written into it makes the running agent look into the spool."""
        return self.path / "bell"  # named as in all versions: an older `exec` may run beside this agent

    @property
    def handover_pipe(self) -> Path:
        """A named pipe into the memory of the running agent, for what an `exec` cannot write into the spool."""
        return self.path / "handover"

    def make(self) -> None:
        """Make the directory, for its owner alone, if something is to be written into it now."""
        self.reach()
        if (number := probe(self.path)) != 0:
            cause = of_errno(number, self.path / "credential.json")
            raise StateError(f"cannot write into the state dir {self.path}: {cause.words}; {cause.advice}")

    def reach(self) -> None:
        """Make the directory if there is none. One that is there may be full or read-only."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            cause = of_errno(error.errno or 0, self.path)
            raise StateError(f"cannot make the state dir {self.path}: {cause.words}; {cause.advice}") from None
        if not os.access(self.path, os.R_OK | os.X_OK):
            raise StateError(
                f"cannot use the state dir {self.path}: it belongs to another user; "
                "run this as its owner, or set RM_AGENT_STATE_DIR"
            )

    @property
    def credential_file(self) -> Path:
        return self.path / "credential.json"

    def credential(self) -> HostCredential:
        """Raises NotEnrolled if there is none."""
        file = self.credential_file
        try:
            return msgspec.json.decode(file.read_bytes(), type=HostCredential)
        except FileNotFoundError:
            raise NotEnrolled(f"this host is not enrolled (no {file}): run `rmactors agent enroll` first") from None
        except OSError as error:
            raise StateError(f"cannot read {file}: {error.strerror}") from None
        except msgspec.DecodeError:
            raise StateError(f"{file} is damaged: enroll this host again") from None

    def save_credential(self, credential: HostCredential) -> None:
        self._write("credential.json", msgspec.json.encode(credential))

    def schedules(self) -> KeptSchedules:
        """The schedules as kept; none if nothing was kept yet or the file is damaged (the server has them).

        One that this version would not take from a server is left out alone.
        """
        try:
            kept = msgspec.json.decode((self.path / "schedules.json").read_bytes(), type=_OnDisk)
            return KeptSchedules(kept.host_id, kept.schedules_rev, tuple(wire.fitting_schedules(kept.schedules)[0]))
        except (FileNotFoundError, msgspec.DecodeError):
            return KeptSchedules()
        except OSError as error:
            raise StateError(f"cannot read {self.path / 'schedules.json'}: {error.strerror}") from None

    def save_schedules(self, kept: KeptSchedules) -> None:
        self._write("schedules.json", msgspec.json.encode(kept))

    @contextmanager
    def held(self) -> Iterator[None]:
        """Be the one running agent of this state dir. Raises AlreadyRunning."""
        handle = self._open_lock("agent.lock")
        try:
            if not locks.take(handle):
                raise AlreadyRunning(f"another agent runs on {self.path}")
            yield
        finally:
            os.close(handle)

    def agent_runs(self) -> bool:
        """Whether an agent runs on this state dir now."""
        handle = self._open_lock("agent.lock")
        try:
            return locks.is_taken(handle)
        finally:
            os.close(handle)

    @contextmanager
    def run_in_memory(self) -> Iterator[None]:
        """Of an `exec` whose start could not be written: an agent that starts now waits until it is handed over."""
        try:
            handle = self._open_runs_lock()
        except OSError:  # such an agent does not know of this run until it is handed over, a second later
            yield
            return
        try:
            locks.share(handle)
            yield
        finally:
            os.close(handle)

    def runs_in_memory(self) -> set[int]:
        """The processes of such runs, by number. Empty if the system does not tell."""
        return locks.sharers(self.path / _RUNS_LOCK)

    def make_runs_lock(self) -> None:
        """While the disk still takes a new file. If it does not, and there is none, it goes without."""
        with suppress(OSError):
            os.close(self._open_runs_lock())

    def _open_runs_lock(self) -> int:
        """Never the directory in its place, which an agent may have locked."""
        try:
            return os.open(self.path / _RUNS_LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            return os.open(self.path / _RUNS_LOCK, os.O_RDONLY | os.O_CLOEXEC)

    @asynccontextmanager
    async def turn(self, seconds: float, is_needless: Callable[[], Awaitable[bool]]) -> AsyncIterator[bool]:
        """Deliver what is in the spool, as the only run of `exec` that does. Waits while another one does, but no
        longer than so many seconds: that one may hang. False if it `is_needless` by then: the other one took along
        what was to be delivered.
        """
        try:
            handle = os.open(self.path / "deliver.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:  # on a full disk say; what is in the spool is worth more than the turn
            yield True
            return
        try:
            until, pause = trio.current_time() + seconds, _FIRST_TURN_PAUSE
            while not locks.take(handle, tries=0) and trio.current_time() < until:
                await trio.sleep(pause)
                pause = min(2 * pause, _LONGEST_TURN_PAUSE)
            yield not await is_needless()
        finally:
            os.close(handle)

    def wake_agent(self) -> None:
        """Make the running agent look into the spool. Nothing happens if none runs."""
        try:
            pipe = os.open(self.wakeup_pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno in {errno.ENXIO, errno.ENOENT}:  # nobody listens, or nobody ever did
                return
            raise StateError(f"cannot open {self.wakeup_pipe}: {error.strerror}") from None
        try:
            os.write(pipe, b"!")
        except (BlockingIOError, BrokenPipeError):
            pass  # it is ringing already, or the agent has just gone
        finally:
            os.close(pipe)

    def _open_lock(self, name: str) -> int:
        """The file of that name, to be locked; if it cannot be made on a full or read-only disk, the directory: a
        lock needs nothing written."""
        try:
            return os.open(self.path / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            trouble = error
        places = [self.path / name, self.path] if trouble.errno in _DISK_TAKES_NOTHING else []
        for place in places:
            try:
                return os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                trouble = error
        raise StateError(f"cannot open {self.path / name}: {trouble.strerror}")

    def _write(self, name: str, content: bytes) -> None:
        """The file is the old one or the new one, whatever happens, and the new one once this returns."""
        self.reach()
        temporary = None
        try:
            handle, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self.path)  # 0600
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, self.path / name)
            temporary = None
            directory = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            words = of_errno(error.errno or 0, self.path / name).words
            raise StateError(f"cannot write {self.path / name}: {words}") from None
        finally:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
