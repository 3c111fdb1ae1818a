"""Of what `restic find` lists, what itself has the name that was asked for. Pure.

Where a folder matches, restic lists all below it as well: who looks for `notes` would get each file of that folder.
"""

import posixpath
import re
from collections.abc import Callable


class NamedSo:
    """Takes the hits of one pattern, in restic's order. When in doubt, restic is right: left out is only what lies
    below a folder that was taken, and cannot match by itself."""

    def __init__(self, pattern: str, *, ignore_case: bool = False) -> None:
        self._matches = _own_match(pattern, ignore_case)
        self._below: str | None = None

    def takes(self, path: str, *, is_folder: bool) -> bool:
        if self._below is not None and path.startswith(self._below):
            return self._matches(path)
        self._below = f"{path}/" if is_folder else None
        return True

    def next_snapshot(self) -> None:
        self._below = None


def _own_match(pattern: str, ignore_case: bool) -> Callable[[str], bool]:
    """Whether a path that restic listed matches by itself, and not only a folder above it."""
    cleaned = posixpath.normpath(pattern)
    if cleaned.startswith("/") and "**" not in cleaned:
        depth = cleaned.strip("/").count("/")
        return lambda path: path.strip("/").count("/") == depth
    regex = None if "/" in cleaned else _regex(cleaned, ignore_case)
    if regex is None:
        return lambda path: True
    return lambda path: regex.fullmatch(path.rpartition("/")[2]) is not None


_PART = re.compile(
    r"(?P<star>\*+)|(?P<any>\?)|\[(?P<not>\^?)(?P<set>(?:\\.|[^\]\\])+)\]|\\(?P<escaped>.)|(?P<plain>[^\[\\])",
    re.DOTALL,
)
_RANGE = re.compile(r"\\?(.)(?:-\\?(.))?", re.DOTALL)


def _regex(pattern: str, ignore_case: bool) -> re.Pattern[str] | None:
    """A pattern of Go's filepath.Match for one name; None for one that it does not take."""
    between, at = [""], 0
    while at < len(pattern):
        part = _PART.match(pattern, at)
        if part is None:
            return None
        at = part.end()
        if part["star"]:
            between.append("")
        elif part["any"]:
            between[-1] += "."
        elif part["set"]:
            between[-1] += f"[{part['not']}{_RANGE.sub(_range, part['set'])}]"
        else:
            between[-1] += re.escape(part["escaped"] or part["plain"])
    first, *more = between
    # What stands between two stars is of one length, so the first place for it will do: no second one is ever tried.
    middle = "".join(f"(?>.*?{each})" for each in more[:-1])
    try:
        return re.compile("".join([first, middle, *(f".*{last}" for last in more[-1:])]), _flags(ignore_case))
    except re.error:  # a range that ends before it begins
        return None


def _flags(ignore_case: bool) -> re.RegexFlag:
    return re.DOTALL | re.IGNORECASE if ignore_case else re.DOTALL


def _range(found: re.Match[str]) -> str:
    low, high = _escaped(found[1]), _escaped(found[2] or "")
    return f"{low}-{high}" if high else low


def _escaped(character: str) -> str:
    return re.sub(r"([\^\]\\\[&~|-])", r"\\\1", character)
