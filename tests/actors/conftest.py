"""What the tests of actors share."""

from collections.abc import AsyncIterator

import pytest
from trio.testing import MockClock

from rmactors.server.channels.net.tls import shared_ssl_context
from rmactors.server.store.place import Place
from tests.actors.office import Office, open_office
from tests.actors.works import Works, open_works
from tests.channels.receivers import Receiver, receiving


@pytest.fixture
def mock_clock() -> MockClock:
    """For tests that jump; between jumps it goes as time goes."""
    return MockClock(rate=1.0)


@pytest.fixture
async def works(place: Place) -> AsyncIterator[Works]:
    async with open_works(place) as opened:
        yield opened


@pytest.fixture
async def office(place: Place) -> AsyncIterator[Office]:
    async with open_office(place, shared_ssl_context()) as opened:
        yield opened


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening


@pytest.fixture
async def other() -> AsyncIterator[Receiver]:
    async with receiving() as listening:
        yield listening
