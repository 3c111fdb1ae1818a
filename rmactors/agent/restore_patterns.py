"""From the path of a file, as somebody names it, to the pattern that restic's restore takes. Pure.

A name is bytes on a disk, and text everywhere else: a byte that is no UTF-8 is shown as U+FFFD, by restic and by us.
So that character in a path stands for itself and for any such byte.
"""

import posixpath
import re
from collections.abc import Sequence
from typing import Final

UNREADABLE: Final = "\N{REPLACEMENT CHARACTER}"
_PATTERN_CHARACTERS: Final = re.compile(r"([\\*?\[\]])")
"""Those that Go's filepath.Match reads as more than themselves."""
_NO_UTF8: Final = re.compile("[\udc80-\udcff]")
"""How Python spells the bytes of a file name that are no UTF-8."""


def plain(path: str) -> str:
    """The absolute path without `..`, doubled and trailing slashes."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def pattern(path: str) -> str:
    """A pattern for `--include` that matches this path and what is below it, and nothing else."""
    escaped = _PATTERN_CHARACTERS.sub(r"\\\1", plain(path))
    return escaped.replace(UNREADABLE, f"[{UNREADABLE}]")  # in a class, Go reads any byte that is no UTF-8 as this


def included(paths: Sequence[str]) -> tuple[str, ...]:
    """restic's options for these paths; none where everything is asked for."""
    if any(plain(path) == "/" for path in paths):
        return ()
    return tuple(f"--include={pattern(path)}" for path in paths)


def shown(name: str) -> str:
    """A file name of this machine as restic shows it: a mark for each byte that is no UTF-8."""
    return _NO_UTF8.sub(UNREADABLE, name)
