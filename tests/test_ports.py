"""Ports that tests give to servers."""

import subprocess
import sys

from harness.ports import free_port
from harness.processes import ROOT


def test_a_port_is_given_once_also_among_processes() -> None:
    mine = {free_port() for _ in range(200)}
    script = "from harness.ports import free_port; print(*(free_port() for _ in range(200)))"
    theirs = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert len(mine) == 200
    assert mine.isdisjoint(map(int, theirs.stdout.split()))
