"""What the tests of actors share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from trio.testing import MockClock

from rmactors.server.channels.net.tls import shared_ssl_context
from tests.actors.office import Office, open_office
from tests.actors.works import Works, open_works
from tests.channels.receivers import Receiver, receiving


@pytest.fixture
def mock_clock() -> MockClock:
    """For tests that jump; between jumps it goes as time goes."""
    return MockClock(rate=1.0)


@pytest.fixture
async def works(tmp_path: Path) -> AsyncIterator[Works]:
    async with open_works(tmp_path / "rm.db") as opened:
        yield opened


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with open_office(tmp_path / "rm.db", shared_ssl_context()) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening
