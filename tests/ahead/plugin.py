"""`make test-ahead`: the tests with the calendar clock days or years ahead, in every process that uses the C library.

What cannot be moved is left out by name here, with what was seen when it was tried. Programs written in Go ask the
kernel for the time without the C library: restic, caddy and Prometheus go on in the present.
"""

import datetime
import os
from typing import Final

import pytest

_LOCKS: Final = "restic dates its locks by the kernel's clock, so one of a running restic looks days old to the agent"
_MEMORY: Final = "what moves the clock takes memory of its own"
CANNOT_BE_MOVED: Final[dict[str, str]] = {
    "tests/agent/test_unlock_job.py::test_another_hosts_lock_that_stays_is_named": _LOCKS,
    "tests/agent/test_unlock_job.py::test_a_lock_that_a_live_restic_holds_is_named_beside_those_that_went": _LOCKS,
    "tests/agent/test_jobs_with_restic.py::test_unlock_takes_away_what_nobody_holds_and_nothing_else": _LOCKS,
    "tests/agent/test_commands.py::test_an_idle_agent_is_small_and_still": _MEMORY,
    **{
        f"tests/e2e/test_restic_versions.py::test_an_end_of_restic_is_told_as_what_it_is[{version}-an unlock": _LOCKS
        for version in ("0.14.0", "0.18.0", "0.19.1")
    },
}
"""The beginning of a test's id, and why."""


def pytest_report_header() -> str:
    days = int(os.environ.get("AHEAD_SECONDS", "0")) / 86400
    return f"calendar clock: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {days:g} days ahead"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for beginning, reason in CANNOT_BE_MOVED.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.skip(reason=f"cannot be moved in time: {reason}"))
