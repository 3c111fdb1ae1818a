"""The folder that a restore goes into, on the disk: looked at, and made. Nothing is ever followed or overwritten.

The way to it is walked from folder to folder by open handles, so that a link that somebody puts there meanwhile is
met as a link. restic is then told the path: that nobody else can change it behind us, `distrusted` has seen to.
"""

import errno
import fcntl
import os
import posixpath
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from rmactors.agent.restore_targets import Kept, Target, TargetRefused, is_below
from rmactors.agent.tampering import trouble_with

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OWN: Final = 0o700
"""Only the agent's user sees what is restored, until somebody decides otherwise."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a restore goes, and which folders were made for it, the upper ones first.

    `held`: a handle of a folder that others may name too. Until `release`, another restore there gets one of its own.
    """

    into: str
    made: tuple[str, ...] = ()
    held: int | None = None

    def release(self) -> None:
        if self.held is not None:
            os.close(self.held)


def folder_for(target: Target) -> str:
    """The folder that a restore would go into now. Writes nothing. Raises TargetRefused, or OSError."""
    place = _walk(target, make=False)
    if trouble := clash(target) or distrusted(target.path, target.key):
        raise TargetRefused(trouble)
    return place.into


def make_folder(target: Target) -> Place:
    """The folder to restore into: made, or there already and empty. Raises TargetRefused, or OSError.

    Folders on the way to it are made too, but above the one that the file names none is. OSError also if anything has
    the new folder's name already: nothing is ever restored over what somebody has.
    """
    folder_for(target)
    return _walk(target, make=True)


def distrusted(path: str, key: str) -> str | None:
    """Anyone who can replace the folder by a link while restic begins decides where its files land."""
    return trouble_with(path, of=key, decides="where a restore lands")


def clash(target: Target) -> str | None:
    """Why a restore to there would meet what is backed up, or a repository; None if it would not.

    Compares names, names behind all links, and the folders themselves: two mounts may show the same one.
    """
    at = os.path.realpath(target.path)
    for kept in target.kept:
        there = os.path.realpath(kept.path)
        if there == at or kept.path == target.path or _same(at, there):
            return f"{target.path} is {kept.words}: nothing is ever restored over that; name another folder"
        if is_below(there, at) or is_below(kept.path, target.path) or _is_among(at, there):
            return f"{target.path} contains {kept.words}: nothing is ever restored over that; name a folder beside it"
        inside = is_below(at, there) or is_below(target.path, kept.path) or _is_among(there, at)
        if inside and not _is_excluded(at, there, kept):
            remedy = "name a folder outside of it" + (
                ", or exclude that folder from the plan" if kept.is_source else ""
            )
            return f"{target.path} lies inside {kept.words}: {remedy}"
    return None


def _walk(target: Target, *, make: bool) -> Place:
    """The folder to restore into; with `make`, made."""
    start, made = os.path.realpath(target.within), []
    if not os.path.lexists(start):
        if not make:
            return Place(target.own_path if target.in_new_folder else target.path)
        os.mkdir(start, _OWN)
        made.append(target.within)
    handle = os.open(start, _FOLDER)
    try:
        at = target.within
        for name in target.below:
            at = posixpath.join(at, name)
            if not _is_there(handle, name, at):
                if not make:
                    return Place(target.path)
                os.mkdir(name, _OWN, dir_fd=handle)
                made.append(at)
            below = os.open(name, _FOLDER, dir_fd=handle)
            os.close(handle)
            handle = below
        if not target.in_new_folder and _is_held(handle) and _is_for_us_alone(handle):
            return Place(target.path, tuple(made), os.dup(handle) if make else None)
        if make:
            os.mkdir(target.new_folder, _OWN, dir_fd=handle)
            made.append(target.own_path)
        return Place(target.own_path, tuple(made))
    finally:
        os.close(handle)


def _is_there(above: int, name: str, path: str) -> bool:
    """Whether a folder has that name. Raises TargetRefused if anything else has."""
    try:
        found = os.stat(name, dir_fd=above, follow_symlinks=False)
    except FileNotFoundError:
        return False
    if stat.S_ISLNK(found.st_mode):
        raise TargetRefused(f"{path} is a symbolic link, and a restore follows none: name the folder that it leads to")
    if not stat.S_ISDIR(found.st_mode):
        raise TargetRefused(f"{path} is there, and is no folder: name another target")
    return True


def _is_held(handle: int) -> bool:
    """Whether it is ours from now on, until the handle and its copies are closed: else another restore goes there."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.EWOULDBLOCK  # some network disks have no such locks
    return True


def _is_for_us_alone(handle: int) -> bool:
    """Whether nothing lies in it, and nobody else can put something there meanwhile, as in `/tmp`."""
    if os.fstat(handle).st_mode & stat.S_ISVTX:
        return False
    with os.scandir(handle) as entries:
        return next(entries, None) is None


def _same(one: str, other: str) -> bool:
    try:
        return os.path.samestat(os.stat(one), os.stat(other))
    except OSError:
        return False


def _is_among(path: str, other: str) -> bool:
    """Whether that folder is one of those on the way to `other`, by whatever name."""
    return any(_same(path, above) for above in _above(other))


def _above(path: str) -> Iterator[str]:
    while path != "/":
        path = posixpath.dirname(path)
        yield path


def _is_excluded(at: str, there: str, kept: Kept) -> bool:
    """Whether the plan does not back up `at`, which lies in its source `there`. Both without links."""
    if not is_below(at, there):
        return False
    seen = posixpath.join(kept.path, posixpath.relpath(at, there))  # as restic comes by it
    return any(is_below(seen, folder) for folder in kept.excluded)
