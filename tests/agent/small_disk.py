"""A disk of a few MiB that a test can fill, empty again and make read-only: a tmpfs, where root may mount one."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


class SmallDisk:
    """Mounted at `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Until it takes not one byte more."""
        with (self.path / "filler").open("ab", buffering=0) as filler:
            size = 1 << 16
            while size:
                try:
                    size = size if filler.write(b"x" * size) == size else size // 2
                except OSError:
                    size //= 2

    def make_room(self) -> None:
        (self.path / "filler").unlink()

    def make_read_only(self) -> None:
        """As long as nobody has a file open on it for writing."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True, capture_output=True)

    def make_writable(self) -> None:
        subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True, capture_output=True)


@contextmanager
def small_disk(path: Path, kibibytes: int = 4096) -> Iterator[SmallDisk]:
    """Gone at the end of the block, even if something still uses it. Skips the test where nothing can be mounted."""
    path.mkdir()
    options = f"size={kibibytes}k,mode=0700"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("only root can mount a disk of its own")
    try:
        yield SmallDisk(path)
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True, capture_output=True)
