"""`docs/security.md` names tests for what it promises: they must be there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "security.md").read_text()


def test_every_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`((?:\w+/)*test_\w+\.py)`", PAGE))
    assert len(named) > 20
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).is_file()] == []


def test_every_promise_names_a_test() -> None:
    rows = [line for line in PAGE.partition("## Measures, and the tests")[2].splitlines() if line.startswith("| ")]
    promises = [row for row in rows if not row.startswith(("| promise |", "| what |"))]
    assert len(promises) > 35
    assert [row for row in promises if "test_" not in row.rsplit("|", 2)[1]] == []
