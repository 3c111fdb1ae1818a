"""Agents behind links that fail in every way, each way twice: the drill in short, judged by counts and events alone.

Ten minutes of it, with faults of up to a minute, are `make drill ARGS=--links`.
"""

import re

from harness.link_faults import FAULTS

from .test_drill import run


def test_no_outcome_is_lost_and_nothing_false_is_told_over_links_that_fail() -> None:
    done = run("bench.drill", "--links", "--short")
    assert done.returncode == 0, done.stdout + done.stderr
    found = dict(re.findall(r"^ {0,2}(\S.*?) {2,}(\d+)", done.stdout, re.MULTILINE))
    assert all(int(found[fault]) >= 2 for fault in FAULTS)
    assert int(found["late hellos that the server read"]) >= 1
    assert int(found["outcomes"]) > 100
    assert int(found["transitions"]) > 50
    assert [found[what] for what in ("lost", "out of order", "duplicates", "wrong")] == ["0"] * 4
