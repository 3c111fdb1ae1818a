"""The disk: how much room there is, and what is on it for good."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

LEAST_FREE: Final = 200_000_000
"""Bytes. With less, one large report or one migration may be the one that finds the disk full."""


@dataclass(frozen=True, slots=True)
class DiskSpace:
    """Bytes: `database` and its write-ahead `log`, and what is `free` on their disk. `full` also without an inode."""

    database: int
    log: int
    free: int
    inodes: bool

    @property
    def low(self) -> bool:
        return self.free < LEAST_FREE or not self.inodes


def free_space(database: Path) -> DiskSpace:
    """What there is now. Costs some microseconds. Raises OSError."""
    found = os.statvfs(database.parent)
    size, log = (_size(database.with_name(database.name + suffix)) for suffix in ("", "-wal"))
    return DiskSpace(size, log, found.f_bavail * found.f_frsize, not found.f_files or found.f_favail > 0)


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def sync(path: Path) -> None:
    """Put a file, or the names in a folder, on disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
