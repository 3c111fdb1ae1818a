"""The crash drill and the measurements, a few rounds of each: the full ones are `make drill` and `make bench`."""

import re
import subprocess
import sys

from harness.processes import ROOT, environment


def run(*arguments: str, seconds: float = 900.0) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        timeout=seconds,
    )


def test_nothing_acked_is_lost_when_the_server_is_killed_at_random() -> None:
    done = run("bench.drill", "--rounds", "6", "--agents", "4")
    found = dict(re.findall(r"^(\S[\w '→-]*?) {2,}(\d+)", done.stdout, re.MULTILINE))
    assert done.returncode == 0, done.stdout + done.stderr
    assert (found["lost"], found["out of order"], found["wrong"]) == ("0", "0", "0")
    assert int(found["kills"]) == 6
    assert int(found["transitions"]) > 20
    assert int(found["duplicates"]) <= int(found["sends in flight at the kills"])


def test_a_month_of_a_fleet_is_measured() -> None:
    done = run("bench", "--quick", "--part", "month")
    assert done.returncode == 0, done.stdout + done.stderr
    for measure in ("database of 30 hosts after 31 days", "page /hosts", "retention of one day", "rmactors backup"):
        assert f"| {measure} " in done.stdout, measure


def test_a_fleet_that_comes_back_with_full_spools_is_measured() -> None:
    done = run("bench", "--quick", "--part", "storm")
    assert done.returncode == 0, done.stdout + done.stderr
    for measure in ("until 99 % are back", "until all is acked", "a new failure meanwhile", "the dashboard meanwhile"):
        assert f"| this build: {measure}" in done.stdout, measure


def test_the_measurements_run_and_name_what_they_measured() -> None:
    done = run("bench", "--quick")
    assert done.returncode == 0, done.stdout + done.stderr
    for measure in (
        "new alerts, committed and acked",
        "recurrences, committed and acked",
        "raise → webhook, p99",
        "CPU per alert, its webhook included",
        "memory per idle agent",
        "memory per 10,000 open alerts",
        "webhooks drained to one endpoint",
        "first delivery after the outage",
        "p99 of the others while one channel hangs",
        "page of 200",
        "agents connected, the fewest",
        "alerts that are not those of the outcomes",
        "memory of the agent",
    ):
        assert measure in done.stdout, measure
