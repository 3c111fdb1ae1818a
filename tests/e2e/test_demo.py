"""`rmactors demo --once` as a process: it ends with 0 when the raise and the resolution have arrived."""

import os
import subprocess
from pathlib import Path

import pytest

from harness.processes import COMMAND, ROOT


def demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "demo", "--once"],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_the_demo_shows_a_backup_that_fails_and_is_mended(tmp_path: Path) -> None:
    done = demo({**os.environ, "HOME": str(tmp_path), "TMPDIR": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "alert.raised: [warning]" in done.stdout
    assert "Backup of photos failed: wrong password" in done.stdout
    assert "alert.resolved: [warning]" in done.stdout
    assert list(tmp_path.glob("rmactors-demo-*")) == []


@pytest.mark.parametrize("folders", ["", "/nonexistent"])
def test_without_restic_it_says_how_to_get_it_and_wraps_another_command(tmp_path: Path, folders: str) -> None:
    done = demo({"PATH": folders, "TMPDIR": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)})
    assert done.returncode == 0, done.stderr
    assert "apt-get install restic" in done.stdout
    assert "the target disk is not mounted" in done.stdout
    assert "alert.resolved" in done.stdout
