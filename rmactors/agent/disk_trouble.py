"""Why the state dir cannot be written, in plain words, and what to do about it.

SQLite often says less than the system does ("disk I/O error" on a full disk): then the same folder is tried with a
file that has no name and is gone at once.
"""

import errno
import os
import resource
import sqlite3
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PROBE_BYTES: Final = 1 << 16
"""What a first write to a spool takes, about."""
_PROBE_FLAGS: Final = os.O_RDWR | os.O_CLOEXEC | os.O_TMPFILE
_NO_UNNAMED_FILES: Final = {errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL}
_VAGUE: Final = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


@dataclass(frozen=True, slots=True)
class Cause:
    """Why, as a part of a sentence, and what helps. `damaged`: the file itself is no good any more. `busy`: somebody
    else works in it, and each try waits for that long."""

    words: str
    advice: str
    damaged: bool = False
    busy: bool = False


def cause_of(error: OSError | sqlite3.Error, file: Path) -> Cause:
    """Of what went wrong with `file`. Blocks for as long as a small write takes."""
    if isinstance(error, OSError):
        return of_errno(error.errno or 0, file)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return Cause(f"{file} is damaged ({error})", "it is moved aside when the agent can write there", damaged=True)
    if code in _VAGUE:
        if found := probe(file.parent):
            return of_errno(found, file)
        if code == sqlite3.SQLITE_FULL:
            return of_errno(errno.ENOSPC, file)
        if code == sqlite3.SQLITE_IOERR:
            limited = resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
            return of_errno(errno.EFBIG if limited else errno.EIO, file)
        if file.exists() and not os.access(file, os.R_OK | os.W_OK):
            return of_errno(errno.EACCES, file)
    busy = code == sqlite3.SQLITE_BUSY
    return Cause(f"{file} cannot be used ({error})", f"see what is wrong with {file}", busy=busy)


def of_errno(number: int, file: Path) -> Cause:
    """The same of an error of the system."""
    folder = file.parent
    match number:
        case errno.ENOSPC:
            return Cause(f"the disk of {folder} is full", "make room there")
        case errno.EDQUOT:
            return Cause(f"the quota on the disk of {folder} is used up", "make room there, or raise the quota")
        case errno.EROFS:
            return Cause(f"the file system of {folder} is read-only", "mount it for writing")
        case errno.EACCES | errno.EPERM:
            advice = "run this as the owner of the state dir, or set RM_AGENT_STATE_DIR"
            return Cause(f"no permission to write {file}", advice)
        case errno.EFBIG:
            advice = "raise the limit on the size of files (ulimit -f)"
            return Cause(f"{file} would be larger than a file may be here", advice)
        case errno.EIO:
            return Cause(f"the disk of {folder} fails (input/output error)", "look at the disk")
    words = os.strerror(number) if number else "unknown error"
    return Cause(f"{file} cannot be used ({words[:1].lower()}{words[1:]})", f"see what is wrong with {folder}")


def probe(folder: Path) -> int:
    """The `errno` that stands in the way of writing a little into `folder`; 0 if nothing does. Leaves nothing."""
    try:
        handle = _open_nameless(folder)
    except OSError as error:
        return error.errno or errno.EIO
    try:
        rest = _PROBE_BYTES
        while rest:
            rest -= os.write(handle, b"\0" * rest)
        os.fsync(handle)
    except OSError as error:
        return error.errno or errno.EIO
    finally:
        os.close(handle)
    return 0


def _open_nameless(folder: Path) -> int:
    try:
        return os.open(folder, _PROBE_FLAGS, 0o600)
    except OSError as error:
        if error.errno not in _NO_UNNAMED_FILES:
            raise
    handle, name = tempfile.mkstemp(prefix=".probe.", dir=folder)
    os.unlink(name)
    return handle
