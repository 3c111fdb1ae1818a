"""One fresh database for each test."""

from collections.abc import Iterator

import pytest

from rmactors.server.store.place import Place
from tests.store.ledger import Ledger


@pytest.fixture
def ledger(place: Place) -> Iterator[Ledger]:
    opened = Ledger(place)
    yield opened
    opened.close()
