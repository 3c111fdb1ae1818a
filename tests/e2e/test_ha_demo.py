"""`make ha-demo`, as a process: the alert from before the kill is there after it, and the next one is taken in."""

import subprocess
import sys
from pathlib import Path

from harness.postgres import needed_programs
from harness.processes import ROOT, environment

LEASE_SECONDS = 20
"""Longer than by itself, for a machine that is busy with other tests."""


def test_the_leader_is_killed_and_the_other_node_goes_on_with_all_that_was_there(tmp_path: Path) -> None:
    needed_programs()
    done = subprocess.run(
        [sys.executable, "-m", "bench.ha_demo", "--lease-seconds", str(LEASE_SECONDS)],
        cwd=ROOT, env=environment({"TMPDIR": str(tmp_path)}), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    said = [line.partition(" s  ")[2] for line in done.stdout.splitlines()]
    photos, documents = (
        f"“Backup of {plan} failed: the disk is not mounted. No earlier good one is known.”"
        for plan in ("photos", "documents")
    )
    assert [line for line in said if "photos" in line or "documents" in line] == [
        "The host nas1 reported that its backup photos failed, and was told that this is safe.",
        f"Notified: {photos}",
        f"The alert from before is there: {photos}",
        "nas1 found rm2 by itself, and reported that its backup documents failed.",
        f"Notified: {documents}",
    ]
    assert "rm1 waits, rm2 leads; replication: sync." in said[-2]
    assert said[-1] == "Everything is stopped and removed."
    assert list(tmp_path.iterdir()) == []
