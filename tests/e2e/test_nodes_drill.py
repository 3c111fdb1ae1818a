"""The nodes drill, a round of each kind. In full: `make drill ARGS='--nodes 3 --failovers 50'`, and `'--nodes 1'`."""

import re
import subprocess
import sys

import pytest

from harness.postgres import needed_programs
from harness.processes import ROOT, environment
from harness.witness import Written, by_an_old_leader


@pytest.mark.parametrize(
    ("how", "commits_fail"),
    [
        ("--nodes 2 --rounds 4", False),
        ("--nodes 2 --rounds 1 --failovers 2", True),
        ("--nodes 1 --rounds 3", True),
    ],
)
def test_nothing_acked_is_lost_when_leaders_and_primaries_die(how: str, commits_fail: bool) -> None:
    needed_programs()
    done = subprocess.run(
        [sys.executable, "-m", "bench.drill", "--agents", "3", "--lease", "5", *how.split()],
        cwd=ROOT, env=environment({}), capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    said = done.stdout + done.stderr
    found = dict(re.findall(r"^(\S[\w ']*?) {2,}(\d+)", done.stdout, re.MULTILINE))
    assert (found["lost"], found["out of order"]) == ("0", "0"), said
    # Where a commit fails and the leader goes on, a report may be overtaken by a later one: that changes what is
    # judged, not what is kept.
    assert commits_fail or done.returncode == 0, said
    assert int(found["transitions"]) > 20, said
    assert int(found["leases"]) >= 2, said


BY_ITS_LEADER = Written("jobs", 1, "a", "a", "1 of noon")


@pytest.mark.parametrize(
    ("then", "problem"),
    [
        (BY_ITS_LEADER, None),
        (Written("jobs", 2, "b", "b", "2 of noon"), None),
        (Written("jobs", 0, "b", "b", "2 of noon"), "of epoch 0 after one of epoch 1"),
        (Written("jobs", 2, "b", "a", "3 of noon"), "by a while b led"),
        (Written("jobs", 2, "a", "a", "1 of noon"), "by a connection that wrote in epoch 1"),
    ],
)
def test_the_witness_sees_who_writes_without_leading(then: Written, problem: str | None) -> None:
    seen = list(by_an_old_leader([BY_ITS_LEADER, then]))
    assert [problem in line for line in seen if problem] == ([True] if problem else [])
    assert bool(seen) == bool(problem)
