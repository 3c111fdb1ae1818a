"""Who else could change a file that the agent relies on. Reads owners and modes, and changes nothing.

The agent's file names commands, and the agent mostly runs as root: a user who can write that file, a hook, the restic
or a folder above one of them is root as well. So they must belong to root or to the user who runs the agent, and nobody
else may be able to write them. A group that has no other member is nobody else: many systems give each user a group
of its own and let it write.
"""

import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_MOST_LINKS: Final = 40


def trouble_with(
    path: str | Path, *, of: str = "", decides: str = "what runs here", remedy: str | None = None
) -> str | None:
    """Why that file is not to be trusted and what to type against it; None if it may be, or is not there.

    `of` says what the file is, `decides` what anyone who can change it decides; `remedy` is said in place of a command.
    """
    user = os.geteuid()
    name = os.fspath(path)
    if not os.path.isabs(name):  # else nothing is asked of the working folder, which may be gone
        name = os.path.join(os.getcwd(), name)
    for place, found in _way_to(name):
        if found.st_uid not in {0, user} and not _is_unmapped(found.st_uid):
            what, against = f"belongs to {_name_of(found.st_uid)}", f"chown -h {_name_of(user)}"
            if stat.S_ISDIR(found.st_mode) and place != name:  # a home say, which has to stay its owner's
                remedy = remedy or f"put it where only {_name_of(user)} can write"
        elif not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)) or _is_sticky_folder(found):
            continue
        elif found.st_mode & stat.S_IWOTH:
            what, against = "can be written by everybody", "chmod o-w"
        elif found.st_mode & stat.S_IWGRP and not _is_private(found.st_gid, {0, user}):
            what, against = f"can be written by the group {_group_name(found.st_gid)}", "chmod g-w"
        else:
            continue
        whose = f"{of} {name}".lstrip() if place == name else f"{of} {name}: {place}, on the way to it,".lstrip()
        remedy = remedy or f"{against} {shlex.quote(place)}"
        return f"{whose} {what}, and anyone who can change it decides {decides}: {remedy}"
    return None


def _way_to(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """The folders on the way to `path`, the links in it and what they lead to, and at last itself."""
    at, waiting, links = "/", [part for part in path.split("/") if part], 0
    yield at, os.lstat(at)
    while waiting:
        part = waiting.pop(0)
        at = os.path.normpath(os.path.join(at, part))
        try:
            found = os.lstat(at)
            if stat.S_ISLNK(found.st_mode):
                links += 1
                target = os.readlink(at)
        except OSError:
            return
        yield at, found
        if stat.S_ISLNK(found.st_mode):
            if links > _MOST_LINKS:
                return
            at = "/" if os.path.isabs(target) else os.path.dirname(at)
            waiting = [part for part in target.split("/") if part] + waiting


def _is_sticky_folder(found: os.stat_result) -> bool:
    """As `/tmp`: who may write there cannot replace what others have there."""
    return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISVTX)


def _is_private(gid: int, trusted: set[int]) -> bool:
    """Whether nobody is in that group who is not trusted."""
    try:
        members = set(grp.getgrgid(gid).gr_mem)
    except KeyError:
        return gid == os.getegid()  # in a container often nobody has a name
    names = {user.pw_name for user in pwd.getpwall() if user.pw_uid in trusted}
    strangers = {user.pw_name for user in pwd.getpwall() if user.pw_gid == gid and user.pw_uid not in trusted}
    return not strangers and members <= names


def _is_unmapped(uid: int) -> bool:
    """In a container with users of its own, anyone who has no number there is the system outside."""
    try:
        overflow = int(Path("/proc/sys/kernel/overflowuid").read_text())
        mapped = Path("/proc/self/uid_map").read_text().split()
    except (OSError, ValueError):
        return False
    return uid == overflow and mapped != ["0", "0", "4294967295"]


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _group_name(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
