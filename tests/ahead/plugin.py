"""`make test-ahead`: the tests with the calendar clock days or years ahead, in every process that uses the C library.

What cannot be moved is left out by name here, with what was seen when it was tried. Programs written in Go ask the
kernel for the time without the C library: restic, caddy and Prometheus go on in the present.
"""

import datetime
import os
from typing import Final

import pytest

CANNOT_BE_MOVED: Final[dict[str, str]] = {}
"""The beginning of a test's id, and why."""


def pytest_report_header() -> str:
    days = int(os.environ.get("AHEAD_SECONDS", "0")) / 86400
    return f"calendar clock: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC, {days:g} days ahead"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for beginning, reason in CANNOT_BE_MOVED.items():
            if item.nodeid.startswith(beginning):
                item.add_marker(pytest.mark.skip(reason=f"cannot be moved in time: {reason}"))
