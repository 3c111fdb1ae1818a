"""The data dir's lock: one server at a time, and the database is not replaced while it runs."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rmactors.common import locks
from rmactors.server.config.ownership import chown_like


class DataDirTaken(Exception):
    """A server is running on the data dir. You get it when you ask for the lock, never while you hold it."""


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the lock of a data dir, which is made (0700) if it is missing. Raises DataDirTaken, OSError."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(data_dir / "server.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        chown_like(data_dir, lock)
        if not locks.take(lock):
            raise DataDirTaken(f"another server is running on the data dir {data_dir}")
        yield
    finally:
        os.close(lock)


def server_runs(data_dir: Path) -> bool:
    """Whether a server holds the lock. Makes nothing. Raises OSError."""
    try:
        lock = os.open(data_dir / "server.lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        return locks.is_taken(lock)
    finally:
        os.close(lock)
