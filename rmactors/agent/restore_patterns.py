"""From the path of a file, as somebody names it, to the pattern that restic's restore takes. Pure."""

import posixpath
import re
from typing import Final

_PATTERN_CHARACTERS: Final = re.compile(r"([\\*?\[\]])")
"""Those that Go's filepath.Match reads as more than themselves."""


def plain(path: str) -> str:
    """The absolute path without `..`, doubled and trailing slashes."""
    return "/" + posixpath.normpath("/" + path).lstrip("/")


def pattern(path: str) -> str:
    """A pattern for `--include` that matches this path and what is below it, and nothing else."""
    return _PATTERN_CHARACTERS.sub(r"\\\1", plain(path))
