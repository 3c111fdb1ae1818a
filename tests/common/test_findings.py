"""What doctor and agent check say of a machine's time zone data."""

from pathlib import Path

import pytest

from rmactors.common.findings import Finding, zone_data
from rmactors.common.zones import Data

SYSTEM, PACKAGE = Path("/usr/share/zoneinfo"), Path("/venv/lib/python3.11/site-packages/tzdata/zoneinfo")


@pytest.mark.parametrize(
    ("found", "ok", "says"),
    [
        ((), False, "there is no time zone data, so only UTC can be used: install the package tzdata"),
        ([Data(SYSTEM, "2026f"), Data(PACKAGE, "2025b")], True, "time zone data: 2026f, the system's"),
        ([Data(SYSTEM, "")], True, "time zone data: of unknown version, the system's"),
        (
            [Data(PACKAGE, "2026f")],
            True,
            "time zone data: 2026f, of the Python package tzdata; the system has none",
        ),
        (
            [Data(PACKAGE, "2026f"), Data(SYSTEM, "2025b")],
            None,
            "time zone data: 2026f, of the Python package tzdata. The system's, by which cron and systemd go, is older:"
            " 2025b. Update the system's package tzdata",
        ),
    ],
)
def test_the_data_that_is_used_is_named_and_an_old_system_noted(found: list[Data], ok: bool | None, says: str) -> None:
    finding = zone_data(found)
    assert (finding.ok, finding.text) == (ok, says)


def test_a_finding_is_one_line_whatever_it_quotes() -> None:
    line = Finding(False, "the server is not well: \x1b]0;t\x07\nok   all is well\u202e").line
    assert line == "FAULT  the server is not well: \ufffd]0;t\ufffd ok   all is well\ufffd"
