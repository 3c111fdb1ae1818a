"""One fresh database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.store.ledger import Ledger


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(tmp_path / "rm.db")
    yield opened
    opened.close()
