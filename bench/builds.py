"""This build, and an earlier one beside it."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

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
