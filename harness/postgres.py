"""A PostgreSQL of the tests' own: started from Debian's programs, in a private folder that goes with it.

It runs as another user where the tests run as root, which PostgreSQL refuses to. A process beside it, the keeper, waits
for the end of the process of the tests, however that comes, SIGKILL included: then it ends PostgreSQL and removes the
folder. (A signal at the parent's death would come at the death of the thread that started it.)
"""

import os
import pwd
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import psycopg
import pytest

from harness.ports import free_port
from harness.processes import environment, eventually
from harness.tools import UNPACKED, libraries
from rmactors.server.store.place import PostgresUrl

OLDEST: Final = 15
"""The oldest version that the server takes."""
ADMIN: Final = "admin"
USER: Final = "rm"
"""Owns the databases, and may do nothing else."""
_PATIENCE: Final = 120.0
_SIGNALS: Final = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

_KEEPER: Final = """
cat >/dev/null
pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null)
ours() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; }
if ours "$1"; then
    kill -CONT "$pid"; kill -QUIT "$pid"
    for _ in $(seq 150); do ours "$1" || break; sleep 0.1; done # after five seconds it kills who does not end
    ! ours "$1" || kill -KILL "$pid"
fi
rm -rf "$1"
"""
_ALWAYS: Final[dict[str, object]] = {
    "jit": "off", "timezone": "UTC", "log_timezone": "UTC", "shared_buffers": "32MB", "max_wal_size": "256MB",
    "max_connections": 100, "max_parallel_workers_per_gather": 0,
}  # fmt: skip
_HASTY: Final[dict[str, object]] = {
    "fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "wal_level": "minimal",
    "max_wal_senders": 0,
}  # fmt: skip


def programs() -> Path | None:
    """The folder of the newest PostgreSQL's programs: an installed one, or what `make test-tools` has unpacked."""
    places = (Path("/usr/lib/postgresql"), UNPACKED / "receivers" / "postgresql" / "usr" / "lib" / "postgresql")
    found = [
        (int(version.name), version / "bin")
        for place in places if place.is_dir()
        for version in place.iterdir()
        if re.fullmatch(r"\d+", version.name) and (version / "bin" / "initdb").is_file()
    ]  # fmt: skip
    newest, folder = max(found, key=lambda each: each[0], default=(0, None))
    return folder if newest >= OLDEST else None


def needed_programs() -> Path:
    """The same. Where CI=true they must be there; elsewhere their absence skips the test."""
    found = programs()
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"PostgreSQL {OLDEST} or newer is not there, and CI=true does not skip: make test-tools")
        pytest.skip(f"needs PostgreSQL {OLDEST} or newer: make test-tools")
    return found


@cache
def _other_user() -> dict[str, Any]:
    """Who runs it, as subprocess takes it: nobody else, but for root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise AssertionError("PostgreSQL does not run as root, and there is no user postgres or nobody")


class PostgresServer:
    """One PostgreSQL, its data included. It is made ready, not started.

    `durable`: what is committed outlives a crash, as for users. Else it is fast, and a crash may lose everything.
    `tcp`: it listens on loopback too. `settings` are lines of postgresql.conf.
    """

    def __init__(self, *, durable: bool = False, tcp: bool = False, **settings: object) -> None:
        self._programs = needed_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="rm-pg-", dir="/tmp"))  # short: it is in the name of a socket
        if other := _other_user():
            os.chown(self.folder, other["user"], other["group"])
        self._keeper = subprocess.Popen(
            ["sh", "-c", _KEEPER, "keeper", self.folder],
            stdin=subprocess.PIPE, cwd="/", start_new_session=True, **other,
        )  # fmt: skip
        self.log_file = self.folder / "log"
        self.data = self.folder / "data"
        self.port = free_port() if tcp else 5432
        self._host = "127.0.0.1" if tcp else ""
        self._password = secrets.token_hex(16)
        self.process: subprocess.Popen[bytes] | None = None
        self._has_user = False
        try:
            self._make(_ALWAYS | ({} if durable else _HASTY) | settings)
        except BaseException:
            self.remove()
            raise

    def _make(self, settings: dict[str, object]) -> None:
        self._copy_unreachable_programs()
        password_file = self.folder / "password"
        password_file.write_text(self._password)
        password_file.chmod(0o644)  # nobody else comes into the folder
        command = [
            self._programs / "initdb", "--pgdata", self.data, "--username", ADMIN, "--locale=C", "--encoding=UTF8",
            "--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", password_file, "--no-sync",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, **self._how())
        assert done.returncode == 0, f"initdb ended with {done.returncode}\n{done.stderr}"
        self.set(**self._here, **settings)

    @property
    def _here(self) -> dict[str, object]:
        return {"listen_addresses": self._host, "port": self.port, "unix_socket_directories": self.folder}

    def _copy_unreachable_programs(self) -> None:
        """Another user may not come to what is unpacked in root's home."""
        try:
            subprocess.run([self._programs / "initdb", "--version"], capture_output=True, **self._how())
        except PermissionError:
            root = self._programs.parents[4]
            copy = shutil.copytree(root, self.folder / "programs", symlinks=True)
            for path in (copy, *copy.rglob("*")):
                os.chown(path, _other_user()["user"], -1, follow_symlinks=False)
            self._programs = copy / self._programs.relative_to(root)

    def _how(self) -> dict[str, Any]:
        variables = {name: value for name, value in environment({}).items() if not name.startswith("PG")}
        root = self._programs.parents[4]  # of …/usr/lib/postgresql/15/bin
        unpacked = libraries(root) if root != Path("/") else {}
        return {"env": variables | unpacked | {"LC_ALL": "C"}, "stdin": subprocess.DEVNULL, "cwd": "/", **_other_user()}

    # ---- its life

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it, after a crash too, and wait until it takes connections."""
        assert not self.running
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data],
                stdout=log, stderr=log, start_new_session=True, **self._how(),
            )  # fmt: skip
        eventually(self._is_ready, _PATIENCE, lambda: f"PostgreSQL is not ready\n{self.log[-4000:]}", pause=0.02)
        if not self._has_user:
            self.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{self._password}'")
            self._has_user = True

    def _is_ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"it ended with {self.process.returncode}\n{self.log[-4000:]}"
        try:
            psycopg.connect(self.url().url, connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, how: Literal["fast", "immediate"] = "fast") -> None:
        """`fast` ends connections and writes all down; `immediate` is a crash that PostgreSQL itself arranges."""
        assert self.process is not None
        self.process.send_signal(_SIGNALS[how])
        self.process.wait(_PATIENCE)

    def kill(self) -> None:
        """SIGKILL to all of its processes, as when the machine's memory is full."""
        assert self.process is not None
        self.pause()  # so that none is started meanwhile
        for pid in self._pids():
            _signal(pid, signal.SIGKILL)
        self.process.wait(_PATIENCE)

    def pause(self) -> None:
        """SIGSTOP to all of its processes: it neither answers nor hangs up."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        for pid in self._pids():
            _signal(pid, signal.SIGSTOP)

    def resume(self) -> None:
        for pid in reversed(self._pids()):
            _signal(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """It first, then its children."""
        assert self.process is not None
        parents = ((int(stat.parent.name), _parent(stat)) for stat in Path("/proc").glob("[0-9]*/stat"))
        return [self.process.pid, *(pid for pid, parent in parents if parent == self.process.pid)]

    def remove(self) -> None:
        """End it, and remove all that it has written."""
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        if self.process is not None:
            self.process.wait(_PATIENCE)
        self._keeper.wait(_PATIENCE)

    # ---- several of them

    def set(self, **settings: object) -> None:
        """More lines of postgresql.conf, which hold from the next start or `SELECT pg_reload_conf()` on."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def follow(self, primary: "PostgresServer", name: str) -> None:
        """Throw away its data, copy those of a running primary, and start as its standby of that name."""
        assert not self.running
        shutil.rmtree(self.data)
        source = f"{primary.url().url}{'&' if '?' in primary.url().url else '?'}application_name={name}"
        command = [
            self._programs / "pg_basebackup", "--pgdata", self.data, "--dbname", primary.url().url,
            "--checkpoint=fast", "--no-sync",
        ]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, **self._how())
        assert done.returncode == 0, f"pg_basebackup ended with {done.returncode}\n{done.stderr}"
        self._password, self._has_user = primary._password, True
        self.set(**self._here, primary_conninfo=source)
        (self.data / "standby.signal").touch()
        self.start()

    def promote(self) -> None:
        """From a standby to a primary, with all that it was sent."""
        command = [self._programs / "pg_ctl", "promote", "--pgdata", self.data, "--timeout", str(round(_PATIENCE))]
        done = subprocess.run(command, capture_output=True, text=True, **self._how())
        assert done.returncode == 0, f"pg_ctl promote ended with {done.returncode}\n{done.stdout}{done.stderr}"

    # ---- for those who ask it

    def url(self, database: str = "postgres", user: str = ADMIN) -> PostgresUrl:
        if self._host:
            return PostgresUrl(f"postgresql://{user}:{self._password}@{self._host}:{self.port}/{database}")
        return PostgresUrl(f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}")

    def new_database(self, name: str, template: str = "template0") -> PostgresUrl:
        """A database of the ordinary user's, as an administrator makes it for the server."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} OWNER {USER}")
        return self.url(name, USER)

    def execute(self, sql: str, parameters: tuple[object, ...] = (), database: str = "postgres") -> list[Any]:
        """One statement, on a connection of its own; its rows."""
        with psycopg.connect(self.url(database).url, autocommit=True) as connection:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def terminate_backends(self, database: str) -> int:
        """End the connections to a database, whatever they are at; how many there were."""
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        return len(self.execute(sql, (database,)))

    def kill_backend(self, database: str) -> None:
        """SIGKILL to what serves one of its connections: PostgreSQL ends all others and recovers as after a crash."""
        sql = "SELECT min(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()"
        [(pid,)] = self.execute(sql, (database,))
        if pid is not None:
            _signal(pid, signal.SIGKILL)


@contextmanager
def running_postgres(**options: Any) -> Iterator[PostgresServer]:
    """A PostgreSQL that is ready, and gone at the end of the block however that ends. Options as PostgresServer's."""
    server = PostgresServer(**options)
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _parent(stat: Path) -> int:
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
