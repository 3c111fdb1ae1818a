"""This build, and an earlier one beside it."""

import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

from harness.processes import ROOT

HERE: Final = "this build"
BEFORE: Final = "the build before"


@contextmanager
def builds_of(before: str | None) -> Iterator[dict[str, Path]]:
    """Where each build's files are. `before` is a revision of this repository."""
    if before is None:
        yield {HERE: ROOT}
        return
    with tempfile.TemporaryDirectory() as folder:
        there = Path(folder) / "build"
        git = [shutil.which("git") or "git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", str(there), before], check=True, capture_output=True)
        try:
            yield {HERE: ROOT, BEFORE: there}
        finally:
            subprocess.run([*git, "remove", "--force", str(there)], check=True, capture_output=True)


Found = TypeVar("Found")


async def by_turns(
    folder: Path, rounds: int, measured: Mapping[str, Callable[[Path], Awaitable[Found]]]
) -> dict[str, list[Found]]:
    """What each found in each round. Another is the first in every round; each works in an empty folder of its own."""
    found: dict[str, list[Found]] = {name: [] for name in measured}
    names = list(measured)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            own = folder / f"{name.replace(' ', '-')}-{number}"
            own.mkdir(parents=True)
            found[name].append(await measured[name](own))
    return found


def ratios(here: Iterable[float], there: Iterable[float]) -> tuple[list[float], str]:
    """How many times as much, round by round, and a note with the least and the most of it."""
    found = [one / other for one, other in zip(here, there, strict=True)]
    return found, f"{min(found):.2f} to {max(found):.2f}, round by round"
