"""What the machine gives: time, room on the disk, a data dir and a key that no other user can read."""

import ctypes
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rmactors.common.disk import free_space
from rmactors.common.findings import Finding
from rmactors.common.sizes import size
from rmactors.server.config.secrets import SecretBox, SecretError
from rmactors.server.config.settings import Settings

_NOT_SYNCHRONISED = 5
"""TIME_ERROR of adjtimex(2)."""


def clock_finding(newest: int | None, now: int) -> Finding:
    """Whether the clock can be believed. `newest` is the newest time in the database; both in microseconds."""
    if newest is not None and newest > now + 60_000_000:
        return Finding(
            False,
            f"the clock is {(newest - now) / 1e6:,.0f} s behind what the database was told: was it set back?",
        )
    match _synchronised():
        case False:
            return Finding(None, "the kernel says that nothing keeps the clock right (NTP); schedules depend on it")
        case True:
            return Finding(True, "the clock is kept right by NTP")
        case _:
            return Finding(True, "the clock is not behind the database")


def _synchronised() -> bool | None:
    """What the kernel says; None if it cannot be asked."""
    asked = ctypes.create_string_buffer(256)  # struct timex, all zero: change nothing
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(asked)
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _NOT_SYNCHRONISED


def disk(settings: Settings) -> Finding:
    """Room for the database, and for a copy of it; where PostgreSQL has it, for the few files that stay here."""
    folder = Path(settings.data_dir)
    try:
        found = free_space(settings.database)
    except OSError as error:
        return Finding(False, f"the disk of {folder} cannot be looked at: {error.strerror or error}")
    if not found.inodes:
        return Finding(False, f"the disk of {folder} has no inode left: no file can be made")
    free, here = size(found.free), isinstance(settings.place, Path)
    if found.low and here:
        return Finding(False, f"only {free} are free on the disk of {folder}; nothing is taken in when it is full")
    if found.free < found.database and here:
        return Finding(None, f"{free} are free on the disk of {folder}: less than the database has already")
    return Finding(True, f"{free} are free on the disk of {folder}")


def data_dir(settings: Settings) -> Finding:
    """Whether others can get at the data dir, and this user can."""
    path = Path(settings.data_dir)
    try:
        found = path.stat()
    except OSError as error:
        return Finding(False, f"there is no data dir {path}: {error.strerror or error}; set RM_DATA_DIR or --data-dir")
    if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        return Finding(False, f"the data dir {path} cannot be written by this user; run this as the server's user")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        return Finding(None, f"the data dir {path} is open to others (mode {mode:04o}); chmod 700 {path}")
    return Finding(True, f"the data dir {path} is its owner's alone")


def key(settings: Settings) -> Iterator[Finding]:
    """The key file, and other files that hold what only the server may read."""
    path = settings.key_file
    if path.exists():
        try:
            SecretBox(path)
            yield Finding(True, f"the key {path} is readable by its owner alone")
        except SecretError as error:
            yield Finding(False, str(error))
    place = settings.place
    if isinstance(place, Path) and place.exists() and (mode := stat.S_IMODE(place.stat().st_mode)) & 0o077:
        yield Finding(False, f"the database {place} is open to others (mode {mode:04o}): chmod 600 it")
