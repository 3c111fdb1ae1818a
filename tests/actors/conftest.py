"""What the tests of post and delivery actors share."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rmactors.channels.tls import shared_ssl_context
from tests.actors.office import Office, open_office
from tests.channels.receivers import Receiver, receiving


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
